#!/usr/bin/env python3
"""kill -9 at the worst moments (engine/io/crash_point.h) and at random ones, under load: no message
that got its 250 is lost, none is changed, none is invented, and only what was in flight arrives
twice. Beside plain mail go messages for three recipients that the backend answers with 250, 450
and 550.

    kill9_at_named_points.py [CYCLES|all] [SEED]     (all, which is the default: each point once)

After the last restart the queue drains; what arrived is compared byte by byte with what was sent.
"""

import collections
import json
import pathlib
import random
import re
import signal
import smtplib
import sys
import threading
import time

from backend import Backend
from rig import BIN, DOMAIN, RECIPIENT, Rig, wait_for

# With how many passings the worst moment comes: at random up to this.
POINTS = {
    "batch-submitted": 20, "batch-written": 20, "batch-flushed": 20,
    "marks-submitted": 20, "marks-written": 20, "marks-flushed": 20,
    "footer-submitted": 3, "footer-written": 3, "footer-flushed": 3,
    "header-submitted": 4, "header-written": 4, "header-flushed": 4,
    "grave-submitted": 3, "grave-written": 3, "grave-flushed": 3, "grave-copied": 3,
    "before-250": 200, "after-250": 200, "delivered-before-mark": 200,
    "notice-committed": 5, "shutdown-drain": 3,
}
BEFORE_SERVING = ("segment-file-written", "segment-file-renamed", "recovered")
RANDOM = "at random"
CRASHED = 99
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(1 << 32)
SESSIONS = 8
BYTES = 9000  # of a body: a segment takes some eighty
MARK_DELAY_US = 6_000_000  # a second, and what a busy machine adds
SINK_DELAY_US = 500_000
THREE = OK, LATER, NO = tuple(f"{name}@{DOMAIN}" for name in ("ok", "later", "no"))


class Three:
    """Sends messages for three recipients, one after the other, until the connection is lost."""

    def __init__(self, rig):
        self.rig = rig
        self.acknowledged = []  # their senders
        self.begun = 0

    def run(self, stop):
        try:
            with smtplib.SMTP("127.0.0.1", self.rig.port, timeout=60) as smtp:
                while not stop.is_set():
                    self.begun += 1
                    sender = f"s{self.begun}@back.test"
                    smtp.sendmail(sender, THREE, f"Subject: {sender}\r\n\r\n{sender * 300}\r\n")
                    self.acknowledged.append(sender)
        except (OSError, smtplib.SMTPException):
            pass


def size(path):
    return path.stat().st_size if path.exists() else 0


def taken(path):
    return path.read_text().split() if path.exists() else []


