#!/usr/bin/env python3
"""A new set of tables every 10 ms, with mail flowing: every answer is one of some version as a
whole, old versions do not pile up, and replies hardly take longer.

Argument: seconds, 8 without; 60 for a long one."""

import os
import sys
import threading
import time

from rig import BIN, DOMAIN, RECIPIENT, running_mx, wait_for

# AddressSanitizer keeps what was freed: that is no memory of ours.
os.environ["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1"

SECONDS = float(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("STORM_SECONDS", "8"))
PERIOD = 0.01
VERSIONS = 8
ALWAYS = [f"u{n}@{DOMAIN}" for n in range(20_000)] + [RECIPIENT]
OTHER = "alternating.test"  # with its recipient in odd versions only


def make_versions(rig):
    """What mapc writes for each version: (run, record, {path: bytes})."""
    made = []
    for version in range(VERSIONS):
        odd = version % 2 == 1
        (rig.dir / "domains").write_text(f"{DOMAIN} OK\n" + (f"{OTHER} OK\n" if odd else ""))
        lines = [f"{one} version{version}\n" for one in ALWAYS]
        (rig.dir / "recipients").write_text("".join(lines + ([f"x@{OTHER} OK\n"] if odd else [])))
        rig.run(BIN / "mapc", "-c", rig.dir, f"hash:{rig.dir}/domains",
                f"hash:{rig.dir}/recipients", check=True)
        record = (rig.dir / "tables.set").read_bytes()
        run = next(line.split()[1].decode() for line in record.split(b"\n")
                   if line.startswith(b"run "))
        files = {name: (rig.dir / name).read_bytes()
                 for name in ("domains.phm", "recipients.phm")}
        made.append((run, record, files))
    return made


def put(rig, version):
    """The steps in which mapc makes a run visible."""
    run, record, files = version
    for name, content in files.items():
        (rig.dir / f"{name}.new-{run}").write_bytes(content)
        (rig.dir / f"{name}.new-{run}").chmod(0o644)
    (rig.dir / "tables.set.tmp").write_bytes(record)
    (rig.dir / "tables.set.tmp").chmod(0o644)
    os.rename(rig.dir / "tables.set.tmp", rig.dir / "tables.set")
    for name in files:
        os.rename(rig.dir / f"{name}.new-{run}", rig.dir / name)


class Asker(threading.Thread):
    """Asks about recipients until told to stop; keeps how long each reply took."""

    def __init__(self, mx):
        super().__init__()
        self.mx, self.times, self.wrong, self.seen = mx, [], [], set()
        self.stopping = False

    def rcpt(self, client, recipient):
        began = time.perf_counter()
        reply = client.say(f"RCPT TO:<{recipient}>")[:3]
        self.times.append(time.perf_counter() - began)
        return reply

    def transaction(self, client, number):
        client.say(f"MAIL FROM:<a@{DOMAIN}>", "250")
        answers = [self.rcpt(client, f"x@{OTHER}")]
        for recipient, wanted in ((ALWAYS[number % len(ALWAYS)], "250"),
                                  (f"never{number}@{DOMAIN}", "550"), (RECIPIENT, "250")):
            if (reply := self.rcpt(client, recipient)) != wanted:
                self.wrong.append((recipient, reply))
        answers.append(self.rcpt(client, f"x@{OTHER}"))
        # 550: the domain without its recipient; two answers in one transaction: two versions.
        if answers[0] != answers[1] or answers[0] not in ("250", "554"):
            self.wrong.append((OTHER, answers))
        self.seen.add(answers[0])
        client.say("RSET", "250")

    def run(self):
        number = 0
        while not self.stopping:
            with self.mx.connect() as client:
                client.say("EHLO client.example", "250")
                for _ in range(8):  # refusals slow a session down after some
                    self.transaction(client, number)
                    number += 1
                client.say("QUIT", "221")

    def stop(self):
        self.stopping = True
        self.join()


def p99(times):
    return sorted(times)[len(times) * 99 // 100] * 1000


def measure(rig, mx, seconds, each_turn):
    """Mail from mxload and questions for so long, each_turn() every PERIOD; the asker."""
    asker = Asker(mx)
    load = rig.process("mxload", BIN / "mxload", "--json", "-s", 4, "-m", 100_000_000, "-d", "-f",
                       f"s@{DOMAIN}", "-t", RECIPIENT, f"127.0.0.1:{rig.port}")
    asker.start()
    end = time.monotonic() + seconds
    turns = 0
    while (now := time.monotonic()) < end:
        each_turn(turns)
        turns += 1
        # A pace, not a wait for something.
        time.sleep(max(0, PERIOD - (time.monotonic() - now)))
    assert load.running(), load.text()
    asker.stop()
    load.kill()
    assert asker.times
    assert not asker.wrong, asker.wrong[:10]
    return asker, turns


# An error sleep would be what is measured.
with running_mx(recipients=ALWAYS, smtpd_error_sleep_time="0", smtpd_soft_error_limit="1000",
                smtpd_hard_error_limit="1000",
                smtpd_junk_command_limit="1000") as (rig, sink, mx):
    versions = make_versions(rig)
    wait_for(lambda: mx.lines("tables: .* in service"), "the first table that changed")
    calm, _ = measure(rig, mx, min(3, SECONDS), lambda turn: None)
    rss = []

    def turn_of_storm(turn):
        put(rig, versions[turn % VERSIONS])
        if turn % 50 == 25:
            rss.append(mx.rss_kib())
            rig.run(BIN / "mxq", "-c", rig.dir, "--status", check=True)  # reads what is swapped

    published = len(mx.lines("tables: .* in service"))
    storm, turns = measure(rig, mx, SECONDS, turn_of_storm)
    published = len(mx.lines("tables: .* in service")) - published
    print(f"{turns} versions in {SECONDS:.0f} s, {published} published; "
          f"{len(storm.times)} RCPT replies, p99 {p99(storm.times):.2f} ms "
          f"(calm: {len(calm.times)}, {p99(calm.times):.2f} ms); RSS {rss[0]}..{max(rss)} KiB")
    assert not (refused := mx.lines(f"NOQUEUE: reject: .* to=<{RECIPIENT}>")), refused[:5]
    assert not mx.lines("alarm tables raised"), mx.lines("alarm")
    assert storm.seen == {"250", "554"}, storm.seen
    assert published >= SECONDS * 3, published
    # A version is 1 MB: not even every second one of the least number may stay.
    assert max(rss) < rss[0] + 12 * 1024, rss
    # The short form runs beside other tests; the long one is for a quiet machine.
    limit = p99(calm.times) + 1 if SECONDS >= 60 else 3 * p99(calm.times) + 50
    assert p99(storm.times) < limit, (p99(storm.times), p99(calm.times))

    # When it is over the last version is in service, and only that.
    put(rig, versions[1])
    with mx.connect() as client:
        client.say("EHLO client.example", "250")

        def last_is_in_service():
            client.say(f"MAIL FROM:<a@{DOMAIN}>", "250")
            reply = client.say(f"RCPT TO:<x@{OTHER}>")
            client.say("RSET", "250")
            return reply.startswith("250")

        wait_for(last_is_in_service, "the last version")
        status = rig.run(BIN / "mxq", "-c", rig.dir, "--status", check=True).stdout
        wait_for(lambda: "snapshots                1\n" in rig.run(
            BIN / "mxq", "-c", rig.dir, "--status").stdout, f"one snapshot alive: {status}")
    assert mx.terminate() == 0
