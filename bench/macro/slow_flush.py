#!/usr/bin/env python3
"""The journal on a device whose flush takes 2 ms: do several journals get in each other's way, and
how many messages share a flush?

  slow_flush.py [--flush-us N] [--journals 1,4,16] [--sessions N] [--messages N] [--length N]
                [--rate N] [--alone-rate N] [--alone] [--flush each|together]
                [--segment MIB] [--directory DIR]

With --directory the queue is put there instead, on a device as it is (a real drive, or a guest's
disk whose flush is slow); its flush time is what the bare loop says.

For each number of journals (ringmx_shards), in one run: the bare loop (one thread, 16 KiB written
and flushed, again and again), the journals alone in an open loop (journal_load), then, unless
--alone, mail: mxload in a closed loop over all sessions, then an open loop at half of that rate, or
at --rate: latency from the final dot to its 250, flushes a message.

Without --directory it needs root, /dev/fuse, loop devices, cc, and nbdkit with its header
(nbdkit-plugin-dev).
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

from rig import BIN, Rig, skip, wait_for  # noqa: E402
from volatile_disk import VolatileDisk, need_disk  # noqa: E402

PLUGIN = pathlib.Path(__file__).with_name("slow_flush_disk.c")


class SlowFlushDisk(VolatileDisk):
    def __init__(self, folder, mount, flush_us, size):
        super().__init__(folder, mount, size=size)
        self.flush_us = flush_us

    def server(self, lying, failing):
        return ["cc", PLUGIN, f"file={self.image}", f"flush_us={self.flush_us}"]


def journals_alone(queue, journals, rate, flush):
    """Without SMTP: what the journals do to each other, beside the bare loop on the device."""
    together = ["--together"] if flush == "together" else []
    folder = queue / "alone"
    folder.mkdir()
    done = subprocess.run([BIN / "journal_load", folder, "--journals", str(journals), "--rate",
                           str(rate), *together], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    folder.rmdir()
    result = json.loads(done.stdout)
    bare, durable = result["bare_us"], result["durable_us"]
    print(f"{journals:2} journals alone: {rate}/s durable after p50 {durable['p50']} "
          f"p99 {durable['p99']} us, {result['flushes_a_message']:.3f} flushes a message; "
          f"bare flush p50 {bare['p50']} p99 {bare['p99']}", flush=True)


def measure(options, journals):
    with Rig() as rig:
        segment = options.segment << 20
        segments = max(32, 7 * journals + 2 + 16)
        queue = rig.dir / "queue"
        disk = None
        if options.directory:
            queue = options.directory / "slow-flush-queue"
            queue.mkdir()
        else:
            disk = SlowFlushDisk(rig.dir / "disk", queue, options.flush_us,
                                 (segments + 16) * segment)
            disk.up()
        try:
            journals_alone(queue, journals, options.alone_rate, options.flush)
            if options.alone:
                return
            sink = rig.mxsink()
            rig.configure(relayhost=f"[127.0.0.1]:{sink.port}", ringmx_shards=journals,
                          ringmx_segment_size=segment, ringmx_queue_size_limit=segments * segment,
                          queue_directory=queue,
                          ringmx_queue_sync="fdatasync",
                          ringmx_queue_flush=options.flush, smtpd_client_connection_count_limit=0,
                          smtpd_client_event_limit_exceptions="static:all")
            mx = rig.ringmx()
            load = ["-s", options.sessions, "-l", options.length, "-d"]
            rig.mxload("-m", options.messages // 4, *load)
            before = mx.counters()
            closed = rig.mxload("-m", options.messages, *load)
            after = mx.counters()
            flushes = (after["journal_flushes"] - before["journal_flushes"]) / options.messages
            rate = options.rate or max(1, int(closed["rate"] / 2))
            opened = rig.mxload("-m", min(options.messages, rate * 10), "--rate", rate, *load)
            print(f"{journals:2} journals, SMTP: "
                  f"closed loop {closed['rate']:.0f}/s, p50 {closed['commit_us']['p50']} "
                  f"p99 {closed['commit_us']['p99']}, {flushes:.3f} flushes a message; "
                  f"open loop at {rate}/s p50 {opened['commit_us']['p50']} "
                  f"p99 {opened['commit_us']['p99']}", flush=True)
            for result in (closed, opened):
                assert result["refused"] == result["errors"] == 0, result
            wait_for(lambda: mx.counters()["queued"] == 0, "an empty queue", 120)
            assert mx.terminate(60) == 0
        finally:
            if disk:
                disk.remove()
            else:
                shutil.rmtree(queue)


arguments = argparse.ArgumentParser(description=__doc__,
                                    formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("--flush-us", type=int, default=2000)
arguments.add_argument("--journals", default="1,4,16")
arguments.add_argument("--sessions", type=int, default=500)
arguments.add_argument("--messages", type=int, default=30_000)
arguments.add_argument("--length", type=int, default=4096)
arguments.add_argument("--rate", type=int, default=0)
arguments.add_argument("--segment", type=int, default=16)
arguments.add_argument("--alone-rate", type=int, default=200)
arguments.add_argument("--alone", action="store_true")
arguments.add_argument("--flush", choices=("each", "together"), default="each")
arguments.add_argument("--directory", type=pathlib.Path)
the_options = arguments.parse_args()
if not the_options.directory:
    need_disk()
if not the_options.directory and not pathlib.Path("/usr/include/nbdkit-plugin.h").exists():
    skip("nbdkit-plugin-dev is not installed")
for count in the_options.journals.split(","):
    measure(the_options, int(count))
