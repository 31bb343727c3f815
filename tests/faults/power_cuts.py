#!/usr/bin/env python3
"""Real power cuts: ringmx's queue on a disk whose cache is lost (tests/e2e/volatile_disk.py), cut
while mail flows. Every message that got its 250 must be there afterwards, whole. And a control: on
a disk that only pretends to flush, mail must get lost, or the test proves nothing.

  power_cuts.py [CYCLES] [--fs ext4|xfs] [--seed N] [--sync auto|fdatasync|dsync|together]

together: fdatasync, and one flush for the journals of all shards.
"""

import argparse
import collections
import pathlib
import random
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))

from rig import BIN, DOMAIN, RECIPIENT, Rig, free_port, wait_for  # noqa: E402
from volatile_disk import VolatileDisk, need_disk, settle_moment  # noqa: E402

SESSIONS = 8


def ids(path):
    text = path.read_text() if path.exists() else ""
    return text.rpartition("\n")[0].split()


def sender(rig):
    return rig.process("mxload", BIN / "mxload", "-s", SESSIONS, "-m", 10_000_000, "-l", "3000",
                       "-d", "-f", f"a@{DOMAIN}", "-t", RECIPIENT, "--ledger", rig.dir / "sender",
                       f"127.0.0.1:{rig.port}")


def configure(rig, port, sync):
    rig.configure(relayhost=f"[127.0.0.1]:{port}", minimal_backoff_time="1s",
                  maximal_backoff_time="2s", ringmx_segment_size=4 << 20, ringmx_shards=2,
                  ringmx_queue_size_limit=160 << 20,
                  ringmx_queue_sync="fdatasync" if sync == "together" else sync,
                  ringmx_queue_flush="together" if sync == "together" else "each")


def cut(rig, disk, mx, chance):
    """Mail flows, the power goes at some moment of it."""
    before = len(ids(rig.dir / "sender"))
    load = sender(rig)
    wait_for(lambda: len(ids(rig.dir / "sender")) > before, "mail accepted")
    settle_moment(chance.uniform(0, 0.4))
    disk.power_off()
    mx.kill()
    if load.running():
        load.kill()
    disk.settle()


def compare(rig, sink, cycles):
    acknowledged = ids(rig.dir / "sender")
    assert len(acknowledged) == len(set(acknowledged))

    def missing():
        return set(acknowledged) - {m["id"] for m in sink.messages()}

    return acknowledged, missing


def honest(cycles, fs, seed, sync):
    chance = random.Random(seed)
    with Rig() as rig:
        disk = VolatileDisk(rig.dir / "disk", rig.dir / "queue", fs)
        try:
            sink = rig.mxsink()
            configure(rig, sink.port, sync)
            for _ in range(cycles):
                disk.up()
                cut(rig, disk, rig.ringmx(), chance)
            disk.up()
            mx = rig.ringmx()
            acknowledged, missing = compare(rig, sink, cycles)
            wait_for(lambda: not missing(), "every acknowledged message", 120)
            wait_for(lambda: mx.counters()["queued"] == 0, "an empty queue", 60)
            assert not mx.lines("alarm queue-damaged"), mx.lines("damaged")
            assert mx.terminate() == 0
            counts = collections.Counter(m["id"] for m in sink.messages())
            unknown = set(counts) - set(acknowledged)
            assert len(unknown) <= cycles * SESSIONS, f"{len(unknown)} arrived without a 250"
            twice = sum(n > 1 for n in counts.values())
            print(f"{fs}, {sync}: {cycles} power cuts, {len(acknowledged)} acknowledged, "
                  f"0 lost, {twice} delivered twice, {len(unknown)} delivered without their 250",
                  flush=True)
            disk.down()
        finally:
            disk.remove()


def control(fs, seed, sync):
    """The same on a disk that lies: then acknowledged mail is missing."""
    chance = random.Random(seed)
    with Rig() as rig:
        disk = VolatileDisk(rig.dir / "disk", rig.dir / "queue", fs)
        port = free_port()
        try:
            configure(rig, port, sync)
            disk.up()
            assert rig.ringmx().terminate() == 0  # the segments are made, and stay
            disk.down()
            disk.up(lying=True)
            cut(rig, disk, rig.ringmx(), chance)
            disk.up()
            sink = rig.mxsink(port=port)
            mx = rig.ringmx()
            acknowledged, missing = compare(rig, sink, 1)
            wait_for(lambda: mx.counters()["queued"] == 0, "an empty queue", 60)
            lost = len(missing())
            assert mx.terminate() == 0
            print(f"{fs}, {sync}, control on a disk that lies: {len(acknowledged)} acknowledged, "
                  f"{lost} lost", flush=True)
            assert lost > 0, "no mail was lost without flushes: the test proves nothing"
            disk.down()
        finally:
            disk.remove()


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("cycles", nargs="?", type=int, default=20)
    arguments.add_argument("--fs", choices=("ext4", "xfs"), default="ext4")
    arguments.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    arguments.add_argument("--sync", default="auto",
                           choices=("auto", "fdatasync", "dsync", "together"))
    options = arguments.parse_args()
    need_disk()
    print(f"seed {options.seed}", flush=True)
    honest(options.cycles, options.fs, options.seed, options.sync)
    control(options.fs, options.seed, options.sync)


if __name__ == "__main__":
    main()
