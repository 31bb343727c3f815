#!/usr/bin/env python3
"""A backend that closes the connection right behind its 250, while the queue is read back and
drains: every message arrives, and ringmx lives (it asserted when the close met a message being
read). And one that closes an idle connection when it is given its first message: that goes to
another connection at once, with no wait for a retry."""

import socketserver
import threading

import backend
from rig import DOMAIN, RECIPIENT, Rig, free_port, wait_for

arrived = []


class OneMessage(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(b"220 backend\r\n")
        while line := self.rfile.readline():
            verb = line[:4].upper()
            if verb == b"DATA":
                self.wfile.write(b"354 go\r\n")
                while (text := self.rfile.readline()) not in (b".\r\n", b""):
                    if text.startswith(b"X-Mxload-Id:"):
                        arrived.append(text.split()[1])
                self.wfile.write(b"250 ok\r\n")
                return  # and closes
            self.wfile.write(b"250 ok\r\n")


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128


with Rig() as rig:
    port = free_port()
    rig.configure(relayhost=f"[127.0.0.1]:{port}", minimal_backoff_time="1s",
                  maximal_backoff_time="2s")
    mx = rig.ringmx()
    assert rig.mxload("-s", "5", "-m", "300", "-d", "--ledger", rig.dir / "sent")["accepted"] == 300
    assert mx.terminate() == 0
    with Server(("127.0.0.1", port), OneMessage) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        mx = rig.ringmx()  # all of it is read back from the journal
        wait_for(lambda: len(set(arrived)) >= 300, "300 messages at the backend", 120)
        assert mx.terminate() == 0
        server.shutdown()
    sent = (rig.dir / "sent").read_text().split()
    assert {i.decode() for i in arrived} == set(sent)

def unused_connections_close(count):
    """The first connection has all messages; the others are idle, and close on their first. With
    two of those the other backend is asked, as for any that was lost."""
    ready, hung_up = threading.Semaphore(0), threading.Semaphore(0)

    def has_all(handler):
        wait_for(lambda: first.accepted == count + 1, "the other connections")
        handler.dialogue()

    def never_used(handler):
        wait_for(lambda: len(first.messages) == count + 1, "all messages on the first connection")
        handler.say("220 backend ESMTP")
        assert handler.rfile.readline().startswith(b"EHLO")
        handler.say("250 backend")
        ready.release()
        assert handler.rfile.readline().startswith(b"MAIL")
        hung_up.release()

    def send():
        with mx.smtp() as client:
            client.sendmail(f"sender@{DOMAIN}", RECIPIENT, "Subject: x\r\n\r\nx\r\n")

    with backend.Backend() as first, backend.Backend() as second, Rig() as rig:
        first.scripts = [has_all] + [never_used] * count
        rig.configure(relayhost=f"[127.0.0.1]:{first.port}, [127.0.0.1]:{second.port}",
                      ringmx_shards=1, ringmx_backend_check_interval=0,
                      ringmx_backend_balance="ordered")
        mx = rig.ringmx()
        for _ in range(count + 1):
            send()
        for _ in range(count):
            assert ready.acquire(timeout=30), "no idle connection"
        send()
        for _ in range(count):
            assert hung_up.acquire(timeout=10), "they are not tried"
        to, others = (first, count + 1) if count == 1 else (second, 0)
        wait_for(lambda: len(to.messages) == others + 1, "it goes on at once", 10)
        assert mx.counters()["recipients_deferred"] == 0
        assert mx.terminate() == 0


unused_connections_close(1)
unused_connections_close(2)
