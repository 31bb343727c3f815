#!/usr/bin/env python3
"""TERM: nothing new is accepted, what is in flight is finished, idle sessions get 421, the exit
status is 0."""

import signal
import socket

from rig import DOMAIN, RECIPIENT, running_mx, wait_for


def turned_away(port):
    """A late client gets nothing or 421, at once. True as soon as that is so."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as late:
            return late.recv(4) in (b"", b"421 ")
    except TimeoutError as error:
        raise AssertionError("a late client is left waiting") from error
    except OSError:
        return True


with running_mx() as (rig, sink, mx):
    idle, busy = mx.connect(), mx.connect()
    busy.say("EHLO client.test", "250")
    busy.say(f"MAIL FROM:<a@{DOMAIN}>", "250")
    busy.say(f"RCPT TO:<{RECIPIENT}>", "250")
    busy.say("DATA", "354")
    mx.process.send_signal(signal.SIGTERM)
    assert idle.reply().startswith("421 4.3.2")
    wait_for(lambda: turned_away(mx.port), "no new connection is served")
    busy.say("Subject: last\r\n\r\nlast words\r\n.", "250")
    assert mx.wait(30) == 0
    # Delivered before the end, or by the next start: not lost.
    mx = rig.ringmx()
    assert len(sink.wait_for_messages(1)) == 1
    assert mx.terminate() == 0
