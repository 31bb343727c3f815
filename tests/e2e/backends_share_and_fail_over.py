#!/usr/bin/env python3
"""Two backends of one next hop share the mail. One dies under load: all mail goes to the other at
once, nothing waits for a retry and nothing is lost; an alarm says so. It comes back: it is found by
its probe without any mail, and has its share again. With ringmx_backend_balance = ordered the first
has all the mail as long as it is there. And the same with Postfix's smtp-sink for a backend."""

import json

from rig import BIN, Rig, wait_for


def status(rig):
    done = rig.run(BIN / "mxq", "-c", rig.dir, "--status", "--json", check=True)
    return json.loads(done.stdout)


def state(rig, port):
    hop, = status(rig)["next_hops"]
    return next(b["state"] for b in hop["backends"] if b["host"].endswith(f":{port}"))


def alarms(rig):
    return {alarm["name"].split(" ")[0] for alarm in status(rig)["alarms"]}


def load(rig, count, meanwhile=lambda: None):
    loader = rig.process("mxload", BIN / "mxload", "--json", "-s", "8", "-m", str(count), "-f",
                         "a@example.test", "-t", "user@example.test", f"127.0.0.1:{rig.port}")
    meanwhile()
    assert loader.wait() == 0, loader.text()


def delivered(rig, mx, count):
    wait_for(lambda: mx.counters()["recipients_sent"] >= count, f"{count} delivered")


def two(shards, **parameters):
    rig = Rig()
    with rig:
        sinks = [rig.mxsink(name=name) for name in ("first", "second")]
        hosts = ", ".join(f"[127.0.0.1]:{sink.port}" for sink in sinks)
        rig.configure(relayhost=hosts, ringmx_shards=shards, ringmx_segment_size=8 << 20,
                      **parameters)
        yield rig, sinks, rig.ringmx()


for shards in (1, 4):
    for rig, (first, second), mx in two(shards, ringmx_backend_balance="spread"):
        load(rig, 400)
        delivered(rig, mx, 400)
        shares = first.count(), second.count()
        assert min(shares) >= 40, shares  # the quicker one has more

        at_death = []

        def kill_first():
            wait_for(lambda: first.count() > shares[0] + 40, "the first has its share")
            first.kill()
            at_death.append(first.count())

        load(rig, 2000, kill_first)
        # What it had taken without saying so is tried later, as nobody can know; nothing else is.
        counters = mx.counters()
        assert counters["recipients_deferred"] == counters["outcome_unknown"], counters
        delivered(rig, mx, 2400 - counters["outcome_unknown"])
        assert state(rig, first.port) != "up" and alarms(rig) == {"backend-down"}, status(rig)
        raised = r"alarm backend-down 127\.0\.0\.1\[127\.0\.0\.1\]:\d+ raised: .*refused"
        wait_for(lambda: mx.lines(raised), "the alarm")
        rig.run(BIN / "mxq", "-c", rig.dir, "-f", check=True)
        delivered(rig, mx, 2400)
        assert at_death[0] + second.count() >= 2400 - counters["outcome_unknown"]

        again = rig.mxsink(port=first.port, name="again")
        wait_for(lambda: state(rig, first.port) == "up", "it is found by its probe")
        assert again.count() == 0 and alarms(rig) == set(), status(rig)
        wait_for(lambda: mx.lines("alarm backend-down .* cleared"), "the end of the alarm")
        load(rig, 400)
        delivered(rig, mx, 2800)
        assert again.count() >= 40, again.count()

        for sink in (again, second):
            sink.kill()
        # Two that close on it one after the other may put a message off.
        wait_for(lambda: mx.counters()["backend_connections"] == 0, "it sees them go")
        load(rig, 10)
        wait_for(lambda: "next-hop-down" in alarms(rig), "the next hop is down")
        assert mx.counters()["recipients_sent"] == 2800
        back = rig.mxsink(port=second.port, name="back")
        delivered(rig, mx, 2810)
        assert back.count() == 10
        wait_for(lambda: alarms(rig) == {"backend-down"}, "one of two is enough")
        assert mx.terminate() == 0

for rig, (first, second), mx in two(1, ringmx_backend_balance="ordered"):
    load(rig, 200)
    delivered(rig, mx, 200)
    assert (first.count(), second.count()) == (200, 0)
    first.kill()
    load(rig, 200)
    delivered(rig, mx, 400)
    assert second.count() == 200
    again = rig.mxsink(port=first.port, name="again")
    wait_for(lambda: state(rig, first.port) == "up", "the first is back")
    load(rig, 200)
    delivered(rig, mx, 600)
    # The second serves until a connection to the first is there.
    assert again.count() >= 100, (again.count(), second.count())
    assert mx.terminate() == 0

with Rig() as rig:
    postfix, port = rig.smtp_sink("-c")
    sink = rig.mxsink()
    rig.configure(relayhost=f"[127.0.0.1]:{port}, [127.0.0.1]:{sink.port}")
    mx = rig.ringmx()
    assert "relayhost: its hosts share the mail; Postfix tries them in this order" in mx.text()
    load(rig, 200)
    delivered(rig, mx, 200)
    share = sink.count()
    assert 20 <= share <= 180, share
    postfix.kill()
    load(rig, 200)
    delivered(rig, mx, 400 - mx.counters()["outcome_unknown"])
    assert alarms(rig) == {"backend-down"} and sink.count() >= share + 199, sink.count()
    assert mx.terminate() == 0
