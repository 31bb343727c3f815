#!/usr/bin/env python3
"""A large queue before a backend that is down: what it costs to hold, to restart with, to list and
to drain while new mail comes. On demand; the suite runs it with few messages.

  backlog.py [MESSAGES] [--size BYTES] [--shards N] [--idle SECONDS]
"""

import argparse
import bisect
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))

from rig import BIN, Rig, free_port, wait_for  # noqa: E402

arguments = argparse.ArgumentParser(description=__doc__)
arguments.add_argument("messages", nargs="?", type=int, default=5000)
arguments.add_argument("--size", type=int, default=4096)
arguments.add_argument("--shards", type=int, default=2)
arguments.add_argument("--idle", type=float, default=3)
options = arguments.parse_args()
TICKS = 100.0
SLICE = 50  # new messages that come together


def cpu_seconds(process):
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def say(what, value):
    print(f"{what:52} {value}", flush=True)


def fill(rig, mx):
    """Returns the RSS before, KiB. What the first half touches for good (buffers, bodies in
    memory) is no queued message's: the second half says what one costs."""
    before = mx.rss_kib()
    start = time.monotonic()
    half = options.messages // 2
    for count in (options.messages - half, half):
        at_half = mx.rss_kib()
        result = rig.mxload("-s", "50", "-m", str(count), "-l", str(options.size), "-d")
        assert result["accepted"] == count, result
    say("accepted, with nobody to take it, a second",
        f"{options.messages / (time.monotonic() - start):,.0f}")
    say("memory a queued message, bytes (second half's)",
        f"{(mx.rss_kib() - at_half) * 1024 / half:.0f}")
    return before


def rest(mx):
    before = cpu_seconds(mx)
    time.sleep(options.idle)  # the measurement itself: how little is done in this time
    used = cpu_seconds(mx) - before
    say(f"CPU of a core while it waits, over {options.idle:g} s", f"{used / options.idle:.2%}")
    return used / options.idle


def restart(rig, mx):
    start = time.monotonic()
    assert mx.terminate(120) == 0
    say("orderly end, seconds", f"{time.monotonic() - start:.2f}")
    start = time.monotonic()
    mx = rig.ringmx()
    say("start to banner, seconds", f"{time.monotonic() - start:.2f}")
    say("recovery", mx.lines("queue recovered")[0].partition("recovered: ")[2])
    say("RSS after the restart, MiB", f"{mx.rss_kib() / 1024:.0f}")
    return mx


def listing(rig):
    start = time.monotonic()
    done = rig.run(BIN / "mxq", "-c", rig.dir, "-j", check=True)
    count = done.stdout.count("\n")
    assert count == options.messages, count
    say("mxq -j, messages a second", f"{count / (time.monotonic() - start):,.0f}")


def drain(rig, port):
    """The backend comes up; new mail arrives as fast as ten sessions bring it, in slices, as long
    as old mail is left, and must not wait behind it."""
    sink = rig.mxsink(port=port)
    start = time.monotonic()
    wait_for(lambda: sink.count() > 0, "the first delivery", 120)
    say("from the backend's start to the first delivery, s", f"{time.monotonic() - start:.1f}")
    fresh, spent = 0, 0.0
    while sink.count() < options.messages + fresh * 0.9:
        result = rig.mxload("-s", "10", "-m", str(SLICE), "-l", str(options.size), "-d",
                            "--ledger", rig.dir / "fresh")
        assert result["accepted"] == SLICE
        fresh += SLICE
        spent += result["seconds"]
    sink.wait_for_messages(options.messages + fresh, 120 + options.messages / 500)
    messages = sink.messages()
    assert len(messages) == len({m["id"] for m in messages}), "delivered twice"
    return judge(messages, set((rig.dir / "fresh").read_text().split()), spent)


def judge(messages, fresh, spent):
    """New mail, from the start of its slice: its delay, and how much old mail went before it."""
    old_us = sorted(m["at_us"] for m in messages if m["id"] not in fresh)
    took = (old_us[-1] - old_us[0]) / 1e6
    say("old mail drained a second", f"{len(old_us) / took:,.0f}")
    say("beside new mail, accepted a second", f"{len(fresh) / spent:,.0f}")
    delays, before = [], []
    for message in messages:
        if message["id"] not in fresh:
            continue
        began = int(message["id"].split("-")[0], 16)  # the run's start, in every id of mxload
        if began > old_us[-1]:
            continue  # the old mail was through
        delays.append(message["at_us"] - began)
        before.append(bisect.bisect(old_us, message["at_us"]) - bisect.bisect(old_us, began))
    delays.sort()
    before.sort()
    middle, last = len(delays) // 2, int(len(delays) * 0.99)
    say("new mail meanwhile", len(delays))
    say("its delay, p50; p99", f"{delays[middle] / 1000:.0f} ms; {delays[last] / 1000:.0f} ms")
    say("old mail delivered before it, p50; p99", f"{before[middle]}; {before[last]}")
    return delays[middle] / 1e6, delays[last] / 1e6


with Rig() as rig:
    port = free_port()
    need = options.messages * (options.size + 1024) * 3 // 2 + (64 << 20)
    rig.configure(relayhost=f"[127.0.0.1]:{port}", ringmx_shards=options.shards,
                  ringmx_segment_size=(64 << 20 if need > 1 << 30 else 4 << 20),
                  ringmx_queue_size_limit=(need >> 26) + 14 << 26)
    mx = rig.ringmx()
    wait_for(lambda: int(rig.run(BIN / "mxq", "-c", rig.dir, "--status", "--json").stdout
                         .split('"free_bytes":')[1].split(",")[0]) > need * 2 // 3,
             "the queue at its full size", 600)
    empty = fill(rig, mx)
    mx = restart(rig, mx)
    busy = rest(mx)
    say("memory a queued message then, bytes (over the RSS of an empty queue)",
        f"{(mx.rss_kib() - empty) * 1024 / options.messages:.0f}")
    listing(rig)
    delay, worst = drain(rig, port)
    assert mx.terminate(60) == 0
    assert busy < 0.05, busy
    # Two seconds of the worst: how long another shard keeps connections it has no use for.
    assert delay < 0.5 and worst < 3, f"new mail waits for the old: {delay} s, {worst} s"
