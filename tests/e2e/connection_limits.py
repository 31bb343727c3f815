#!/usr/bin/env python3
"""What main.cf says of connections to a backend is what the backend sees: no more of them in use at
once than relay_destination_concurrency_limit, over all shards; a pause between deliveries with
relay_destination_rate_delay; how many messages a connection has, and how long it lasts."""

import smtplib
import threading
from collections import Counter

from backend import Backend
from rig import RECIPIENT, Rig, wait_for


def send(rig, count, connections=1):
    """Over several connections, so that several shards have mail."""
    def one(part):
        with smtplib.SMTP("127.0.0.1", rig.port, timeout=60) as client:
            for _ in range(part):
                client.sendmail("a@example.test", [RECIPIENT], b"Subject: x\r\n\r\nx\r\n")
    threads = [threading.Thread(target=one, args=(count // connections,))
               for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def seen(count, answers=lambda stage, argument: None, connections=1, **parameters):
    """A backend after it has got that many messages."""
    with Backend(answers) as backend, Rig() as rig:
        rig.configure(relayhost=f"[127.0.0.1]:{backend.port}", ringmx_backend_check_interval=0,
                      ringmx_segment_size=8 << 20, **parameters)
        mx = rig.ringmx()
        send(rig, count, connections)
        wait_for(lambda: len(backend.messages) >= count, f"{count} messages")
        assert mx.terminate() == 0 and len(backend.messages) == count
        return backend


class Gate:
    """Lets a DATA go when so many wait for it, or after a while when no more come."""
    def __init__(self, wanted):
        self.barrier = threading.Barrier(wanted)

    def __call__(self, stage, argument):
        if stage == "DATA":
            try:
                self.barrier.wait(1)
            except threading.BrokenBarrierError:
                pass


for shards in (1, 4):
    backend = seen(40, Gate(4), 8, ringmx_shards=shards, relay_destination_concurrency_limit=3)
    assert backend.most == 3, backend.most
    backend = seen(40, Gate(4), 8, ringmx_shards=shards, ringmx_backend_connections=2,
                   relay_destination_recipient_limit=1)
    assert backend.most == 2, backend.most
    backend = seen(3, connections=3, ringmx_shards=shards, relay_destination_rate_delay="1s")
    times = [m["at"] for m in backend.messages]
    assert backend.most == 1 and all(b - a > 0.9 for a, b in zip(times, times[1:])), times

# One shard has all the connections there may be, and no mail any more: another gets one soon.
with Backend(Gate(4)) as backend, Rig() as rig:
    rig.configure(relayhost=f"[127.0.0.1]:{backend.port}", ringmx_backend_check_interval=0,
                  ringmx_segment_size=8 << 20, ringmx_shards=4,
                  relay_destination_concurrency_limit=3, smtp_connection_cache_time_limit="60s")
    mx = rig.ringmx()
    send(rig, 12)
    wait_for(lambda: len(backend.messages) == 12, "those of one shard")
    assert backend.most == 3, backend.most
    backend.answers = lambda stage, argument: None
    for count in range(13, 29):  # one by one: nobody else's end of a delivery helps
        send(rig, 1)
        wait_for(lambda n=count: len(backend.messages) == n, "one of any shard", 10)
    assert mx.terminate() == 0

messages = Counter(m["connection"] for m in
                   seen(12, smtp_connection_reuse_count_limit=2,
                        relay_destination_concurrency_limit=1).messages)
assert messages == {1: 3, 2: 3, 3: 3, 4: 3}, messages
backend = seen(6, smtp_connection_cache_on_demand="no")
assert backend.accepted == 6, backend.accepted
backend = seen(6, relay_destination_concurrency_limit=1)
assert backend.accepted == 1, backend.accepted

# A connection is used for so long; an idle one stays for so long.
with Backend() as backend, Rig() as rig:
    rig.configure(relayhost=f"[127.0.0.1]:{backend.port}", ringmx_backend_check_interval=0,
                  ringmx_shards=1, smtp_connection_cache_time_limit="60s",
                  smtp_connection_reuse_time_limit="2s")
    mx = rig.ringmx()

    def deliver():
        before = len(backend.messages)
        send(rig, 1)
        wait_for(lambda: len(backend.messages) > before, "delivered")

    def later():
        deliver()
        return backend.accepted > 1

    deliver()
    wait_for(later, "another connection", 10)
    first, *_, last = [m["at"] for m in backend.messages if m["connection"] == 1]
    assert 1 < last - first < 3, (first, last)
    assert mx.terminate() == 0
