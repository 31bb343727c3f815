#!/usr/bin/env python3
"""V50 to V56: headers and bodies made to be slow, to be cut, or to be taken for something else.
They pass through byte for byte or are refused by their size, in time that grows with their
length."""

import re
import time

from rig import DOMAIN, RECIPIENT, running_mx

LIMIT = 120_000_000
FILLER = b"x" * 990 + b"\r\n"
BODY = b"\r\nbody\r\n"


def nested(count):
    return b"".join(b"Content-Type: message/rfc822\r\n\r\n" for _ in range(count))


PASS = {
    "V50 one header of 100 MB": b"X-Long: a\r\n" + (b" " + FILLER) * 100_000 + BODY,
    "V50 a million headers": b"A: b\r\n" * 1_000_000 + BODY,
    "V50 a name of 64 KB": b"\r\n" + b"N" * 65_536 + b": x\r\n" + BODY,
    "V50 a name of 2000 bytes": b"N" * 2000 + b": x\r\n" + BODY,
    "V50 no colon": b"\r\n" + b"no colon here\r\n" + BODY,
    "V50 50 hops less ours and one": b"Received: from a\r\n" * 48 + BODY,
    "V51 names of other languages": b"__proto__: x\r\nconstructor: y\r\n" + BODY,
    "V51 8-bit and NUL": b"Subject: \xff\xfe\0\r\nX: y\r\n" + BODY,
    "V52 nested": nested(10_000) + BODY,
    "V52 a million parts": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" +
        b"--b\r\n\r\nx\r\n" * 1_000_000 + b"--b--\r\n",
    "V52 a boundary of 64 KB": b"Content-Type: multipart/mixed; boundary=" + b"b" * 65_536 +
        b"\r\n" + BODY,
    "V53 groups": b"To: " + b"a:b:c:" * 100_000 + b"\r\n" + BODY,
    "V53 comments": b"To: " + b"(" * 1_000_000 + b"\r\n" + BODY,
    "V53 commas": b"To: " + b"a@b," * 100_000 + b"\r\n" + BODY,
    "V53 brackets": b"From: " + b"<>" * 500_000 + b"\r\n" + BODY,
    "V56 UTF-8 cut at the end": b"Subject: \xe4\xba\r\n" + BODY,
    "V56 DKIM hash of another length": b"DKIM-Signature: v=1; bh=" + b"A" * 9 + b"; b=\r\n" + BODY,
}
REFUSED = {
    "V50 50 hops": (b"Received: from a\r\n" * 50 + BODY, "554 5.4.0"),
    "V54 From_ lines of 130 MB": ((b"From x" + FILLER) * 130_000 + BODY, "552 5.3.4"),
    "V55 ten times the limit": (b"A: b\r\n\r\n" + FILLER * 1_300_000, "552 5.3.4"),
}


def send(mx, message, chunks):
    """(the last reply, seconds)"""
    with mx.connect() as client:
        client.say("EHLO client.test", "250")
        client.say(f"MAIL FROM:<a@{DOMAIN}>", "250")
        client.say(f"RCPT TO:<{RECIPIENT}>", "250")
        begun = time.monotonic()
        if chunks:
            client.socket.sendall(b"BDAT %d LAST\r\n" % len(message))
            try:
                client.socket.sendall(message)
            except ConnectionError:
                pass  # refused at once and closed: more than half over the limit
            return client.reply(), time.monotonic() - begun
        client.say("DATA", "354")
        return client.say(message + b".", ""), time.monotonic() - begun


with running_mx(("--store", "store"), message_size_limit=str(LIMIT),
                ringmx_queue_size_limit=1 << 30) as (rig, sink, mx):
    count = 0
    rate = send(mx, b"A: b\r\n\r\n" + FILLER * 100_000, False)[1] / 100e6  # seconds a byte
    count += 1
    for name, message in PASS.items():
        for chunks in (False, True) if len(message) < 10_000_000 else (False,):
            reply, seconds = send(mx, message, chunks)
            assert reply.startswith("250 "), (name, reply)
            assert seconds < 10 * rate * len(message) + 2, (name, seconds, rate)
            count += 1
            got = sink.wait_for_messages(count)[count - 1]
            data = (rig.dir / got["file"]).read_bytes()
            (rig.dir / got["file"]).unlink()
            own = re.match(rb"Received: [^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*", data)
            rest = data[own.end():]
            assert rest == message, (name, len(rest), len(message), rest[:99])
    for name, (message, wanted) in REFUSED.items():
        for chunks in (False, True):
            reply, seconds = send(mx, message, chunks)
            assert reply.startswith(wanted) or (chunks and reply in ("", wanted)), (name, reply)
    assert sink.count() == count and mx.running()
    assert mx.rss_kib() < 700_000, mx.rss_kib()
