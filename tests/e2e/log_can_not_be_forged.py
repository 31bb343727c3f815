#!/usr/bin/env python3
"""V99: line ends, escapes and 8-bit bytes from a client or a backend never reach the log as they
are, nor what mxq shows of the queue and of alarms, nor a bounce."""

import socket
import threading
import unicodedata

from backend import Backend
from rig import BIN, DOMAIN, RECIPIENT, Rig, wait_for

EVIL = b"\x1b]0;owned\x07\x1b[2J\x7f\x00\xff\xfe\xc2\x9b31m"
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


def harmless(what, text):
    """Valid UTF-8 is; its control characters, to terminals, are also those from 128 to 159."""
    bad = {c for c in text.decode() if unicodedata.category(c) == "Cc"} - {"\n"}
    assert not bad, f"characters {bad} in {what}"
    for line in text.split(b"\n"):
        assert not line.startswith(FORGED), (what, line)


def shown(rig, *arguments):
    done = rig.run(BIN / "mxq", "-c", rig.dir, *arguments, check=True, text=False)
    harmless(f"mxq {arguments}", done.stdout)
    return done.stdout


def recipients_refused():
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
        for listing in ("-p", "-j"):
            wait_for(lambda how=listing: b"4.0.0" in shown(rig, how), "the reason in the queue")
        assert mx.terminate() == 0
        harmless("the log", mx.output.read_bytes())


def greeting_refused():
    """What is said in the greeting becomes an alarm."""
    def answers(stage, _):
        return "554 5.3.2 no \u009b2J\u0080" + EVIL.decode("latin-1") + "\r" + FORGED.decode()
    with Rig() as rig, Backend(answers) as backend:
        rig.configure(relayhost=f"[127.0.0.1]:{backend.port}")
        mx = rig.ringmx()
        with mx.smtp(local_hostname="client.test") as smtp:
            smtp.sendmail(f"a@{DOMAIN}", [RECIPIENT], "Subject: x\r\n\r\n")
        wait_for(lambda: b"ALARM next-hop-down" in shown(rig, "--status"), "the alarm")
        shown(rig, "--status", "--json")
        assert mx.terminate() == 0
        harmless("the log", mx.output.read_bytes())


def bounced():
    """Text of a refusal for good, in the report to the sender: no control byte, no header line."""
    def answers(stage, argument):
        if stage == "RCPT" and RECIPIENT in argument:
            return "550 5.1.1 no " + EVIL.decode("latin-1") + "\rX-Forged: yes"
        return None
    with Rig() as rig, Backend(answers) as backend:
        rig.configure(relayhost=f"[127.0.0.1]:{backend.port}")
        mx = rig.ringmx()
        with mx.smtp(local_hostname="client.test") as smtp:
            smtp.sendmail("s@sender.test", [RECIPIENT], "Subject: x\r\n\r\n")
        wait_for(lambda: backend.to("s@sender.test"), "the bounce")
        body = backend.to("s@sender.test")[0]["body"]
        assert b"5.1.1" in body
        harmless("the bounce", body.replace(b"\r\n", b"\n").replace(b"\t", b" "))
        assert b"\nX-Forged" not in body
        assert mx.terminate() == 0
        harmless("the log", mx.output.read_bytes())


recipients_refused()
greeting_refused()
bounced()
