#!/usr/bin/env python3
"""V24, V27: command lines of any length, to one that never ends: 500 5.5.2, then the connection
goes; memory is flat and nothing of the line is taken for another command."""

from rig import running_mx, wait_for


def replies(mx, line):
    """What comes back for a line, to the end of the connection or to QUIT's answer."""
    raw, file = mx.connect()
    with raw:
        try:
            raw.sendall(line + b"\r\nQUIT\r\n")
        except ConnectionError:
            return [b""]
        try:
            return file.read().split(b"\r\n")
        except ConnectionError:
            return [b""]


def endless(mx):
    """Bytes without a line end until the server has enough; how many it took."""
    raw, _ = mx.connect()
    sent = 0
    with raw:
        raw.settimeout(30)
        try:
            while sent < 1 << 30:
                sent += raw.send(b"EHLO " + b"x" * 65_536)
        except OSError:
            pass
    return sent


with running_mx() as (rig, sink, mx):
    assert replies(mx, b"EHLO a.test")[-2].startswith(b"221")
    for size in (512, 2_000):
        answer = replies(mx, b"EHLO " + b"x" * size)
        assert answer[0][:3] in (b"250", b"501", b"500"), (size, answer)
    for size in (2_049, 11_000, 12_000, 1_000_000):
        answer = replies(mx, b"EHLO " + b"x" * size)
        assert answer[0] == b"" or answer[0].startswith(b"500 5.5.2 "), (size, answer)
    for line in (b"EHLO a\0b", b"EHLO a\x1bb", b"NOOP a\rMAIL FROM:<a@b.test>"):
        answer = replies(mx, line)
        assert len(answer) <= 12 and answer[-2][:3] == b"221", (line, answer)

    before = mx.rss_kib()
    taken = [endless(mx) for _ in range(10)]
    assert max(taken) < 64 << 20, taken
    assert mx.rss_kib() - before < 8_192, (before, mx.rss_kib())
    descriptors = mx.descriptors()
    wait_for(lambda: mx.descriptors() <= descriptors, "their descriptors are free")
    assert rig.mxload("-m", "5", "-d")["accepted"] == 5
    assert mx.terminate() == 0
