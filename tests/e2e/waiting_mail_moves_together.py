#!/usr/bin/env python3
"""Mail that waits (deferred, held) stands in the way of nobody: one message in each segment's worth
of traffic would pin them all, and the queue would be full for ever. It is moved together instead
(compaction), over kill -9 as well, and all of it is delivered in the end, whole."""

import collections
import hashlib
import json
import random

from backend import Backend
from rig import BIN, DOMAIN, RECIPIENT, Rig, wait_for

LATE = f"late@{DOMAIN}"
SEGMENT = 256 << 10
SEGMENTS = 40
ROUNDS = 70  # each fills a segment and leaves one message
KILLS_AT = (25, 45, 60)
LARGE = 60_000  # goes to the bulk stream


def ids(path):
    return path.read_text().split() if path.exists() else []


def put_in(mx, number, body):
    """Its queue id, once there is room for it."""
    replies = []

    def taken():
        with mx.connect() as client:
            client.say("EHLO x", "250")
            replies.append(client.say("MAIL FROM:<a@b.example>"))
            if replies[-1].startswith("250"):
                client.say(f"RCPT TO:<{LATE}>", "250")
                client.say("DATA", "354")
                replies.append(client.say(f"Subject: late {number}\r\n\r\n{body}\r\n."))
        assert replies[-1].startswith(("250", "452 4.3.1")), replies[-1]
        return replies[-1].startswith("250")

    wait_for(taken, "room for a message")
    return replies[-1].split()[-1]


def text(chance, size):
    return "\r\n".join("%060x" % chance.getrandbits(240) for _ in range(size // 62))


def send(rig, count, size):
    """As a sender does: what is refused for want of room (452) comes again."""
    def all_taken():
        nonlocal count
        count -= rig.mxload("-s", "2", "-m", str(count), "-l", str(size), "-d", "--ledger",
                            rig.dir / "sender")["accepted"]
        return count == 0
    wait_for(all_taken, "room for new mail")


def traffic(rig):
    """A segment's worth of mail that is delivered at once."""
    send(rig, 16, 12_000)
    send(rig, 2, LARGE)


def free_segments(rig):
    status = rig.run(BIN / "mxq", "-c", rig.dir, "--status", "--json", check=True)
    return json.loads(status.stdout)["free_segments"]


def settled(mx, late):
    return mx.counters()["queued"] <= late


def run(shards):
    seed = random.randrange(1 << 32)
    print(f"{shards} shards, seed {seed}")
    chance = random.Random(seed)
    takes_late = []

    def answers(stage, argument):
        if stage == "RCPT" and LATE in argument and not takes_late:
            return "450 4.2.1 not yet"
        return None

    with Rig() as rig, Backend(answers) as backend:
        rig.configure(recipients=(RECIPIENT, LATE), relayhost=f"[127.0.0.1]:{backend.port}",
                      ringmx_segment_size=SEGMENT, ringmx_queue_size_limit=SEGMENTS * SEGMENT,
                      ringmx_shards=shards, message_size_limit=200_000,
                      minimal_backoff_time="300s")
        mx = rig.ringmx()
        late, moved, segments = {}, 0, 0
        least_free = SEGMENTS
        for number in range(ROUNDS):
            body = text(chance, LARGE if number % 4 == 3 else 3000)
            queue_id = put_in(mx, number, body)
            late[number] = (queue_id, hashlib.sha256(body.encode()).hexdigest())
            if number % 5 == 0:
                rig.run(BIN / "mxq", "-c", rig.dir, "-h", queue_id, check=True)
            traffic(rig)
            wait_for(lambda: settled(mx, len(late)), "the traffic delivered")
            least_free = min(least_free, free_segments(rig))
            if number in KILLS_AT:
                counters = mx.counters()
                moved += counters["compacted_messages"]
                segments += counters["compacted_segments"]
                mx.kill()
                mx = rig.ringmx()
                wait_for(lambda: settled(mx, len(late)), "what was under way delivered")
        counters = mx.counters()
        moved += counters["compacted_messages"]
        segments += counters["compacted_segments"]
        print(f"{ROUNDS} messages wait, {moved} moves, {segments} segments emptied, at least "
              f"{least_free} of {SEGMENTS} segments free")
        assert moved > 0 and segments > 0
        assert counters["queued"] == ROUNDS
        # It is full now and then: so small it is, and what was refused comes again.
        alarms = mx.lines("alarm (?!queue-full)")
        assert not alarms, alarms
        takes_late.append(True)
        rig.run(BIN / "mxq", "-c", rig.dir, "-H", "ALL", check=True)
        rig.run(BIN / "mxq", "-c", rig.dir, "-f", check=True)
        wait_for(lambda: mx.counters()["queued"] == 0, "everything delivered", 60)
        arrived = collections.Counter()
        for message in backend.to(LATE):
            head, body = message["body"].decode().split("\r\n\r\n", 1)
            number = int(head.split("Subject: late ")[1].split("\r\n")[0])
            arrived[number] += 1
            assert hashlib.sha256(body.strip().encode()).hexdigest() == late[number][1], number
        assert set(arrived) == set(late) and set(arrived.values()) == {1}, arrived
        assert len(backend.to(RECIPIENT)) >= len(ids(rig.dir / "sender"))
        assert mx.terminate() == 0
        fsck = rig.run(BIN / "mxq", "-c", rig.dir, "--fsck", check=True).stdout
        assert "DAMAGED" not in fsck, fsck


for count in (1, 2):
    run(count)
