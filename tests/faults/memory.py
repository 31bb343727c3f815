#!/usr/bin/env python3
"""Memory stays in the budget that is printed at the start, plus a tenth: many sessions send large
messages at once, the queue is smaller than all of them, and the backend takes next to nothing.

  memory.py [--sessions N] [--mib SIZE_OF_A_MESSAGE] [--queue MIB] [--rate BYTES] [--seconds S]

Clients that are told 452 4.3.1 try again. RSS is sampled all the time; the run is over when the
queue has been full for a while. 25 GB that 500 sessions have in hand need not fit anywhere: that is
the point.
"""

import argparse
import pathlib
import re
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))

from rig import BIN, DOMAIN, RECIPIENT, Rig, raise_descriptor_limit, wait_for  # noqa: E402

BODY_CACHE = 16 << 20  # of each shard
SHARDS = 2


def budget_of(text):
    """What the line says: the sum in bytes, and the bytes a queued message."""
    said = re.search(r"memory: at most (\d+) MiB \(.*\), and (\d+) bytes a queued message", text)
    assert said, text
    return int(said[1]) << 20, int(said[2])


def allowed(budget, counters):
    return (budget[0] + budget[1] * counters["queued"]) * 1.1


def say(what, value):
    print(f"{what:58} {value}", flush=True)


def load(rig, options):
    """Sessions that send, are refused when there is no room, and send again: not more often than
    a real client would."""
    return rig.process("mxload", BIN / "mxload", "-s", options.sessions, "-m", 1_000_000, "-l",
                       options.mib << 20, "-d", "-f", f"a@{DOMAIN}", "-t", RECIPIENT, "--ledger",
                       rig.dir / "sender", "--json", "--rate", options.sessions * 2,
                       "--declare-size", f"127.0.0.1:{rig.port}")


def watch(mx, options, budget):
    """The highest RSS, and how full of it the budget was."""
    end = time.monotonic() + options.seconds
    peak, samples, most_sessions = 0, 0, 0
    while time.monotonic() < end:
        counters = mx.counters()
        rss = mx.rss_kib() << 10
        assert rss <= allowed(budget, counters), (rss >> 20, budget[0] >> 20, counters["queued"])
        peak = max(peak, rss)
        most_sessions = max(most_sessions, counters["sessions"])
        samples += 1
        time.sleep(0.1)  # between samples
    say("samples; most sessions at a time", f"{samples}; {most_sessions}")
    assert most_sessions >= options.sessions * 0.9, most_sessions
    return peak


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--sessions", type=int, default=500)
    arguments.add_argument("--mib", type=int, default=50)
    arguments.add_argument("--queue", type=int, default=3072)
    arguments.add_argument("--rate", type=int, default=1_000_000)
    arguments.add_argument("--seconds", type=float, default=150)
    options = arguments.parse_args()
    raise_descriptor_limit(options.sessions * 2 + 200)
    with Rig() as rig:
        sink = rig.mxsink("--rate", str(options.rate))
        rig.configure(relayhost=f"[127.0.0.1]:{sink.port}", ringmx_shards=SHARDS,
                      ringmx_max_sessions=options.sessions + 20, ringmx_body_cache=BODY_CACHE,
                      ringmx_queue_size_limit=options.queue << 20, ringmx_segment_size=16 << 20,
                      message_size_limit=(options.mib + 1) << 20, ringmx_shutdown_timeout="1s",
                      smtpd_hard_error_limit=1_000_000)
        check = rig.run(BIN / "ringmx", "-c", rig.dir, "--check", check=True)
        mx = rig.ringmx()
        line = wait_for(lambda: mx.lines("memory: at most"), "the budget in the log")[0]
        budget = budget_of(line)
        assert budget == budget_of(check.stdout)
        say("budget, MiB (without queued messages)", budget[0] >> 20)
        say("RSS at rest, MiB", mx.rss_kib() >> 10)
        sender = load(rig, options)
        peak = watch(mx, options, budget)
        assert sender.running(), sender.text()
        counters = mx.counters()
        say("messages accepted; 452 after the dot or at MAIL; queued",
            f"{counters['messages_accepted']}; {counters['messages_refused']} and more; "
            f"{counters['queued']}")
        say("taken by the backend, recipients", counters["recipients_sent"])
        say("highest RSS, MiB", peak >> 20)
        say("part of the budget", f"{peak / budget[0]:.0%}")
        sender.kill()
        assert counters["messages_accepted"] > 0 and counters["messages_refused"] > 0, counters
        assert mx.terminate(60) == 0
        finish(rig, sink)


def finish(rig, sink):
    """With a backend that works, what was acknowledged arrives."""
    assert sink.terminate() == 0
    sink = rig.mxsink(port=sink.port)
    mx = rig.ringmx()
    wanted = set((rig.dir / "sender").read_text().split())
    wait_for(lambda: wanted <= {m["id"] for m in sink.messages()}, "all that was acknowledged", 240)
    wait_for(lambda: mx.counters()["queued"] == 0, "an empty queue", 240)
    say("acknowledged; lost", f"{len(wanted)}; 0")
    assert mx.terminate() == 0


if __name__ == "__main__":
    main()
