#!/usr/bin/env python3
"""V100: the wall clock jumps five days forward and back while mail waits in the queue, also over a
restart. Nothing gets too old by it, nothing is tried in a storm, nothing hangs, queue ids rise, and
dates are those of the clock. The steady clock is left alone, as it is by such a jump.

    clock_jumps.py [long]     (long: also that ETRN works after the clock went back; a minute)
"""

import datetime
import email.utils
import mmap
import pathlib
import re
import struct
import sys
import time

from backend import Backend
from rig import BIN, DOMAIN, RECIPIENT, Rig, need_program, skip, wait_for

LONG = sys.argv[1:] == ["long"]
LATER = f"later@{DOMAIN}"
DAY = 86_400
WAITING = 100
SETTLED = 2.5  # seconds: more than one look through the queue for old mail
SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static const volatile long long* ahead;
static int (*real)(clockid_t, struct timespec*);
__attribute__((constructor)) static void begin(void) {
  const int fd = open(getenv("CLOCK_AHEAD"), O_RDONLY);
  if (fd < 0) abort();
  ahead = mmap(0, 8, PROT_READ, MAP_SHARED, fd, 0);
  real = (int (*)(clockid_t, struct timespec*))dlsym(RTLD_NEXT, "clock_gettime");
  if (ahead == MAP_FAILED || !real) abort();
}
int clock_gettime(clockid_t id, struct timespec* t) {
  if (!real) return (int)syscall(SYS_clock_gettime, id, t);  // before begin(): the allocator's
  const int result = real(id, t);
  if (result == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) t->tv_sec += *ahead;
  return result;
}
time_t time(time_t* to) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  if (to) *to = t.tv_sec;
  return t.tv_sec;
}
int gettimeofday(struct timeval* restrict to, void* restrict zone) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  to->tv_sec = t.tv_sec;
  to->tv_usec = t.tv_nsec / 1000;
  return 0;
}
"""


class Clock:
    """What CLOCK_REALTIME says to ringmx: so many seconds more than it is."""

    def __init__(self, rig):
        self.library = rig.dir / "clock.so"
        file = rig.dir / "clock.ahead"
        file.write_bytes(bytes(8))
        (rig.dir / "clock.c").write_text(SOURCE)
        rig.run(need_program("cc"), "-shared", "-fPIC", "-O2", "-o", self.library,
                rig.dir / "clock.c", "-ldl", check=True)
        with open(file, "r+b") as shared:
            self.memory = mmap.mmap(shared.fileno(), 8)
        self.environment = {"LD_PRELOAD": str(self.library), "CLOCK_AHEAD": str(file)}

    def set_ahead(self, seconds):
        self.memory[:] = struct.pack("q", seconds)
        self.ahead = seconds

    def now(self):
        return time.time() + self.ahead


class Watch:
    def __init__(self, rig, backend, clock):
        self.rig, self.backend, self.clock = rig, backend, clock
        self.mails = 0
        self.ids = set()
        self.floor = 0

    def start(self):
        self.mx = self.rig.ringmx(environment=self.clock.environment)

    def restart(self):
        assert self.mx.terminate() == 0
        self.floor = max(self.ids)
        self.start()

    def still(self, what):
        """For a while nothing is tried, nothing gets old, nothing is told."""
        before = self.backend.tries
        time.sleep(SETTLED)  # that nothing happens in this time is what is measured
        counters = self.mx.counters()
        assert self.backend.tries == before, (what, self.backend.tries - before)
        assert counters["queued"] == WAITING, (what, counters)
        assert counters["recipients_generated"] == counters["recipients_bounced"] == 0, counters
        print(f"{what}: 0 attempts in {SETTLED} s, {WAITING} wait")

    def mail_flows(self):
        """A message goes through at once, with dates of the clock and an id above all others."""
        self.mails += 1
        with self.mx.smtp() as smtp:
            code, text = smtp.docmd("EHLO", "x")
            for line in ("MAIL FROM:<a@b.example>", f"RCPT TO:<{RECIPIENT}>", "DATA"):
                code, text = smtp.docmd(line)
                assert code < 400, text
            smtp.send(f"Subject: {self.mails}\r\n\r\nx\r\n.\r\n")
            code, text = smtp.getreply()
        assert code == 250, text
        name = int(re.search(rb"queued as ([0-9A-F]+)", text)[1], 16)
        # Ids rise within a shard, and all shards of a process begin above those before it.
        assert name not in self.ids and name > self.floor, f"{name:X}, {self.floor:X}"
        self.ids.add(name)
        wait_for(lambda: len(self.backend.to(RECIPIENT)) == self.mails, "its delivery", 10)
        body = self.backend.to(RECIPIENT)[-1]["body"].decode()
        assert f"id {name:X}" in body, body
        head = re.sub(r"\s+", " ", body.partition("\r\nSubject")[0])
        date = email.utils.parsedate_to_datetime(head.rpartition("; ")[2])
        away = date - datetime.datetime.fromtimestamp(self.clock.now(), datetime.timezone.utc)
        assert abs(away.total_seconds()) < 5, (date, self.clock.ahead)
        stamp = wait_for(lambda: self.mx.lines(f"{name:X}: from="), "its log line")[0][:15]
        assert stamp[:6] == time.strftime("%b %e", time.localtime(self.clock.now())), stamp


def need_plain_build():
    if b"__asan_init" in pathlib.Path(BIN / "ringmx").read_bytes():
        skip("a build with AddressSanitizer takes no LD_PRELOAD")


def etrn_after_the_clock_went_back(watch, since):
    """Once a minute at most: by the steady clock."""
    wait_for(lambda: time.monotonic() - since > 61, "a minute since the last", 70)
    before = watch.backend.tries
    with watch.mx.connect() as client:
        client.say("EHLO x", "250")
        client.say(f"ETRN {DOMAIN}", "250")
    wait_for(lambda: watch.backend.tries >= before + WAITING, "what waits is tried", 20)


def etrn(watch):
    with watch.mx.connect() as client:
        client.say("EHLO x", "250")
        client.say(f"ETRN {DOMAIN}", "250")
    return time.monotonic()


def run(rig, backend):
    clock = Clock(rig)
    clock.set_ahead(0)
    watch = Watch(rig, backend, clock)
    watch.start()
    mx = watch.mx
    assert rig.mxload("-s", "5", "-m", str(WAITING), "-d", to=LATER)["accepted"] == WAITING
    wait_for(lambda: mx.counters()["recipients_deferred"] == WAITING, "one attempt of each")
    watch.mail_flows()
    clock.set_ahead(5 * DAY)
    watch.still("five days forward")
    watch.mail_flows()
    if LONG:
        etrn(watch)
        since = time.monotonic()
        wait_for(lambda: mx.counters()["recipients_deferred"] == 2 * WAITING, "ETRN's run")
    clock.set_ahead(-5 * DAY)
    watch.still("ten days back")
    watch.mail_flows()
    if LONG:
        etrn_after_the_clock_went_back(watch, since)
    watch.restart()
    watch.still("started five days behind")
    watch.mail_flows()
    clock.set_ahead(0)
    watch.still("and then set right")
    watch.mail_flows()
    clock.set_ahead(5 * DAY)
    before = backend.tries
    watch.restart()  # all of it is due, as after a long rest: each is tried once
    wait_for(lambda: watch.mx.counters()["recipients_deferred"] == WAITING, "one attempt of each")
    assert backend.tries == before + WAITING, backend.tries - before
    watch.still("started five days ahead")
    watch.mail_flows()
    clock.set_ahead(0)
    watch.still("and then set right")
    watch.mail_flows()
    backend.busy = False
    rig.run(BIN / "mxq", "-c", rig.dir, "-f", check=True)
    wait_for(lambda: len(backend.to(LATER)) == WAITING, "all that waited")
    wait_for(lambda: watch.mx.counters()["queued"] == 0, "an empty queue")
    assert watch.mx.terminate() == 0


def main():
    need_plain_build()

    def answers(stage, argument):
        if stage != "RCPT":
            return None
        backend.tries += f"<{LATER}>" in argument
        return "450 4.2.1 busy" if backend.busy and f"<{LATER}>" in argument else None

    with Rig() as rig, Backend(answers) as backend:
        backend.busy, backend.tries = True, 0
        # bounce_queue_lifetime is for other mail; a twentieth of it is how often the queue is
        # looked through for old mail.
        rig.configure((RECIPIENT, LATER), relayhost=f"[127.0.0.1]:{backend.port}",
                      ringmx_shards=2, minimal_backoff_time="600s", maximal_backoff_time="4000s",
                      maximal_queue_lifetime="1d", bounce_queue_lifetime="20s",
                      delay_warning_time="4h", fast_flush_domains=DOMAIN)
        run(rig, backend)


main()
