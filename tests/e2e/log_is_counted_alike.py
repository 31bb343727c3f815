#!/usr/bin/env python3
"""Debian's pflogsumm and fail2ban's postfix filter count the same mail and rejects as were sent."""

import pathlib
import re
import smtplib

from rig import DOMAIN, RECIPIENT, need_program, running_mx, wait_for

FILTER = pathlib.Path("/etc/fail2ban/filter.d/postfix.conf")
SENT, REJECTED = 30, 12


def load(mx):
    with mx.smtp(local_hostname="client.test") as smtp:
        for i in range(SENT):
            text = f"Subject: {i}\r\n\r\n{'x' * 1000}\r\n"
            smtp.sendmail(f"a{i % 3}@{DOMAIN}", [RECIPIENT], text)
    for i in range(REJECTED):
        with mx.smtp(local_hostname="client.test") as smtp:
            to = f"x{i}@elsewhere.test" if i % 2 else f"nobody{i}@{DOMAIN}"
            try:
                smtp.sendmail(f"a@{DOMAIN}", [to], "Subject: no\r\n\r\n")
                raise AssertionError(f"{to} was accepted")
            except smtplib.SMTPRecipientsRefused:
                pass


with running_mx() as (rig, sink, mx):
    pflogsumm, fail2ban = need_program("pflogsumm"), need_program("fail2ban-regex")
    load(mx)
    sink.wait_for_messages(SENT)
    wait_for(lambda: len(mx.lines("status=sent")) == SENT, "a line for each delivery")
    assert mx.terminate() == 0

    text = mx.text()
    assert len(mx.lines(r"postfix/smtpd\[\d+\]: NOQUEUE: reject: RCPT from ")) == REJECTED, text
    for pattern in (r"connect from ", r"disconnect from .* commands=\d", r"[\w]+: client=",
                    r"from=<a0@example.test>, size=\d+, nrcpt=1",
                    r"to=<user@example.test>, relay=127\.0\.0\.1\[127\.0\.0\.1\]:\d+, "
                    r"delay=[\d.]+, delays=[\d./]+, dsn=2\.0\.0, status=sent \(250 2\.0\.0 Ok"):
        assert mx.lines(pattern), f"no line like {pattern}\n{text}"

    summary = rig.run(pflogsumm, mx.output, check=True).stdout
    counts = {what: int(n) for n, what in re.findall(r"^ +(\d+)k? +(\w+)", summary, re.M)}
    assert counts["received"] == counts["delivered"] == SENT, summary
    assert counts["rejected"] == REJECTED, summary

    # Every reject is a match, and nothing that was accepted is one.
    report = rig.run(fail2ban, "--print-all-matched", mx.output, FILTER, check=True).stdout
    matched = int(re.search(r"(\d+) matched", report).group(1))
    assert matched == REJECTED, report
