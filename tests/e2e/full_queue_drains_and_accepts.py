#!/usr/bin/env python3
"""A full queue (R6, V98): 452 4.3.1 at MAIL before the reserve is touched, nothing acknowledged is
lost, bounces and deliveries go on, and mail is accepted again by itself once the backend takes
some. A disk too small for the queue is a clear error at the start. One shard and four."""

import os
import subprocess
import time

from backend import Backend
from rig import BIN, DOMAIN, RECIPIENT, Rig, free_port, wait_for


def ids(path):
    return path.read_text().split() if path.exists() else []


def mail_reply(mx):
    with mx.connect() as client:
        client.say("EHLO x", "250")
        return client.say("MAIL FROM:<a@b.example>")


def fill(rig, mx):
    """Until MAIL is refused; what was accepted is in the ledger."""
    for _ in range(40):
        rig.mxload("-s", "4", "-m", "100", "-l", "20000", "-d", "--ledger", rig.dir / "sender")
        if mail_reply(mx).startswith("452 4.3.1"):
            return
    raise AssertionError("the queue does not get full")


def run(shards):
    with Rig() as rig:
        port = free_port()
        rig.configure(relayhost=f"[127.0.0.1]:{port}", ringmx_segment_size=1 << 20,
                      ringmx_queue_size_limit=40 << 20, ringmx_shards=shards,
                      message_size_limit=1 << 20, minimal_backoff_time="1s",
                      maximal_backoff_time="1s")
        mx = rig.ringmx()
        fill(rig, mx)
        wait_for(lambda: mx.lines("alarm queue-full raised.*ringmx_queue_size_limit = 41943040"),
                 "the alarm")
        accepted = len(ids(rig.dir / "sender"))
        assert accepted * 20_000 > 10 << 20, accepted
        # The whole of a message that was begun is refused after its dot, or at MAIL.
        with mx.connect() as client:
            client.say("EHLO x", "250")
            assert client.say("MAIL FROM:<a@b.example> SIZE=900000").startswith("452 4.3.1")
            client.say("NOOP", "250")
        # Full over a restart as well.
        assert mx.terminate() == 0
        mx = rig.ringmx()
        assert mail_reply(mx).startswith("452 4.3.1")
        sink = rig.mxsink(port=port)
        sink.wait_for_messages(accepted // 2, 60)
        began = time.monotonic()
        wait_for(lambda: mail_reply(mx).startswith("250"), "mail accepted again", 10)
        print(f"{shards} shards: {accepted} messages in 40 MiB; accepted again "
              f"{time.monotonic() - began:.1f} s after half was delivered")
        sink.wait_for_messages(accepted, 60)
        assert {m["id"] for m in sink.messages()} >= set(ids(rig.dir / "sender"))
        # Segments come free with the marks, a second later at most.
        wait_for(lambda: rig.mxload("-s", "4", "-m", "40", "-l", "20000", "-d")["accepted"] == 40,
                 "mail flows", 10)
        wait_for(lambda: mx.lines("alarm queue-full cleared"), "the alarm's end")
        assert mx.terminate() == 0


def bounces_have_room(shards):
    """All that is queued is refused: the bounces need room in a queue that has none."""
    refuse = []
    with Rig() as rig, Backend(lambda stage, _: refuse[0] if stage == "RCPT" and refuse and
                               RECIPIENT in _ else None) as backend:
        refuse.append("450 4.2.1 not yet")
        rig.configure(relayhost=f"[127.0.0.1]:{backend.port}", ringmx_segment_size=1 << 20,
                      ringmx_queue_size_limit=40 << 20, ringmx_shards=shards,
                      message_size_limit=1 << 20, minimal_backoff_time="1s",
                      maximal_backoff_time="1s", ringmx_backend_connections=10)
        mx = rig.ringmx()
        fill(rig, mx)
        refuse[0] = "550 5.1.1 no"
        wait_for(lambda: mx.counters()["queued"] == 0, "an empty queue", 90)
        assert mail_reply(mx).startswith("250")
        assert len(backend.to(f"sender@{DOMAIN}")) == mx.counters()["recipients_bounced"]
        assert mx.terminate() == 0


def disk_too_small():
    """On a tmpfs of 16 MiB; without O_DIRECT, which is said."""
    with Rig() as rig:
        rig.configure(relayhost="[127.0.0.1]:1", ringmx_segment_size=1 << 20,
                      ringmx_queue_size_limit=40 << 20)
        queue = rig.dir / "queue"
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "none", queue], check=True)
        try:
            done = rig.run(BIN / "ringmx", "-c", rig.dir)
            assert done.returncode == 73, (done.returncode, done.stderr)
            text = done.stdout + done.stderr
            assert "No space left on device" in text and "seg-" in text, text
            left = [p.name for p in (queue / "segments").iterdir()]
            assert not [name for name in left if name.endswith(".new")], left
        finally:
            subprocess.run(["umount", queue], check=True)


for count in (1, 4):
    run(count)
    bounces_have_room(count)
if os.getuid() == 0:
    disk_too_small()
else:
    print("NOT TESTED: a disk that is too small, which needs root for a tmpfs")
