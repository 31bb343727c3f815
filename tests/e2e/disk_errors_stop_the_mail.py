#!/usr/bin/env python3
"""A disk whose flush fails, or whose writes fail (R5): from the first error on nothing is
acknowledged, an alarm says why, and after a restart on a healthy disk everything that was
acknowledged is there. A flush that failed once is never believed a second time. If the disk can be
written to again at once, what is queued is delivered, and not again after the restart; if not,
delivery stops."""

import collections

from rig import BIN, RECIPIENT, Rig, free_port, wait_for
from volatile_disk import VolatileDisk, need_disk


def ids(path):
    return path.read_text().split() if path.exists() else []


def load(rig, count):
    return rig.mxload("-s", "5", "-m", str(count), "-d", "--ledger", rig.dir / "sender")


def deliver_one(mx):
    """The reply to a message, at MAIL or after the dot."""
    with mx.connect() as client:
        client.say("EHLO x", "250")
        reply = client.say("MAIL FROM:<a@b.example>")
        if not reply.startswith("250"):
            return reply
        client.say(f"RCPT TO:<{RECIPIENT}>", "250")
        client.say("DATA", "354")
        return client.say("Subject: x\r\n\r\nx\r\n.")


def configure(rig, port, **more):
    rig.configure(relayhost=f"[127.0.0.1]:{port}", ringmx_segment_size=4 << 20,
                  ringmx_queue_size_limit=96 << 20, ringmx_shards=2,
                  ringmx_queue_sync="fdatasync", **more)


def failing(kind):
    with Rig() as rig:
        disk = VolatileDisk(rig.dir / "disk", rig.dir / "queue")
        port = free_port()
        try:
            configure(rig, port)
            disk.up(failing=kind)
            mx = rig.ringmx()
            assert load(rig, 200)["accepted"] == 200
            disk.fail_file.touch()
            replies = [deliver_one(mx) for _ in range(6)]
            assert all(r.startswith(("451 4.3.0", "421 4.3.0")) for r in replies), replies
            wait_for(lambda: mx.lines("alarm journal raised"), "the alarm")
            # The disk is well again, and the next flush would say so: it is not believed.
            disk.fail_file.unlink()
            replies = [deliver_one(mx) for _ in range(6)]
            assert all(r.startswith(("451 4.3.0", "421 4.3.0")) for r in replies), replies
            assert "ALARM journal" in rig.run(BIN / "mxq", "-c", rig.dir, "--status").stdout
            mx.kill()
            disk.down()
            disk.up()
            sink = rig.mxsink(port=port)
            mx = rig.ringmx()
            acknowledged = set(ids(rig.dir / "sender"))
            wait_for(lambda: acknowledged <= {m["id"] for m in sink.messages()},
                     "every acknowledged message")
            assert deliver_one(mx).startswith("250")
            assert mx.terminate() == 0
            disk.down()
        finally:
            disk.remove()


def queued(rig):
    return rig.run(BIN / "mxq", "-c", rig.dir, "-j").stdout.splitlines()


def delivery(goes_on):
    """After a flush that failed once, or that goes on failing."""
    with Rig() as rig:
        disk = VolatileDisk(rig.dir / "disk", rig.dir / "queue")
        port = free_port()
        try:
            configure(rig, port, minimal_backoff_time="1s", maximal_backoff_time="1s",
                      queue_run_delay="1s")
            disk.up(failing="flush")
            mx = rig.ringmx()
            assert load(rig, 200)["accepted"] == 200
            acknowledged = set(ids(rig.dir / "sender"))
            state = "still delivered" if goes_on else "accepted or delivered"
            disk.fail_file.touch()
            assert deliver_one(mx).startswith("451 4.3.0")
            if goes_on:  # it is well again as soon as that was seen
                disk.fail_file.unlink()
            wait_for(lambda: any(state in line for line in mx.lines("alarm journal raised")),
                     "what became of delivery")
            assert len(queued(rig)) >= 200
            exported = rig.run(BIN / "mxq", "-c", rig.dir, "--export", rig.dir / "out")
            assert exported.returncode == 0, exported.stderr
            if goes_on:  # what is refused for good can't be told now, and is not given up untold
                refusing = rig.mxsink("--fail", "rcpt:550", port=port, name="refusing")
                wait_for(lambda: mx.lines("a failed queue can't take a notice"), "a refusal")
                refusing.terminate()
                assert len(queued(rig)) >= 200
            sink = rig.mxsink(port=port)
            if goes_on:
                wait_for(lambda: acknowledged <= {m["id"] for m in sink.messages()},
                         "what was queued")
                wait_for(lambda: not queued(rig), "the queue to be empty")
                assert deliver_one(mx).startswith("421 4.3.0")
            else:
                disk.fail_file.unlink()
                rig.run(BIN / "mxq", "-c", rig.dir, "-f")  # all of it is tried now, or never
                replies = [deliver_one(mx) for _ in range(6)]
                assert all(r.startswith("421 4.3.0") for r in replies), replies
                assert "ALARM journal" in rig.run(BIN / "mxq", "-c", rig.dir, "--status").stdout
            assert mx.terminate() == 0
            assert goes_on or not sink.messages()
            disk.down()
            disk.up()
            mx = rig.ringmx()
            assert deliver_one(mx).startswith("250")
            wait_for(lambda: not queued(rig), "the queue to be empty")
            assert mx.terminate() == 0
            disk.down()
            came = collections.Counter(m["id"] for m in sink.messages())
            again = [i for i in acknowledged if came[i] != 1]
            assert not again, f"{len(again)} not delivered exactly once"
        finally:
            disk.remove()


need_disk()
delivery(goes_on=True)
delivery(goes_on=False)
for what in ("flush", "write"):
    failing(what)
