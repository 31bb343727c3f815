#!/usr/bin/env python3
"""What one of two backends puts off, or drops in the middle, the other is asked for at once, with
no wait for a retry; what it refuses is refused. One that accepts connections and says nothing holds
up a message for a second, not for the time-outs. And after an outage new mail does not wait behind
all that has gathered, also with a limit of connections."""

import contextlib
import socket
import threading

from backend import Backend, HangUp
from rig import DOMAIN, Rig, free_port, wait_for

USERS = [f"{name}@{DOMAIN}" for name in ("taken", "later", "never", "user")]


def start(rig, *ports, **parameters):
    hosts = ", ".join(f"[127.0.0.1]:{port}" for port in ports)
    rig.configure(recipients=USERS, relayhost=hosts,
                  **{"ringmx_shards": 1, "ringmx_backend_check_interval": 0} | parameters)
    return rig.ringmx()


def send(mx, *recipients, subject="x"):
    with mx.smtp() as client:
        client.sendmail(f"sender@{DOMAIN}", recipients or USERS[3:],
                        f"Subject: {subject}\r\n\r\nx\r\n".encode())


def by_recipient(stage, argument):
    if stage == "RCPT" and "<later@" in argument:
        return "450 4.2.0 later"
    if stage == "RCPT" and "<never@" in argument:
        return "550 5.1.1 never"
    return None


# The first has the first message: a backend is asked for a recipient until one says yes or no.
with Backend(by_recipient) as first, Backend() as second, Rig() as rig:
    mx = start(rig, first.port, second.port, ringmx_backend_balance="ordered")
    send(mx, *USERS[:3])
    wait_for(lambda: second.to(USERS[1]), "the other takes it")
    assert first.to(USERS[0]) and not second.to(USERS[0]) and not second.to(USERS[2])
    counters = mx.counters()
    assert counters["recipients_deferred"] == 0, counters
    wait_for(lambda: mx.counters()["recipients_bounced"] == 1, "the refused one bounces")

    second.answers = by_recipient  # nobody takes it: once each, then it waits
    asked = len(mx.lines("trying another"))
    send(mx, USERS[1])
    wait_for(lambda: mx.counters()["recipients_deferred"] == 1, "it is put off")
    wait_for(lambda: len(mx.lines("trying another")) == asked + 1, "one more was asked")
    assert mx.terminate() == 0


def drops(stage, argument):
    if stage == "MAIL":
        raise HangUp


with Backend(drops) as first, Backend() as second, Rig() as rig:
    mx = start(rig, first.port, second.port, ringmx_backend_balance="ordered")
    send(mx)
    wait_for(lambda: second.messages, "the other takes it")
    assert mx.counters()["recipients_deferred"] == 0
    assert mx.terminate() == 0

# The check of a backend that is not its turn takes no mail, though it is there first.
ports = free_port(), free_port()
with Rig() as rig:
    mx = start(rig, *ports, ringmx_backend_balance="ordered", ringmx_backend_check_interval=60)
    send(mx)
    wait_for(lambda: mx.lines("alarm next-hop-down raised"), "it waits")
    assert mx.terminate() == 0

    def behind_the_other(stage, argument):
        with contextlib.suppress(AssertionError):  # it may be greeted within a second
            if stage == "greeting":
                wait_for(lambda: second.accepted and not second.open, "the other's check", 0.7)

    with Backend(behind_the_other, port=ports[0]) as first, Backend(port=ports[1]) as second:
        mx = rig.ringmx()
        wait_for(lambda: first.messages or second.messages, "the message")
        assert second.accepted == 1 and not second.messages
        assert mx.terminate() == 0

with socket.create_server(("127.0.0.1", 0)) as silent, Backend() as second, Rig() as rig:
    mx = start(rig, silent.getsockname()[1], second.port, ringmx_backend_balance="spread")
    for _ in range(20):
        send(mx)
    wait_for(lambda: len(second.messages) == 20, "all go to the one that answers", 10)
    assert mx.terminate() == 0

for limit in (1, 20):
    gate = threading.Semaphore(0)

    def slowly(stage, argument, gate=gate):
        if stage == "DATA":
            gate.acquire()

    port = free_port()
    with Rig() as rig:
        mx = start(rig, port, relay_destination_concurrency_limit=limit)
        for _ in range(60):
            send(mx, subject="old")
        wait_for(lambda: mx.lines("alarm next-hop-down raised"), "it is down")
        with Backend(slowly, port=port) as backend:
            wait_for(lambda: backend.open, "it is up again")
            for _ in range(20):
                send(mx, subject="new")
            gate.release(80)
            wait_for(lambda: len(backend.messages) == 80, "all are delivered")
            subjects = [b"new" in m["body"] for m in backend.messages]
            last = max(i for i, new in enumerate(subjects) if new)
            # Every second one is new; some connections had old ones when the new ones came.
            assert last <= 2 * 20 + limit, subjects
            assert mx.terminate() == 0
