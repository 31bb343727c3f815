#!/usr/bin/env python3
"""Small mail while large messages stream in: 4 KB messages over 8 sessions, alone and beside eight
sessions that send 20 MB each; the latency of the final dot's reply, in one run.

  mixed.py [--rounds N] [--small MESSAGES] [--shards N]
"""

import argparse
import pathlib
import statistics
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "e2e"))

from rig import Rig  # noqa: E402

arguments = argparse.ArgumentParser(description=__doc__)
arguments.add_argument("--rounds", type=int, default=3)
arguments.add_argument("--small", type=int, default=6000)
arguments.add_argument("--shards", type=int, default=1)
options = arguments.parse_args()


def small(rig):
    return rig.mxload("-s", "8", "-m", str(options.small), "-l", "4096", "-d")


def large(rig, stop):
    while not stop.is_set():
        result = rig.mxload("-s", "8", "-m", "16", "-l", str(20 << 20), "-d")
        assert result["accepted"] == 16, result
        rig.large += 16


with Rig() as the_rig:
    sink = the_rig.mxsink()
    the_rig.configure(relayhost=f"[127.0.0.1]:{sink.port}", ringmx_shards=options.shards,
                      message_size_limit=50 << 20, ringmx_queue_size_limit=4 << 30,
                      ringmx_segment_size=64 << 20)
    mx = the_rig.ringmx()
    small(the_rig)
    ratios = []
    for _ in range(options.rounds):
        alone = small(the_rig)
        the_rig.large, stop = 0, threading.Event()
        thread = threading.Thread(target=large, args=(the_rig, stop))
        thread.start()
        beside = small(the_rig)
        stop.set()
        thread.join()
        p99 = [result["commit_us"]["p99"] for result in (alone, beside)]
        ratios.append(p99[1] / p99[0])
        print(f"final dot to 250, us: alone p50 {alone['commit_us']['p50']} p99 {p99[0]}; beside "
              f"large ones p50 {beside['commit_us']['p50']} p99 {p99[1]} ({the_rig.large} large "
              f"messages taken)", flush=True)
    print(f"p99 beside / alone: {min(ratios):.2f} to {max(ratios):.2f}")
    assert mx.terminate(60) == 0
