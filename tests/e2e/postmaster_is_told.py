#!/usr/bin/env python3
"""notify_classes for sessions: what each class is, where its letter goes, that a letter is bounded
whatever a client says, that a flood of bad sessions is no flood of letters, and that nobody is told
who did not ask. The texts are compared with Postfix's in notices_as_postfix.py."""

import email
import socket

from backend import Backend
from rig import DOMAIN, RECIPIENT, Rig, wait_for

POSTMASTER, ERRORS = f"post@{DOMAIN}", f"err@{DOMAIN}"
SENDER = "MAIL FROM:<someone@sender.example>"
AN_HOUR_MAX = 100  # limits::error_notices_an_hour_max


def start(rig, backend, **parameters):
    rig.configure([RECIPIENT, POSTMASTER, ERRORS], relayhost=f"[127.0.0.1]:{backend.port}",
                  error_notice_recipient=ERRORS, bounce_notice_recipient=POSTMASTER, **parameters)
    return rig.ringmx()


def letters(backend, to=ERRORS):
    return [email.message_from_bytes(m["body"]) for m in backend.to(to)]


def letter(backend, to=ERRORS, count=1):
    wait_for(lambda: len(letters(backend, to)) >= count, f"letter {count} to {to}")
    return letters(backend, to)[count - 1]


def talk(mx, *lines):
    with mx.connect() as client:
        return [client.say(line) for line in lines][-1]


def by_default(shards):
    """resource and software: our own fault. The transcript begins with it."""
    with Rig() as rig, Backend() as backend:
        mx = start(rig, backend, ringmx_shards=shards, ringmx_segment_size=1 << 20,
                   ringmx_queue_size_limit=32 << 20, message_size_limit=30 << 20,
                   smtpd_sender_restrictions="check_sender_access inline:{{bad@x.example=DUNNO}}, "
                                             "check_sender_access fail:always")
        talk(mx, "HELO c", "FOO", "RCPT TO:<x>", "QUIT")
        assert talk(mx, "EHLO c", SENDER + f" SIZE={30 << 20}").startswith("452 4.3.1")
        text = letter(backend).get_payload()
        assert " Out: 452 4.3.1 Insufficient system storage\n" in text.replace("\r", ""), text
        reply = talk(mx, "HELO c", SENDER, f"RCPT TO:<{RECIPIENT}>", "QUIT")
        assert reply.startswith("221"), reply
        second = letter(backend, count=2)
        assert second["Subject"] == "ringmx SMTP server: errors from unknown[127.0.0.1]"
        assert "451 4.3.5 " in second.get_payload(), second.get_payload()
        assert "In:  QUIT" in second.get_payload()
        assert mx.terminate() == 0
        assert len(letters(backend)) == 2 and not letters(backend, POSTMASTER)


def each_class():
    relayed = f"RCPT TO:<{RECIPIENT}>"
    for classes, lines, wanted, to, parameters in (
            ("policy", ["RCPT TO:<a@nowhere.example>"], "Relay access denied", ERRORS, {}),
            ("data", [relayed], "451 4.3.0", ERRORS, {"relay_recipient_maps": "fail:always"}),
            ("protocol", ["FOO"], "500 5.5.2", ERRORS, {"smtpd_timeout": "1s"}),
            ("bounce", [f"RCPT TO:<no@{DOMAIN}>"], "User unknown", POSTMASTER, {})):
        with Rig() as rig, Backend() as backend:
            mx = start(rig, backend, notify_classes=classes, **parameters)
            # The other classes' errors are nobody's business.
            talk(mx, "HELO c", "RSET" if classes == "protocol" else "FOO", "QUIT")
            with mx.connect() as client:
                for line in ["HELO c", SENDER, *lines]:
                    client.say(line)
                if classes == "protocol":
                    assert client.reply().startswith("421 4.4.2")
            text = letter(backend, to).get_payload()
            aborted = "timeout" if classes == "protocol" else "lost connection"
            assert f"Session aborted, reason: {aborted}" in text, text
            assert wanted in text and " In:  HELO c" in text, text
            assert mx.terminate() == 0
            assert len(letters(backend, to)) == 1 == len(backend.messages), backend.messages


def hostile():
    with Rig() as rig, Backend() as backend:
        mx = start(rig, backend, notify_classes="protocol", ringmx_shards=1,
                   smtpd_hard_error_limit=2000, smtpd_soft_error_limit=2000)
        with mx.connect() as client:
            client.say("EHLO c")
            client.socket.sendall(b"FOO \x1b[2J\r\n\r\nFOO\tSubject: forged\r\n" * 300 +
                                  b"y" * 100_000 + b"\r\nQUIT\r\n")
            while client.reply():
                pass
        mail = backend.to(ERRORS) or wait_for(lambda: backend.to(ERRORS), "the letter")
        body = mail[0]["body"]
        assert len(body) < 20_000 and b"\x1b" not in body, len(body)
        assert b" lines left out]" in body and b"\r\nSubject: forged" not in body
        assert max(len(line) for line in body.split(b"\r\n")) < 998
        # Who hangs up in the middle of a line is written down, too.
        with socket.create_connection(("127.0.0.1", mx.port)) as client:
            client.recv(100)
            client.sendall(b"FOO\r\nhalf a li")
            client.recv(100)
        assert "half a li" in letter(backend, count=2).get_payload()
        # No flood.
        for _ in range(AN_HOUR_MAX + 5):
            talk(mx, "FOO", "QUIT")
        wait_for(lambda: mx.counters()["error_notices_left_out"] == 7, "seven left out")
        wait_for(lambda: len(letters(backend)) == AN_HOUR_MAX, "the letters of an hour")
        wait_for(lambda: len(mx.lines("letters about errors of sessions in an hour")) == 1,
                 "the word of what was left out")
        assert mx.terminate() == 0
        assert len(letters(backend)) == AN_HOUR_MAX


by_default(1)
by_default(4)
each_class()
hostile()
