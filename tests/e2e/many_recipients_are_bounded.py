#!/usr/bin/env python3
"""V45: more recipients than the limit, good ones and refused ones: 452 4.5.3 or a refusal each,
flat memory, and a message that was accepted goes to exactly those that were."""

from rig import DOMAIN, running_mx, wait_for

LIMIT = 1000
MANY = 20_000


def pipelined(dialogue, commands):
    """The reply to each; commands go out in groups, as the replies keep up with them."""
    replies = []
    for start in range(0, len(commands), 100):
        group = commands[start:start + 100]
        dialogue.socket.sendall("".join(f"{c}\r\n" for c in group).encode())
        for _ in group:
            reply = dialogue.reply()
            if not reply:
                return replies
            replies.append(reply)
    return replies


def count(codes, start):
    return sum(code.startswith(start) for code in codes)


def begin(mx):
    dialogue = mx.connect()
    dialogue.say("EHLO client.test", "250")
    dialogue.say(f"MAIL FROM:<a@{DOMAIN}>", "250")
    return dialogue


with running_mx(recipients=[f"u{i}@{DOMAIN}" for i in range(LIMIT + 200)],
                smtpd_error_sleep_time="0") as (rig, sink, mx):
    dialogue = begin(mx)
    codes = pipelined(dialogue, [f"RCPT TO:<u{i}@{DOMAIN}>" for i in range(LIMIT + 200)])
    assert count(codes, "250") == LIMIT and count(codes, "452 4.5.3") == 200, codes[-3:]
    dialogue.say("DATA", "354")
    dialogue.say("Subject: to all\r\n\r\nhello\r\n.", "250")

    def delivered():
        return sorted(r for m in sink.messages() for r in m["to"])

    wait_for(lambda: len(delivered()) >= LIMIT, "every accepted recipient served")
    assert delivered() == sorted(f"u{i}@{DOMAIN}" for i in range(LIMIT))

    before = mx.rss_kib()
    for commands in ([f"RCPT TO:<u{i % LIMIT}@{DOMAIN}>" for i in range(MANY)],
                     [f"RCPT TO:<x{i}@elsewhere.test>" for i in range(MANY)]):
        with begin(mx) as dialogue:
            codes = pipelined(dialogue, commands)
        # It may hang up (421) after enough errors; it may not accept more than its limit.
        assert count(codes, "250") <= LIMIT, count(codes, "250")
        assert len(codes) == MANY or codes[-1].startswith("421"), (len(codes), codes[-1])
    assert mx.rss_kib() - before < 16_384, (before, mx.rss_kib())
    assert rig.mxload("-m", "5", "-d", to=f"u1@{DOMAIN}")["accepted"] == 5
    assert mx.terminate() == 0
