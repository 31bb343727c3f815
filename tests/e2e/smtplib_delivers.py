#!/usr/bin/env python3
"""Python's smtplib: several messages on one connection, several recipients, some refused, RSET
between."""

import smtplib

from rig import DOMAIN, RECIPIENT, running_mx, wait_for

RECIPIENTS = [f"user{i}@{DOMAIN}" for i in range(5)]
MESSAGE = "From: a@b.test\r\nSubject: hello\r\n\r\nhello\r\n.dot\r\n"

with running_mx(recipients=[RECIPIENT, *RECIPIENTS]) as (rig, sink, mx):
    with mx.smtp(local_hostname="client.test") as smtp:
        code, _ = smtp.ehlo()
        assert code == 250
        for feature in ("pipelining", "size", "8bitmime", "enhancedstatuscodes", "vrfy", "etrn",
                        "dsn", "smtputf8", "chunking"):
            assert smtp.has_extn(feature), smtp.esmtp_features
        assert not smtp.has_extn("starttls"), smtp.esmtp_features
        for _ in range(3):
            assert smtp.sendmail(f"a@{DOMAIN}", RECIPIENTS, MESSAGE) == {}
        smtp.mail(f"a@{DOMAIN}")
        smtp.rcpt(RECIPIENT)
        assert smtp.rset()[0] == 250
        refused = smtp.sendmail(f"a@{DOMAIN}", [RECIPIENT, "x@elsewhere.test"], MESSAGE)
        assert refused["x@elsewhere.test"][0] == 554, refused
        try:
            smtp.sendmail(f"a@{DOMAIN}", ["y@elsewhere.test"], MESSAGE)
            raise AssertionError("relay access was given")
        except smtplib.SMTPRecipientsRefused:
            pass

    # However the relay groups recipients into transactions, each gets each message once.
    wanted = sorted(RECIPIENTS * 3 + [RECIPIENT])

    def delivered():
        return sorted(r for m in sink.messages() for r in m["to"])

    wait_for(lambda: len(delivered()) >= len(wanted), "every recipient served")
    assert delivered() == wanted, delivered()
