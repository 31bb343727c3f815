#!/usr/bin/env python3
"""A message that is on its way when it is held or deleted is so when that attempt is over, also
when the attempt came to nothing (the backend hung up without a word) and another would follow at
once; what was to be tried again is."""

import json
import threading

from backend import Backend
from rig import BIN, RECIPIENT, Rig, wait_for


def take_one(handler):
    """The dialogue up to the reply to the first message."""
    handler.say("220 backend")
    while line := handler.rfile.readline():
        if line.upper().startswith(b"DATA"):
            handler.say("354 go on")
            while handler.rfile.readline() != b".\r\n":
                pass
            handler.say("250 2.0.0 Ok")
            return
        handler.say("250 Ok")


class Stalled:
    """A backend that takes a message and says nothing to the next, until it hangs up."""

    def __init__(self):
        self.took, self.stalls, self.go = (threading.Event() for _ in range(3))

    def __call__(self, handler):
        take_one(handler)
        self.took.set()
        handler.rfile.readline()
        self.stalls.set()
        self.go.wait(60)


def run(order, taken_back=False):
    stalled = Stalled()
    with Backend() as backend, Rig() as rig:
        backend.scripts = [stalled]
        rig.configure(relayhost=f"[127.0.0.1]:{backend.port}", ringmx_shards=1,
                      ringmx_backend_check_interval=0,  # the script is for mail
                      minimal_backoff_time="300s")
        mx = rig.ringmx()

        def mxq(*words):
            return rig.run(BIN / "mxq", "-c", rig.dir, *words, check=True)

        def rows():
            return [json.loads(line) for line in mxq("-j").stdout.splitlines()]

        with mx.smtp() as smtp:
            smtp.sendmail("sender@sender.example", [RECIPIENT], "Subject: one\r\n\r\nx\r\n")
            assert stalled.took.wait(30)
            wait_for(lambda: not rows(), "the first is gone")
            smtp.sendmail("sender@sender.example", [RECIPIENT], "Subject: two\r\n\r\nx\r\n")
        assert stalled.stalls.wait(30)
        queue_id = rows()[0]["queue_id"]
        said = mxq(order, queue_id).stderr
        assert "1 after the attempt that is under way" in said, said
        if order != "-r":
            mxq("-i", queue_id)  # takes nothing back
        if taken_back:
            assert "1 done" in mxq("-H", queue_id).stderr
        stalled.go.set()
        if order == "-d":
            wait_for(lambda: not rows(), "it is deleted")
            assert mx.counters()["recipients_deleted"] == 1
        elif order == "-h" and not taken_back:
            wait_for(lambda: [r["queue_name"] for r in rows()] == ["hold"], "it is held")
            assert not backend.messages
            mxq("-H", queue_id)
        if order != "-d":
            wait_for(lambda: len(backend.messages) == 1, "it is delivered")
            wait_for(lambda: not rows(), "an empty queue")
        assert len(backend.messages) == (0 if order == "-d" else 1)
        assert mx.terminate() == 0


for the_order in ("-h", "-d", "-r"):
    run(the_order)
run("-h", taken_back=True)
