#!/usr/bin/env python3
"""TERM: nothing new is accepted, what is in flight is finished, idle sessions get 421, the exit
status is 0."""

import signal
import socket

from rig import DOMAIN, RECIPIENT, running_mx, wait_for


def say(connection, line, wanted):
    raw, file = connection
    raw.sendall(line.encode())
    reply = file.readline().decode()
    assert reply.startswith(wanted), (line, reply)


with running_mx() as (rig, sink, mx):
    idle, busy = mx.connect(), mx.connect()
    for line, wanted in ((f"HELO client.test\r\nMAIL FROM:<a@{DOMAIN}>\r\n", "250"), ("", "250"),
                         (f"RCPT TO:<{RECIPIENT}>\r\n", "250"), ("DATA\r\n", "354")):
        say(busy, line, wanted)
    mx.process.send_signal(signal.SIGTERM)

    def refused():
        try:
            with socket.create_connection(("127.0.0.1", mx.port), timeout=5) as late:
                return late.recv(4) in (b"", b"421 ")
        except OSError:
            return True

    wait_for(refused, "no new connection is served")
    assert idle[1].readline().startswith(b"421 4.3.2"), "the idle session's farewell"
    say(busy, "Subject: last\r\n\r\nlast words\r\n.\r\n", "250")
    assert mx.wait(30) == 0, mx.text()
    # Delivered before the end, or by the next start: not lost.
    mx = rig.ringmx()
    assert len(sink.wait_for_messages(1)) == 1
    assert mx.terminate() == 0
