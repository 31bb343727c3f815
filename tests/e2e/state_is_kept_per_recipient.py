#!/usr/bin/env python3
"""A message for three recipients that were answered 250, 450 and 550: after kill -9 only the second
is tried again; the first has it once, and the sender is told once of the third. One shard and
four."""

import smtplib
import time

from backend import Backend
from rig import BIN, DOMAIN, Rig, wait_for

OK, LATER, NO = (f"{name}@{DOMAIN}" for name in ("ok", "later", "no"))
SENDER = "sender@sender.example"
MESSAGES = 20


def quiet(mx, seconds=1.5):
    """Nothing has been written for longer than a mark may wait: all of them are durable."""
    last, since = None, time.monotonic()

    def still():
        nonlocal last, since
        now = mx.counters()["journal_batches"]
        if now != last:
            last, since = now, time.monotonic()
        return time.monotonic() - since > seconds
    wait_for(still, "no more writing")


def run(shards):
    busy = [True]

    def answers(stage, argument):
        if stage == "RCPT" and f"<{NO}>" in argument:
            return "550 5.1.1 no"
        if stage == "RCPT" and f"<{LATER}>" in argument and busy[0]:
            return "450 4.2.1 busy"
        return None

    with Rig() as rig, Backend(answers) as backend:
        rig.configure((OK, LATER, NO), relayhost=f"[127.0.0.1]:{backend.port}",
                      ringmx_shards=shards, ringmx_segment_size=4 << 20,
                      minimal_backoff_time="600s")
        mx = rig.ringmx()
        for _ in range(MESSAGES):  # a connection each: all shards get some
            with smtplib.SMTP("127.0.0.1", rig.port) as smtp:
                smtp.sendmail(SENDER, [OK, LATER, NO], "Subject: x\r\n\r\nx\r\n")
        wait_for(lambda: len(backend.to(SENDER)) == MESSAGES, "the bounces")
        wait_for(lambda: mx.counters()["queued"] == MESSAGES, "only what is to wait")
        quiet(mx)
        mx.kill()
        mx = rig.ringmx()
        counters = mx.counters()
        assert counters["recipients_recovered"] == MESSAGES, counters
        busy[0] = False
        rig.run(BIN / "mxq", "-c", rig.dir, "-f", check=True)
        wait_for(lambda: len(backend.to(LATER)) == MESSAGES, "those that were put off")
        wait_for(lambda: mx.counters()["queued"] == 0, "an empty queue")
        assert len(backend.to(OK)) == len(backend.to(SENDER)) == MESSAGES
        assert all(len(m["rcpt"]) == 1 for m in backend.to(LATER))
        assert mx.terminate() == 0


for count in (1, 4):
    run(count)
