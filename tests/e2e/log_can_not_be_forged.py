#!/usr/bin/env python3
"""V99: line ends, escapes and 8-bit bytes from a client or a backend never reach the log as they
are."""

import socket
import threading

from rig import DOMAIN, RECIPIENT, Rig, wait_for

EVIL = b"\x1b]0;owned\x07\x1b[2J\x7f\x00\xff\xfe"
FORGED = b"Jan  1 00:00:00 host postfix/smtpd[1]: connect from forged"
LINES = [
    b"EHLO a" + EVIL, b"HELO b\r" + FORGED, b"MAIL FROM:<a" + EVIL + b"@x.test>",
    b"MAIL FROM:<a@x.test>\r" + FORGED, EVIL, b"BLAH\r" + FORGED, b"VRFY <\r" + FORGED + b">",
    b"RCPT TO:<" + EVIL + b"@elsewhere.test>", b"RCPT TO:<a@elsewhere.test\r" + FORGED + b">",
    b"RCPT TO:<\"a\r" + FORGED + b"\"@elsewhere.test>",
]


def evil_backend(listener):
    """Refuses each recipient with terminal escapes in its text."""
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection, connection.makefile("rb") as lines:
            connection.sendall(b"220 evil" + EVIL + b"\r\n")
            for line in lines:
                if line[:4] in (b"EHLO", b"HELO"):
                    connection.sendall(b"250 evil" + EVIL + b"\r\n")
                elif line[:4] == b"QUIT":
                    break
                else:
                    connection.sendall(b"450 4.0.0 no " + EVIL + b"\r" + FORGED + b"\r\n")


with Rig() as rig, socket.create_server(("127.0.0.1", 0)) as listener:
    threading.Thread(target=evil_backend, args=(listener,), daemon=True).start()
    rig.configure(relayhost=f"[127.0.0.1]:{listener.getsockname()[1]}")
    mx = rig.ringmx()
    for line in LINES:
        with mx.connect() as dialogue:
            dialogue.say("EHLO client.test", "250")
            dialogue.say("MAIL FROM:<a@b.test>", "250")
            dialogue.say(line)
    with mx.smtp(local_hostname="client.test") as smtp:
        smtp.sendmail(f"a@{DOMAIN}", [RECIPIENT], "Subject: x\r\n\r\n")
    wait_for(lambda: mx.lines("status=deferred"), "the backend's refusal in the log")
    assert mx.terminate() == 0
    log = mx.output.read_bytes()
    bad = sorted({byte for byte in log if byte < 32 or byte > 126} - {10})
    assert not bad, f"bytes {bad} in the log"
    for line in log.split(b"\n"):
        assert not line.startswith(FORGED), line
