#!/usr/bin/env python3
"""What the sink gets is our header block, then the message, byte for byte."""

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


def send(file_and_socket, body):
    raw, file = file_and_socket

    def say(line, wanted):
        raw.sendall(line)
        reply = file.readline()
        while reply[3:4] == b"-":
            reply = file.readline()
        assert reply.startswith(wanted), (line[-80:], reply)

    say(b"MAIL FROM:<a@%s> BODY=8BITMIME\r\n" % DOMAIN.encode(), b"250")
    say(b"RCPT TO:<%s>\r\n" % RECIPIENT.encode(), b"250")
    say(b"DATA\r\n", b"354")
    stuffed = body.replace(b"\r\n.", b"\r\n..")
    if stuffed.startswith(b"."):
        stuffed = b"." + stuffed
    say(stuffed + b".\r\n", b"250")


def without_trace(message):
    """The message without the Received header that each hop adds in front."""
    trace = re.match(rb"Received: [^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*", message)
    assert trace, message[:500]
    return message[trace.end():]



with running_mx(("--store", "store"), message_size_limit="60000000") as (rig, sink, mx):
    connection = mx.connect()
    connection[0].sendall(b"EHLO client.test\r\n")
    while connection[1].readline()[3:4] == b"-":
        pass
    for count, (name, wanted) in enumerate(BODIES.items(), 1):
        send(connection, wanted)
        message = sink.wait_for_messages(count)[count - 1]
        with open(rig.dir / message["file"], "rb") as stored:
            got = without_trace(stored.read())
        assert got == wanted, f"{name}: {len(wanted)} bytes sent, {len(got)} arrived: {got[:200]!r}"
