#!/usr/bin/env python3
"""A queue of more than 1 GiB: the first GiB is there before the banner, the rest is made while mail
flows (within the sandbox), and is then part of the queue."""

from rig import Rig, wait_for

SEGMENT = 32 << 20
COUNT = (1 << 30) // SEGMENT + 3

with Rig() as rig:
    sink = rig.mxsink()
    rig.configure(relayhost=f"[127.0.0.1]:{sink.port}", ringmx_segment_size=SEGMENT,
                  ringmx_queue_size_limit=COUNT * SEGMENT)
    mx = rig.ringmx()
    mx.said(f"making {COUNT - 3} queue segments")
    assert rig.mxload("-s", "5", "-m", "200", "-d")["accepted"] == 200
    names = {f"seg-{i:06d}" for i in range(COUNT)}
    directory = rig.dir / "queue" / "segments"
    wait_for(lambda: {p.name for p in directory.iterdir()} == names or mx.lines("queue-size"),
             "all segments", 120)
    assert not mx.lines("alarm queue-size"), mx.lines("queue-size")
    sink.wait_for_messages(200)
    assert mx.terminate() == 0
