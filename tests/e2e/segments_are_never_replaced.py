#!/usr/bin/env python3
"""A segment file that is missing, or a queue limit that was lowered, stops the start: a new segment
never takes the place of one that holds mail."""

from rig import BIN, Rig, free_port

with Rig() as rig:
    nowhere = f"[127.0.0.1]:{free_port()}"
    rig.configure(relayhost=nowhere, ringmx_shards=1)
    mx = rig.ringmx()
    assert rig.mxload("-s", "1", "-m", "3")["accepted"] == 3
    assert mx.terminate() == 0

    segments = rig.dir / "queue/segments"
    (segments / "seg-000002").rename(rig.dir / "taken-away")
    refused = rig.run(BIN / "ringmx", "-c", rig.dir)
    assert refused.returncode == 73, refused
    assert "seg-000002" in refused.stderr and "missing" in refused.stderr, refused.stderr
    assert not (segments / "seg-000002").exists()
    (rig.dir / "taken-away").rename(segments / "seg-000002")

    rig.configure(relayhost=nowhere, ringmx_shards=1, ringmx_queue_size_limit=240 << 20)
    refused = rig.run(BIN / "ringmx", "-c", rig.dir)
    assert refused.returncode == 73 and "ringmx_queue_size_limit" in refused.stderr, refused

    sink = rig.mxsink()
    rig.configure(relayhost=f"[127.0.0.1]:{sink.port}", ringmx_shards=1)
    mx = rig.ringmx()
    assert len(sink.wait_for_messages(3)) == 3
    assert mx.terminate() == 0
