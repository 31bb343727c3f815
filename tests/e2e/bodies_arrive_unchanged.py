#!/usr/bin/env python3
"""What the sink gets is our header block, then the message, byte for byte. A message that begins
neither with a header nor with an empty line gets the empty line that keeps it out of our header. It
makes no difference whether it comes by DATA or by BDAT, nor where the chunks are cut."""

import random
import re

from rig import DOMAIN, RECIPIENT, running_mx

LINE_998 = b"x" * 998 + b"\r\n"
RANDOM = random.Random(5).randbytes(300_000).replace(b"\r", b"r").replace(b"\n", b"n")
EIGHT_BIT = b"\r\n".join(RANDOM[i:i + 500] for i in range(0, len(RANDOM), 500)) + b"\r\n"

BODIES = {
    "plain": b"Subject: a\r\n\r\nhello\r\n",
    "empty": b"",
    "one empty line": b"\r\n",
    "no header at all": b"just text\r\nand more\r\n",
    "header without body": b"Subject: a\r\n",
    "dots": b"Subject: a\r\n\r\n.\r\n..\r\n...\r\n.x\r\n\r\n.\r\n.\r\n",
    "only a dot": b".\r\n",
    "dot first": b".a\r\nb\r\n",
    "998 character lines": b"Subject: a\r\n\r\n" + LINE_998 * 20,
    "998 characters, dot first": b"\r\n" + b"." + LINE_998[1:] + b"." * 998 + b"\r\n",
    "8-bit": b"Subject: a\r\n\r\n" + EIGHT_BIT,
    "NUL and controls": b"Subject: a\r\n\r\n" + bytes(set(range(32)) - {10, 13}) + b"\r\n",
    "20 MB": b"Subject: big\r\n\r\n" + (b"0123456789abcdef" * 4 + b"\r\n") * 300_000,
    "20 MB of dots": b"\r\n" + b".\r\n" * 6_700_000,
}


def send(dialogue, body):
    dialogue.say(f"MAIL FROM:<a@{DOMAIN}> BODY=8BITMIME", "250")
    dialogue.say(f"RCPT TO:<{RECIPIENT}>", "250")
    dialogue.say("DATA", "354")
    stuffed = body.replace(b"\r\n.", b"\r\n..")
    if stuffed.startswith(b"."):
        stuffed = b"." + stuffed
    dialogue.say(stuffed + b".", "250")


def send_chunks(dialogue, body, random):
    dialogue.say(f"MAIL FROM:<a@{DOMAIN}> BODY=8BITMIME", "250")
    dialogue.say(f"RCPT TO:<{RECIPIENT}>", "250")
    largest = max(1, len(body) // random.choice([1, 2, 7, 60]))
    while len(body) > largest or (body and random.random() < 0.5):
        size = random.randint(1, min(largest, len(body)))
        dialogue.socket.sendall(b"BDAT %d\r\n" % size + body[:size])
        assert dialogue.reply() == f"250 2.0.0 Ok: {size} bytes"
        body = body[size:]
    dialogue.socket.sendall(b"BDAT %d LAST\r\n" % len(body) + body)
    assert re.match(r"250 2\.0\.0 Ok: \d+ bytes queued as", dialogue.reply())


def without_trace(message):
    """The message without the Received header that each hop adds in front."""
    trace = re.match(rb"Received: [^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*", message)
    assert trace, message[:500]
    return message[trace.end():]



with running_mx(("--store", "store"), message_size_limit="60000000") as (rig, sink, mx):
    dialogue = mx.connect()
    dialogue.say("EHLO client.test", "250")
    cuts = random.Random(7)
    both = [(name, body, by) for name, body in BODIES.items() for by in ("DATA", "BDAT")]
    for count, (name, wanted, by) in enumerate(both, 1):
        if by == "DATA":
            send(dialogue, wanted)
        else:
            send_chunks(dialogue, wanted, cuts)
        message = sink.wait_for_messages(count)[count - 1]
        with open(rig.dir / message["file"], "rb") as stored:
            got = without_trace(stored.read())
        if wanted and not re.match(rb"\r\n|[!-9;-~]+[ \t]*:", wanted):
            wanted = b"\r\n" + wanted
        assert got == wanted, \
            f"{name} by {by}: {len(wanted)} bytes sent, {len(got)} arrived: {got[:200]!r}"
