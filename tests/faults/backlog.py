#!/usr/bin/env python3
"""A large queue before a backend that is down: what it costs to hold, to restart with, to list and
to drain while new mail comes. On demand; the suite runs it with few messages.

  backlog.py [MESSAGES] [--size BYTES] [--shards N] [--idle SECONDS]
"""

import argparse
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


def cpu_seconds(process):
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def say(what, value):
    print(f"{what:52} {value}", flush=True)


def fill(rig, mx):
    before = mx.rss_kib()
    start = time.monotonic()
    result = rig.mxload("-s", "50", "-m", str(options.messages), "-l", str(options.size), "-d")
    assert result["accepted"] == options.messages, result
    say("accepted, with nobody to take it, a second",
        f"{options.messages / (time.monotonic() - start):,.0f}")
    say("memory a queued message, bytes (RSS growth)",
        f"{(mx.rss_kib() - before) * 1024 / options.messages:.0f}")


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
    """The backend comes up; a tenth more of new mail arrives meanwhile and must not wait behind."""
    sink = rig.mxsink(port=port)
    start = time.monotonic()
    wait_for(lambda: sink.count() > 0, "the first delivery", 120)
    say("from the backend's start to the first delivery, s", f"{time.monotonic() - start:.1f}")
    start = time.monotonic()
    fresh = max(100, options.messages // 10)
    result = rig.mxload("-s", "10", "-m", str(fresh), "-l", str(options.size), "-d",
                        "--ledger", rig.dir / "fresh")
    assert result["accepted"] == fresh
    intake = time.monotonic() - start
    wanted = set((rig.dir / "fresh").read_text().split())
    early = sum(m["id"] in wanted for m in sink.messages()) / fresh
    say("new mail, a second", f"{fresh / intake:,.0f}")
    say("part of it delivered when the last of it was accepted", f"{early:.0%}")
    sink.wait_for_messages(options.messages + fresh, 120 + options.messages / 500)
    messages = sink.messages()
    assert len(messages) == len({m["id"] for m in messages}), "delivered twice"
    took = (messages[-1]["at_us"] - messages[0]["at_us"]) / 1e6
    say("drained a second", f"{len(messages) / took:,.0f}")
    last = max(i for i, m in enumerate(messages) if m["id"] in wanted)
    say("the last of the new mail is through after this part", f"{last / len(messages):.0%}")
    return last / len(messages)


with Rig() as rig:
    port = free_port()
    need = options.messages * (options.size + 1024) * 3 // 2 + (64 << 20)
    rig.configure(relayhost=f"[127.0.0.1]:{port}", ringmx_shards=options.shards,
                  ringmx_segment_size=(64 << 20 if need > 1 << 30 else 4 << 20),
                  ringmx_queue_size_limit=(need >> 26) + 12 << 26)
    mx = rig.ringmx()
    wait_for(lambda: int(rig.run(BIN / "mxq", "-c", rig.dir, "--status", "--json").stdout
                         .split('"free_bytes":')[1].split(",")[0]) > need * 2 // 3,
             "the queue at its full size", 600)
    fill(rig, mx)
    mx = restart(rig, mx)
    busy = rest(mx)
    say("RSS after it, MiB", f"{mx.rss_kib() / 1024:.0f}")
    listing(rig)
    share = drain(rig, port)
    assert mx.terminate(60) == 0
    if options.messages >= 5000:
        assert busy < 0.05, busy
        assert share < 0.9, "new mail waited behind the old"
