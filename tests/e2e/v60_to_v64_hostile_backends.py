#!/usr/bin/env python3
"""Backends that break every rule (V60, V62, V63, V64): what they do is bounded, is never taken for
a delivery, puts no control byte into log or queue, and the message is delivered once a sane backend
answers. Twice may arrive only what a backend took without saying so."""

import smtplib

from backend import Backend
from rig import BIN, RECIPIENT, Rig, wait_for

GREETING = b"220 x ESMTP\r\n"
EHLO = b"250-x\r\n250-PIPELINING\r\n250 8BITMIME\r\n"


def raw(*pieces):
    """Sends each piece after a read of what the client says, the first at once; then hangs up."""
    def script(handler):
        for i, piece in enumerate(pieces):
            if i > 0 and not handler.connection.recv(65536):
                return
            handler.connection.sendall(piece)
    return script


def endless(piece, count):
    def script(handler):
        handler.connection.settimeout(20)
        for _ in range(count):
            handler.connection.sendall(piece)
    return script


def takes_the_body(end):
    """Up to the final dot in order; then `end` is said, and the line is cut."""
    def script(handler):
        handler.connection.sendall(GREETING)
        handler.rfile.readline()
        handler.connection.sendall(b"250 x\r\n")
        for reply in (b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"):
            handler.rfile.readline()
            handler.connection.sendall(reply)
        while handler.rfile.readline() not in (b".\r\n", b""):
            pass
        handler.connection.sendall(end)
    return script


REPLIES = {  # V60, V61: as a greeting, and as the reply to EHLO
    "unfinished": b"550-a", "two codes": b"550-a\n550 b\n", "one digit": b"5\r\n",
    "empty": b"\r\n", "no text": b"550\r\n", "codes differ": b"250-x\r\n550 y\r\n",
    "code 000": b"000 x\r\n", "blank in code": b"25 0\r\n", "code 999": b"999 x\r\n",
    "control bytes": b"421 \x00\x1b[31m red \x07\r\n", "short status": b"421 4.1\r\n",
    "nothing": b""}
STAGES = {  # V62, V63
    "early 250": raw(GREETING, b"250 x\r\n", b"250 ok\r\n", b"250 ok\r\n",
                     b"354 go\r\n250 2.0.0 taken\r\n"),
    "three replies": raw(GREETING, b"250 x\r\n250 a\r\n250 b\r\n"),
    "250 to DATA": raw(GREETING, b"250 x\r\n", b"250 ok\r\n", b"250 ok\r\n", b"250 what\r\n"),
    "354 to RCPT": raw(GREETING, b"250 x\r\n", b"250 ok\r\n", b"354 go\r\n"),
    "421 to MAIL": raw(GREETING, b"250 x\r\n", b"421 4.3.2 away\r\n"),
    "drop at RCPT": raw(GREETING, b"250 x\r\n", b"250 ok\r\n", b""),
    "drop in a pipelined group": raw(GREETING, EHLO, b"250 ok\r\n"),
    "451 after the dot": takes_the_body(b"451 4.3.0 later\r\n"),
    "421 after the dot": takes_the_body(b"421 4.3.0 later\r\n")}
CAPABILITIES = {  # V64
    "64 KiB keyword": raw(GREETING, b"250-" + b"K" * 65536 + b"\r\n250 x\r\n"),
    "SIZE lies": raw(GREETING, b"250-x\r\n250-SIZE -1\r\n250-SIZE 18446744073709551616\r\n"
                     b"250 SIZE x\r\n", b"421 4.3.2 away\r\n")}


def mxq(rig, *arguments):
    return rig.run(BIN / "mxq", "-c", rig.dir, *arguments, check=True).stdout


def survive(rig, mx, backend, name, script):
    """One message meets the script, and is delivered by the next, sane connection."""
    before = len(backend.messages)
    backend.scripts.append(script)
    with smtplib.SMTP("127.0.0.1", rig.port) as smtp:
        smtp.sendmail("a@sender.example", [RECIPIENT], f"Subject: {name}\r\n\r\nx\r\n")
    wait_for(lambda: not backend.scripts, f"{name}: its connection")

    def delivered():
        mxq(rig, "-f")
        return len(backend.messages) > before
    wait_for(delivered, f"{name}: delivery", 30)
    wait_for(lambda: mx.counters()["queued"] == 0, f"{name}: an empty queue", 30)
    assert len(backend.messages) == before + 1, name
    assert name.encode() in backend.messages[-1]["body"], name


def unknown_outcome(rig, mx, backend):
    """It took the message and went without a word: counted, said, sent again."""
    before = mx.counters()["outcome_unknown"]
    survive(rig, mx, backend, "gone after the dot", takes_the_body(b""))
    assert mx.counters()["outcome_unknown"] == before + 1


with Rig() as the_rig, Backend(one_message=True) as sane:
    the_rig.configure(relayhost=f"[127.0.0.1]:{sane.port}", minimal_backoff_time="1s",
                      maximal_backoff_time="1s", ringmx_shards=1,
                      ringmx_backend_check_interval=0)  # scripts are for mail
    daemon = the_rig.ringmx()
    first = daemon.rss_kib()
    for name, reply in REPLIES.items():
        survive(the_rig, daemon, sane, f"greeting {name}", raw(reply))
        survive(the_rig, daemon, sane, f"EHLO {name}", raw(GREETING, reply))
    for name, script in (STAGES | CAPABILITIES).items():
        survive(the_rig, daemon, sane, name, script)
    unknown_outcome(the_rig, daemon, sane)
    survive(the_rig, daemon, sane, "10 MB without an end", endless(b"2" * 100_000, 100))
    survive(the_rig, daemon, sane, "endless continuation", endless(b"220-x\r\n" * 1000, 1000))
    assert daemon.rss_kib() - first < 40_000, daemon.rss_kib() - first
    assert "\x1b" not in daemon.text() and "\x00" not in daemon.text()
    assert daemon.counters()["recipients_bounced"] == 0
    assert daemon.terminate() == 0
