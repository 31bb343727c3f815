#!/usr/bin/env python3
"""What a backend does not take is not offered to clients: SMTPUTF8, and a SIZE above its own, which
is held to as our own limit is. A check of an idle backend finds out, and finds out when it is over.
"""

from backend import Backend
from rig import RECIPIENT, Rig, wait_for

MISSING = ("PIPELINING", "8BITMIME", "SIZE 20000")
ALL = ("PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 0")


def offers(mx):
    with mx.smtp() as client:
        client.ehlo()
        return int(client.esmtp_features["size"]), client.has_extn("smtputf8")


with Backend(extensions=MISSING) as first, Backend(extensions=ALL) as second, Rig() as rig:
    rig.configure(relayhost=f"[127.0.0.1]:{first.port} [127.0.0.1]:{second.port}",
                  message_size_limit=50000, ringmx_backend_check_interval="1s")
    mx = rig.ringmx()
    wait_for(lambda: offers(mx) == (20000, False), "the backend is known")
    with mx.smtp() as client:
        client.ehlo()
        assert client.mail("a@example.test", ["SIZE=20001"])[0] == 552
        code, text = client.docmd("MAIL FROM:<a@example.test> SMTPUTF8")
        assert code == 555, (code, text)
        assert client.mail("a@example.test", ["SIZE=20000"])[0] == 250
        client.rcpt(RECIPIENT)
        code, text = client.data(b"Subject: x\r\n\r\n" + b"x" * 70 + b"\r\n" * 15000)
        assert code == 552 and text.startswith(b"5.3.4"), (code, text)
        client.sendmail("a@example.test", [RECIPIENT], b"Subject: x\r\n\r\nx\r\n")
    wait_for(lambda: first.messages or second.messages, "delivered")
    first.extensions = ALL
    wait_for(lambda: offers(mx) == (50000, True), "it takes all of it now")
    second.extensions = ("SIZE 30000", "SMTPUTF8")
    wait_for(lambda: offers(mx) == (30000, True), "the other takes less")
    assert mx.terminate() == 0
