#!/usr/bin/env python3
"""V45: more recipients than the limit, good ones and refused ones: 452 4.5.3 or a refusal each,
flat memory, and a message that was accepted goes to exactly those that were."""

from rig import DOMAIN, running_mx, wait_for

LIMIT = 1000
MANY = 20_000


def pipelined(connection, commands):
    """The code of each reply; commands go out in groups that the reply stream keeps up with."""
    raw, file = connection
    codes = []
    for start in range(0, len(commands), 100):
        group = commands[start:start + 100]
        raw.sendall("".join(f"{c}\r\n" for c in group).encode())
        for _ in group:
            line = file.readline()
            while line[3:4] == b"-":
                line = file.readline()
            if not line:
                return codes
            codes.append(line.decode().strip())
    return codes


def count(codes, start):
    return sum(code.startswith(start) for code in codes)


with running_mx(recipients=[f"u{i}@{DOMAIN}" for i in range(LIMIT + 200)]) as (rig, sink, mx):
    connection = mx.connect()
    pipelined(connection, ["EHLO client.test", f"MAIL FROM:<a@{DOMAIN}>"])
    codes = pipelined(connection, [f"RCPT TO:<u{i}@{DOMAIN}>" for i in range(LIMIT + 200)])
    assert count(codes, "250") == LIMIT and count(codes, "452 4.5.3") == 200, codes[-3:]
    assert pipelined(connection, ["DATA"])[0].startswith("354")
    assert pipelined(connection, ["Subject: to all\r\n\r\nhello\r\n."])[0].startswith("250")

    def delivered():
        return sorted(r for m in sink.messages() for r in m["to"])

    wait_for(lambda: len(delivered()) >= LIMIT, "every accepted recipient served")
    assert delivered() == sorted(f"u{i}@{DOMAIN}" for i in range(LIMIT))

    before = mx.rss_kib()
    for commands in ([f"RCPT TO:<u{i % LIMIT}@{DOMAIN}>" for i in range(MANY)],
                     [f"RCPT TO:<x{i}@elsewhere.test>" for i in range(MANY)]):
        connection = mx.connect()
        pipelined(connection, ["EHLO client.test", f"MAIL FROM:<a@{DOMAIN}>"])
        codes = pipelined(connection, commands)
        # It may hang up (421) after enough errors; it may not accept more than its limit.
        assert count(codes, "250") <= LIMIT, count(codes, "250")
        assert len(codes) == MANY or codes[-1].startswith("421"), (len(codes), codes[-1])
    assert mx.rss_kib() - before < 16_384, (before, mx.rss_kib())
    assert rig.mxload("-m", "5", "-d", "-t", f"u1@{DOMAIN}")["accepted"] == 5
    assert mx.terminate() == 0