class Campaign:
    def __init__(self, rig, backend, seed):
        self.rig, self.backend = rig, backend
        self.chance = random.Random(seed)
        self.three = Three(rig)
        self.kills_us = []
        self.points = collections.Counter()
        self.ledger = rig.dir / "sender"
        self.senders = set()  # process ids of mxload: the second part of each of its ids
        self.seen = {}  # id: moments at which it arrived
        self.read = 0  # bytes of the sink's ledger that were compared
        self.ways = [("fdatasync", "each"), ("dsync", "each")]
        kind = rig.run("stat", "-f", "-c", "%T", rig.dir, check=True).stdout.strip()
        if kind in ("ext2/ext3", "xfs"):
            self.ways.append(("fdatasync", "together"))

    def start(self, point, count):
        """A ringmx that will end there, or at random."""
        if point == RANDOM:
            return self.rig.ringmx()
        mx = self.rig.ringmx(environment={"RINGMX_CRASH_AT": f"{point}:{count}"}, wait=False)
        if point not in BEFORE_SERVING:  # it may come as early as the first look at the queue
            wait_for(lambda: not mx.running() or mx.greets(), "ringmx up, or at its end")
        return mx

    def cycle(self, sink, point):
        # No probe: it would be most of a start. All ways of writing are met.
        self.configure(sink, *self.chance.choice(self.ways))
        count = self.chance.randint(1, POINTS.get(point, 1))
        mx = self.start(point, count)
        if point in BEFORE_SERVING:
            assert mx.wait(30) == CRASHED, (point, mx.text())
            self.points[point] += 1
            return
        if point != RANDOM:
            mx.said(f"warning: armed: crash point {point}: ")
        stop = threading.Event()
        thread = threading.Thread(target=self.three.run, args=(stop,))
        before = size(self.ledger)
        load = self.rig.process("mxload", BIN / "mxload", "-s", SESSIONS, "-m", 10_000_000, "-l",
                                BYTES, "-d", "-f", f"a@{DOMAIN}", "-t", RECIPIENT, "--ledger",
                                self.ledger, f"127.0.0.1:{self.rig.port}")
        self.senders.add(f"{load.pid:x}")
        thread.start()
        self.end(mx, point, before)
        self.kills_us.append(time.time_ns() // 1000)
        self.points[point] += 1
        stop.set()
        thread.join(60)
        load.kill()
        self.compare(sink)
        if len(self.kills_us) > 20:  # logs of old cycles would fill the disk
            self.forget_logs()

    def end(self, mx, point, before):
        if point in (RANDOM, "shutdown-drain"):
            assert mx.running(), mx.text()
            wait_for(lambda: size(self.ledger) > before, "mail accepted")
            # Real work, whose length is the random moment. Once it is longer than a mark may wait:
            # what was delivered at its beginning must not come again.
            long = point == RANDOM and self.points[RANDOM] == 0
            time.sleep(1.5 * MARK_DELAY_US / 1e6 if long else self.chance.uniform(0, 0.2))
        if point == RANDOM:
            mx.kill()
            return
        if point == "shutdown-drain":
            mx.process.send_signal(signal.SIGTERM)
        assert mx.wait(150) == CRASHED, (point, mx.text()[-2000:])

    def forget_logs(self):
        old = [p for p in self.rig.processes[:-4] if not p.running()]
        for process in old:
            process.output.unlink()
        self.rig.processes = [p for p in self.rig.processes if p not in old]

    def configure(self, sink, sync="fdatasync", flush="each"):
        self.rig.configure((RECIPIENT, *THREE), compile_maps=False,
                           relayhost=f"[127.0.0.1]:{sink.port}", ringmx_shards=2,
                           transport_maps=f"hash:{self.rig.dir}/transport",
                           ringmx_segment_size=1 << 20, ringmx_queue_size_limit=128 << 20,
                           message_size_limit=1 << 20, ringmx_queue_sync=sync,
                           ringmx_queue_flush=flush, minimal_backoff_time="1s",
                           maximal_backoff_time="2s")

    def compare(self, sink):
        """What arrived since the last time, with what was sent."""
        with open(sink.ledger, "rb") as ledger:
            ledger.seek(self.read)
            lines = ledger.read().rpartition(b"\n")[0].split(b"\n")
        self.read += sum(len(line) + 1 for line in lines if line)
        for message in (json.loads(line) for line in lines if line):
            file = pathlib.Path(message["file"])
            name = message["id"]
            self.seen.setdefault(name, []).append(message["at_us"])
            run = re.fullmatch(r"[0-9a-f]+-([0-9a-f]+)\.\d+", name)
            assert run and run[1] in self.senders, f"nobody sent {name}"
            assert message["from"] == f"a@{DOMAIN}" and message["to"] == [RECIPIENT], message
            text = file.read_bytes()
            head, _, body = text.partition(b"\r\n\r\n")
            assert head.startswith(b"Received: from "), head
            assert re.search(rb"\r\nFrom: <a@example.test>\r\nTo: <user@example.test>\r\nDate: "
                             rb"[^\r\n]+\r\nMessage-Id: <([^@]+)@[^>]+>\r\nSubject: mxload\r\n"
                             rb"X-Mxload-Id: \1$", head), head
            assert body == BODY, f"{name} is not as it was sent"
            file.unlink()


def mxload_body(size):
    """As tools/load/source.cc makes it."""
    line = (b"The quick brown fox jumps over the lazy dog; 0123456789 and once more, the dog."
            b"\r\n")
    body = b""
    while size - len(body) > len(line) + 1:
        body += line
    return body + b"x" * (size - len(body) - 2) + b"\r\n"


BODY = mxload_body(BYTES)


def near_a_kill(campaign, moments):
    """The first copy came within the last moments before a kill: its mark was not durable. A busy
    sink stamps what it has been sent a little later."""
    return any(-SINK_DELAY_US <= kill - moments[0] < MARK_DELAY_US for kill in campaign.kills_us)


def check_plain(campaign):
    accepted = taken(campaign.ledger)
    lost = set(accepted) - set(campaign.seen)
    assert not lost, f"{len(lost)} acknowledged messages lost: {sorted(lost)[:5]}"
    unknown = set(campaign.seen) - set(accepted)
    kills = len(campaign.kills_us)
    assert len(unknown) <= kills * SESSIONS, f"{len(unknown)} arrived without a 250"
    twice = {i: at for i, at in campaign.seen.items() if len(at) > 1}
    for name, moments in twice.items():
        assert near_a_kill(campaign, sorted(moments)), f"{name} twice, no kill near"
    return len(accepted), len(unknown), len(twice)


def made_us(notice):
    """When it was composed: a notice is made twice when its first was durable and the mark of what
    it tells was not. The queue id, in its Message-Id, says so: microseconds and ten bits."""
    return int(re.search(rb"Message-Id: <([0-9A-F]+)\.", notice)[1], 16) >> 10


def check_three(campaign):
    """The first has it, the second in the end, the third never; its sender is told."""
    acknowledged = campaign.three.acknowledged
    times = {OK: {}, LATER: {}, NO: {}, "told": {}}
    for message in campaign.backend.messages:
        sender = re.search(r"<(.*?)>", message["mail"])[1]
        recipients = [re.search(r"<(.*?)>", r)[1] for r in message["rcpt"]]
        for recipient in recipients:
            if sender:
                assert sender.encode() * 300 in message["body"], f"{sender} is not as it was sent"
                times[recipient].setdefault(sender, []).append(message["at_us"])
            else:
                assert b"multipart/report" in message["body"] and NO.encode() in message["body"]
                times["told"].setdefault(recipient, []).append(made_us(message["body"]))
    assert not times[NO]
    repeated = 0
    for who in (OK, LATER, "told"):
        lost = set(acknowledged) - set(times[who])
        assert not lost, f"{len(lost)} acknowledged messages lost for {who}: {sorted(lost)[:5]}"
        unknown = set(times[who]) - set(acknowledged)
        assert len(unknown) <= len(campaign.kills_us), f"{who}: {unknown}"
        for sender, moments in times[who].items():
            if len(moments) > 1:
                repeated += 1
                assert near_a_kill(campaign, sorted(moments)), f"{sender} to {who} twice"
    return len(acknowledged), repeated


def plan(cycles, chance):
    """Every point by turns, and each fourth at random; without a number each once."""
    names = list(POINTS)
    chance.shuffle(names)
    if cycles is None:
        return [*BEFORE_SERVING, *names, RANDOM]
    rest = [names[i // 4 * 3 % len(names) + i % 4 - len(names)] if i % 4 < 3 else RANDOM
            for i in range(max(0, cycles - len(BEFORE_SERVING)))]
    return [*BEFORE_SERVING, *rest]


def a_slip_is_an_error(rig):
    done = rig.run(BIN / "ringmx", "-c", rig.dir, env={"RINGMX_CRASH_AT": "batch-writen"})
    assert done.returncode == 64, done
    assert "RINGMX_CRASH_AT=batch-writen: wanted is NAME[:COUNT]" in done.stderr, done.stderr
    assert all(name in done.stderr for name in (*POINTS, *BEFORE_SERVING)), done.stderr


def drain(campaign, sink):
    mx = campaign.rig.ringmx()
    campaign.backend.busy = False
    campaign.rig.run(BIN / "mxq", "-c", campaign.rig.dir, "-f", check=True)
    wait_for(lambda: mx.counters()["queued"] == 0, "an empty queue", 120)
    assert not mx.lines("alarm queue-damaged"), mx.lines("damaged")
    segments = campaign.rig.dir / "queue/segments"
    assert not [p for p in segments.iterdir() if not p.name.startswith("seg-")
                or p.name.endswith(".new")], list(segments.iterdir())
    assert mx.terminate() == 0  # the balance holds
    campaign.compare(sink)


def main():
    cycles = None if len(sys.argv) < 2 or sys.argv[1] == "all" else int(sys.argv[1])
    print(f"seed {SEED}", flush=True)
    chance = random.Random(SEED)

    def answers(stage, argument):
        if stage == "RCPT" and f"<{NO}>" in argument:
            return "550 5.1.1 no"
        if stage == "RCPT" and f"<{LATER}>" in argument and backend.busy and chance.random() < 0.7:
            return "450 4.2.1 busy"
        return None

    with Rig() as rig, Backend(answers) as backend:
        backend.busy = True
        (rig.dir / "store").mkdir()
        sink = rig.mxsink("--store", rig.dir / "store")
        campaign = Campaign(rig, backend, SEED)
        hop = f"relay:[127.0.0.1]:{backend.port}"
        (rig.dir / "transport").write_text("".join(f"{r} {hop}\n" for r in (*THREE, "back.test")))
        campaign.configure(sink)
        rig.run(BIN / "mapc", "-c", rig.dir, "--all", check=True)
        a_slip_is_an_error(rig)
        began = time.monotonic()
        for point in plan(cycles, chance):
            campaign.cycle(sink, point)
        drain(campaign, sink)
        accepted, unknown, twice = check_plain(campaign)
        three, repeated = check_three(campaign)
        print(f"{len(campaign.kills_us)} kills ({campaign.points[RANDOM]} at random) in "
              f"{time.monotonic() - began:.0f} s: {accepted} messages acknowledged, 0 lost, "
              f"{twice} delivered twice, {unknown} without their 250; {three} for three recipients,"
              f" {repeated} repeats")
        for name in POINTS:
            print(f"  {name:24} {campaign.points[name]}")


main()
