#!/usr/bin/env python3
"""A backend that is down, refuses for now or hangs up: everything is delivered in the end, nothing
bounced away."""

from rig import DOMAIN, RECIPIENT, Rig, free_port

FAST = {"minimal_backoff_time": "1s", "maximal_backoff_time": "2s", "queue_run_delay": "1s"}

with Rig() as rig:
    port = free_port()
    rig.configure(relayhost=f"[127.0.0.1]:{port}", **FAST)
    mx = rig.ringmx()
    # Nobody listens there: accepted all the same, deferred, and kept over a restart.
    assert rig.mxload("-s", "5", "-m", "50", "-d")["accepted"] == 50
    assert mx.terminate() == 0
    mx = rig.ringmx()
    sink = rig.mxsink(port=port)
    sink.wait_for_messages(50)
    assert sink.terminate() == 0
    sink.ledger.unlink()

    faults = ["mail:451:10", "rcpt:450:20", "data:451:10", "dot:451:10", "dot:drop:5",
              "ehlo:421:10"]
    sink = rig.mxsink(*(word for fault in faults for word in ("--fail", fault)), port=port)
    result = rig.mxload("-s", "5", "-m", "200", "-d", "--ledger", rig.dir / "sender")
    assert result["accepted"] == 200, result
    messages = sink.wait_for_messages(200, 120)
    assert mx.terminate() == 0
    assert sorted(m["id"] for m in messages) == sorted((rig.dir / "sender").read_text().split())
    assert all(m["to"] == [RECIPIENT] and m["from"] == f"sender@{DOMAIN}" for m in messages)
