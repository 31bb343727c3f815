#!/usr/bin/env python3
"""mxq shows what waits in the queue as postqueue does, and --status counts what mxload and mxsink
counted."""

import json

from rig import BIN, DOMAIN, RECIPIENT, Rig, free_port, wait_for

MESSAGES = 300  # more than one page of the control socket
POSTQUEUE_KEYS = {"queue_name", "queue_id", "arrival_time", "message_size", "forced_expire",
                  "sender", "recipients"}


def status(rig):
    done = rig.run(BIN / "mxq", "-c", rig.dir, "--status", "--json", check=True)
    return json.loads(done.stdout)


with Rig() as the_rig:
    port = free_port()
    the_rig.configure(relayhost=f"[127.0.0.1]:{port}", minimal_backoff_time="300s")
    mxq = [BIN / "mxq", "-c", the_rig.dir]
    # No queue is not an empty one, and none is made.
    for words in (["-p"], ["--fsck"], ["--mbox", the_rig.dir / "box"], ["--drain-to", "[::1]:1"]):
        done = the_rig.run(*mxq, *words)
        assert done.returncode == 69 and "holds no queue" in done.stderr, (words, done)
        assert not list((the_rig.dir / "queue").iterdir()), words
    mx = the_rig.ringmx()
    assert "Mail queue is empty" in the_rig.run(*mxq, "-p", check=True).stdout

    assert the_rig.mxload("-s", "5", "-m", MESSAGES, "-d")["accepted"] == MESSAGES
    rows = [json.loads(line) for line in the_rig.run(*mxq, "-j", check=True).stdout.splitlines()]
    assert len(rows) == MESSAGES and len({row["queue_id"] for row in rows}) == MESSAGES
    for row in rows:
        assert POSTQUEUE_KEYS <= row.keys(), row
        assert row["sender"] == f"sender@{DOMAIN}", row
        assert [r["address"] for r in row["recipients"]] == [RECIPIENT], row
        assert row["queue_name"] in ("active", "deferred"), row
    # It is down, so that nothing was tried: why that is stands at each, as in Postfix.
    why = f"connect to 127.0.0.1[127.0.0.1]:{port}: Connection refused"
    text = wait_for(lambda: (listed := the_rig.run(*mxq, "-p", check=True).stdout).count(
        f"(delivery temporarily suspended: {why})") == MESSAGES and listed, "the reasons")
    assert "*" not in text
    assert f"({why})" in the_rig.run(*mxq, "--status", check=True).stdout
    assert all(row["queue_id"] in text for row in rows)
    assert text.strip().split("\n")[-1].endswith(f"in {MESSAGES} Requests."), text[-200:]

    sink = the_rig.mxsink(port=port)
    the_rig.run(*mxq, "-f", check=True)
    sink.wait_for_messages(MESSAGES)
    wait_for(lambda: "empty" in the_rig.run(*mxq, "-p", check=True).stdout, "an empty queue")
    now = status(the_rig)
    counters = now["counters"]
    assert counters["messages_accepted"] == counters["messages_done"] == MESSAGES, now
    assert (counters["queued"], now["next_hop_up"], now["alarms"]) == (0, True, []), now
    assert mx.terminate() == 0
