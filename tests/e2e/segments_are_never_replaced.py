#!/usr/bin/env python3
"""A segment file that is missing, of a newer format, or a queue limit that was lowered, stops the
start: a new segment never takes the place of one that holds mail."""

import ctypes
import ctypes.util

from rig import BIN, Rig, free_port



def of_version(path, version):
    """Gives the header of the segment's life another version, and the check that goes with it."""
    xxhash = ctypes.CDLL(ctypes.util.find_library("xxhash"))
    xxhash.XXH3_64bits.restype = ctypes.c_uint64
    with path.open("r+b") as file:
        file.seek(4096)
        head = file.read(72)
        assert head[:8] == b"RMXSEGM1", head
        head = head[:8] + version.to_bytes(4, "little") + head[12:]
        file.seek(4096)
        file.write(head + xxhash.XXH3_64bits(head, ctypes.c_size_t(72)).to_bytes(8, "little"))


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

    alive = next(p for p in sorted(segments.iterdir()) if p.read_bytes()[4096:4104] == b"RMXSEGM1")
    written = int.from_bytes(alive.read_bytes()[4104:4108], "little")
    of_version(alive, written + 1)
    rig.configure(relayhost=nowhere, ringmx_shards=1)
    refused = rig.run(BIN / "ringmx", "-c", rig.dir)
    assert refused.returncode == 65 and alive.name in refused.stderr, refused
    assert "newer version" in refused.stderr, refused.stderr
    of_version(alive, written)

    sink = rig.mxsink()
    rig.configure(relayhost=f"[127.0.0.1]:{sink.port}", ringmx_shards=1)
    mx = rig.ringmx()
    assert len(sink.wait_for_messages(3)) == 3
    assert mx.terminate() == 0
