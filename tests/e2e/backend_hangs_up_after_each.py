#!/usr/bin/env python3
"""A backend that closes the connection right behind its 250, while the queue is read back and
drains: every message arrives, and ringmx lives (it asserted when the close met a message being
read)."""

import socketserver
import threading

from rig import Rig, free_port, wait_for

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


class Backend(socketserver.ThreadingTCPServer):
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
    with Backend(("127.0.0.1", port), OneMessage) as backend:
        threading.Thread(target=backend.serve_forever, daemon=True).start()
        mx = rig.ringmx()  # all of it is read back from the journal
        wait_for(lambda: len(set(arrived)) >= 300, "300 messages at the backend", 120)
        assert mx.terminate() == 0
        backend.shutdown()
    sent = (rig.dir / "sent").read_text().split()
    assert {i.decode() for i in arrived} == set(sent)
