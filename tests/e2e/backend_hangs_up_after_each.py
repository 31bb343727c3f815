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

ready, hung_up = threading.Event(), threading.Event()


def first(handler):
    wait_for(lambda: to.accepted == 2, "a second connection")
    handler.dialogue()


def never_used(handler):
    wait_for(lambda: len(to.messages) == 2, "the first connection has both messages")
    handler.say("220 backend ESMTP")
    assert handler.rfile.readline().startswith(b"EHLO")
    handler.say("250 backend")
    ready.set()
    assert handler.rfile.readline().startswith(b"MAIL")
    hung_up.set()


def send(mx):
    with mx.smtp() as client:
        client.sendmail(f"sender@{DOMAIN}", RECIPIENT, "Subject: x\r\n\r\nx\r\n")


with backend.Backend() as to, Rig() as rig:
    to.scripts = [first, never_used]
    rig.configure(relayhost=f"[127.0.0.1]:{to.port}", ringmx_shards=1,
                  ringmx_backend_check_interval=0)
    mx = rig.ringmx()
    send(mx)
    send(mx)
    assert ready.wait(30), "no idle connection"
    send(mx)
    wait_for(lambda: len(to.messages) == 3, "it goes to the other connection", 10)
    assert hung_up.is_set()
    assert mx.counters()["recipients_deferred"] == 0
    assert mx.terminate() == 0
