#!/usr/bin/env python3
"""V24, V27: command lines of any length, to one that never ends: 500 5.5.2, then the connection
goes; memory is flat and nothing of the line is taken for another command."""

import contextlib

from rig import running_mx, wait_for


def replies(mx, line):
    """The replies to this line and to a QUIT after it; empty: hung up."""
    with mx.connect() as dialogue:
        return dialogue.say(line), dialogue.say("QUIT")


def endless(mx):
    """Bytes without a line end until the server has enough; how many it took."""
    sent = 0
    with mx.connect() as dialogue, contextlib.suppress(OSError):
        while sent < 1 << 30:
            sent += dialogue.socket.send(b"EHLO " + b"x" * 65_536)
    return sent


with running_mx() as (rig, sink, mx):
    for size in (512, 2_000):
        answer = replies(mx, b"EHLO " + b"x" * size)
        assert answer[0][:3] in ("250", "501", "500") and answer[1][:3] == "221", (size, answer)
    for size in (2_049, 11_000, 12_000, 1_000_000):
        answer = replies(mx, b"EHLO " + b"x" * size)
        assert answer[0] == "" or answer[0].startswith("500 5.5.2 "), (size, answer)
    for line in (b"EHLO a.test", b"EHLO a\0b", b"EHLO a\x1bb", b"NOOP a\rMAIL FROM:<a@b.test>"):
        assert replies(mx, line)[1] == "221 2.0.0 Bye", (line, replies(mx, line))

    descriptors = mx.descriptors()
    taken = [endless(mx) for _ in range(20)]  # shared buffers are touched for the first time
    before = mx.rss_kib()
    taken += [endless(mx) for _ in range(40)]
    assert max(taken) < 64 << 20, taken
    assert mx.rss_kib() - before < 2_048, (before, mx.rss_kib())
    wait_for(lambda: mx.descriptors() <= descriptors, "their descriptors are free")
    assert rig.mxload("-m", "5", "-d")["accepted"] == 5
    assert mx.terminate() == 0
