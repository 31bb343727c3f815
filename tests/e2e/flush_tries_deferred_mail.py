#!/usr/bin/env python3
"""Mail that the backend refused for now waits minimal_backoff_time, with the reason in mxq;
`mxq -f` does not wait for that."""

import json

from rig import BIN, Rig, wait_for

with Rig() as rig:
    sink = rig.mxsink("--fail", "rcpt:450:100")
    rig.configure(relayhost=f"[127.0.0.1]:{sink.port}", minimal_backoff_time="300s")
    mx = rig.ringmx()

    def mxq(*words):
        return rig.run(BIN / "mxq", "-c", rig.dir, *words, check=True).stdout

    def counter(name):
        return json.loads(mxq("--status", "--json"))["counters"][name]

    assert rig.mxload("-s", "3", "-m", "30", "-d")["accepted"] == 30
    wait_for(lambda: counter("recipients_deferred") >= 30, "all deferred")
    rows = [json.loads(line) for line in mxq("-j").splitlines()]
    assert len(rows) == 30 and {row["queue_name"] for row in rows} == {"deferred"}
    assert all("450" in row["recipients"][0]["delay_reason"] for row in rows), rows[0]
    assert sink.terminate() == 0
    sink = rig.mxsink(port=sink.port)
    wait_for(lambda: mxq("-f") == "" and sink.count() >= 30, "30 messages after -f", 60)
    wait_for(lambda: counter("queued") == 0 and counter("recipients_sent") == 30, "the counters")
    assert mx.terminate() == 0
