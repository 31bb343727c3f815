#!/usr/bin/env python3
"""A disk whose flush fails, or whose writes fail (R5): from the first error on nothing is
acknowledged, an alarm says why, and after a restart on a healthy disk everything that was
acknowledged is there. A flush that failed once is never believed a second time."""

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


def failing(kind):
    with Rig() as rig:
        disk = VolatileDisk(rig.dir / "disk", rig.dir / "queue")
        port = free_port()
        try:
            rig.configure(relayhost=f"[127.0.0.1]:{port}", ringmx_segment_size=4 << 20,
                          ringmx_queue_size_limit=96 << 20, ringmx_shards=2,
                          ringmx_queue_sync="fdatasync")
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


need_disk()
for what in ("flush", "write"):
    failing(what)
