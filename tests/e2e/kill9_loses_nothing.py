#!/usr/bin/env python3
"""kill -9 at any moment: every message that got its 250 arrives, and only what was in flight
arrives twice.

    kill9_loses_nothing.py [KILLS]     (50 when not given)

The sender's ledger gets an id after its 250, the sink's before its own 250. After the last restart
the queue drains; then the two are compared. Twice may arrive what had been delivered while its mark
was not durable yet: marks are flushed at least every second, so the first copy came within the last
moments before a kill.
"""

import collections
import random
import sys
import time

from rig import BIN, DOMAIN, RECIPIENT, Rig, wait_for

KILLS = int(sys.argv[1]) if len(sys.argv) > 1 else 50
SEED = random.randrange(1 << 32)
SESSIONS = 10
MARK_DELAY_US = 3_000_000  # a second, and what a busy machine adds


def ids(path):
    return path.read_text().split() if path.exists() else []


def load(rig, ledger):
    return rig.process("mxload", BIN / "mxload", "-s", SESSIONS, "-m", 10_000_000, "-l", "3000",
                       "-d", "-f", f"a@{DOMAIN}", "-t", RECIPIENT, "--ledger", ledger,
                       f"127.0.0.1:{rig.port}")


def check(accepted, messages, kills_us):
    counts = collections.Counter(m["id"] for m in messages)
    first_us = {}
    for message in messages:
        first_us.setdefault(message["id"], message["at_us"])
    twice = [i for i, n in counts.items() if n > 1]
    print(f"{len(kills_us)} kills, {len(accepted)} accepted, {len(counts)} arrived, "
          f"{len(twice)} twice")
    lost = set(accepted) - set(counts)
    assert not lost, f"{len(lost)} acknowledged messages lost: {sorted(lost)[:5]}"
    assert len(set(accepted)) == len(accepted)
    # What arrived without a 250 was being acknowledged at a kill: one message a session at most.
    unknown = set(counts) - set(accepted)
    assert len(unknown) <= len(kills_us) * SESSIONS, f"{len(unknown)} arrived without a 250"
    for i in twice:
        ages = [kill - first_us[i] for kill in kills_us]
        assert any(0 <= age < MARK_DELAY_US for age in ages), f"{i} twice, no kill near: {ages}"


def rounds(rig, kills):
    """Loads, kills and restarts; the moments of the kills."""
    chance = random.Random(SEED)
    kills_us = []
    for _ in range(kills):
        mx = rig.ringmx()
        before = len(ids(rig.dir / "sender"))
        sender = load(rig, rig.dir / "sender")
        wait_for(lambda: len(ids(rig.dir / "sender")) > before, "mail accepted")
        time.sleep(chance.uniform(0, 0.2))  # of real work; also a restart's first moments
        mx.kill()
        kills_us.append(time.time_ns() // 1000)
        assert sender.wait() == 1
    return kills_us


with Rig() as the_rig:
    print(f"seed {SEED}")
    sink = the_rig.mxsink()
    the_rig.configure(relayhost=f"[127.0.0.1]:{sink.port}", minimal_backoff_time="1s",
                      maximal_backoff_time="2s", queue_run_delay="1s")
    when = rounds(the_rig, KILLS)
    last = the_rig.ringmx()
    acknowledged = ids(the_rig.dir / "sender")
    wait_for(lambda: sink.count() >= len(acknowledged)
             and set(acknowledged) <= {m["id"] for m in sink.messages()},
             "every acknowledged message at the sink", 120)
    assert last.terminate() == 0
    check(acknowledged, sink.messages(), when)
