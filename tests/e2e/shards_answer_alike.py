#!/usr/bin/env python3
"""One shard and four give the same replies, and mail taken by four is delivered by one after a
restart."""

from rig import DOMAIN, RECIPIENT, Rig, free_port

DIALOGUE = ["NOOP", f"MAIL FROM:<a@{DOMAIN}>", "EHLO client.example", "VRFY x", "RCPT TO:<x@y>",
            f"MAIL FROM:<a@{DOMAIN}>", f"RCPT TO:<nobody@{DOMAIN}>",
            "RCPT TO:<a@elsewhere.example>", "RCPT TO:<postmaster>", f"RCPT TO:<{RECIPIENT}>",
            "RSET", "BOGUS", "QUIT"]

with Rig() as rig:
    replies = {}
    port = free_port()
    for shards in (1, 4):
        rig.configure(relayhost=f"[127.0.0.1]:{port}", ringmx_shards=shards,
                      ringmx_segment_size=8 << 20)
        mx = rig.ringmx()
        for _ in range(8):  # several connections, so that more than one shard answers
            with mx.connect() as client:
                told = [client.say(line) for line in DIALOGUE]
            assert replies.setdefault("any", told) == told, (shards, told)
        assert rig.mxload("-s", "20", "-m", "100")["accepted"] == 100
        assert mx.terminate() == 0
    rig.configure(relayhost=f"[127.0.0.1]:{port}", ringmx_shards=1, ringmx_segment_size=8 << 20)
    sink = rig.mxsink(port=port)
    mx = rig.ringmx()
    assert len(sink.wait_for_messages(200)) == 200
    assert mx.terminate() == 0
