"""A backend whose answers a test decides: an SMTP server of the standard library's sockets.

answers(stage, argument) is asked at each of greeting, EHLO, MAIL, RCPT, DATA and dot; it returns a
reply ("550 5.1.1 no"), None for the usual one, or raises HangUp. What was taken is in `messages`,
with when and on which connection; `most` is how many connections had a transaction at once.
A script in `scripts` gets one connection for itself, to do with it what no server would.
"""

import socketserver
import threading
import time


class HangUp(Exception):
    pass


class Handler(socketserver.StreamRequestHandler):
    gone = busy = False

    def say(self, reply):
        self.wfile.write(reply.encode() + b"\r\n")

    def answer(self, stage, argument, usual):
        reply = self.server.owner.answers(stage, argument) or usual
        self.say(reply)
        return reply[0] in "23"

    def handle(self):
        owner = self.server.owner
        try:
            with owner.lock:
                owner.accepted += 1
                self.number = owner.accepted
                owner.open += 1
                script = owner.scripts.pop(0) if owner.scripts else None
            if script:
                script(self)
            else:
                self.dialogue()
        except (HangUp, ConnectionError):
            pass
        finally:
            self.leave()

    def leave(self):
        """Is open no more: said before the client can know it."""
        with self.server.owner.lock:
            self.server.owner.open -= not self.gone
        self.gone = True
        self.transaction(False)

    def transaction(self, begins):
        """The end of one is said before the client can know it, and begin another elsewhere."""
        owner = self.server.owner
        with owner.lock:
            owner.transactions += begins - self.busy
            owner.most = max(owner.most, owner.transactions)
        self.busy = begins

    def dialogue(self):
        owner = self.server.owner
        if not self.answer("greeting", "", "220 backend ESMTP"):
            return
        sender, recipients = None, []
        while line := self.rfile.readline():
            command = line.decode("utf-8", "surrogateescape").rstrip("\r\n")
            verb = command[:4].upper()
            if verb in ("EHLO", "HELO"):
                lines = ["backend", *owner.extensions] if verb == "EHLO" else ["backend"]
                usual = "\r\n".join(f"250{'-' if i + 1 < len(lines) else ' '}{text}"
                                    for i, text in enumerate(lines))
                self.answer("EHLO", command, usual)
            elif verb == "MAIL":
                sender, recipients = command, []
                self.transaction(True)
                if not self.answer("MAIL", command, "250 2.1.0 Ok"):
                    sender = None
            elif verb == "RCPT":
                if self.answer("RCPT", command, "250 2.1.5 Ok"):
                    recipients.append(command)
            elif verb == "DATA":
                if not recipients:
                    self.say("554 5.5.1 no valid recipients")
                elif self.answer("DATA", "", "354 go on"):
                    body = b""
                    while (text := self.rfile.readline()) not in (b".\r\n", b""):
                        body += text[1:] if text.startswith(b".") else text
                    if not text:
                        return
                    self.transaction(False)
                    if self.answer("dot", body, "250 2.0.0 Ok: queued as TEST"):
                        with owner.lock:
                            owner.messages.append({"mail": sender, "rcpt": recipients,
                                                   "body": body, "at": time.monotonic(),
                                                   "at_us": time.time_ns() // 1000,
                                                   "connection": self.number})
                        if owner.one_message:
                            return
            elif verb == "RSET":
                self.say("250 2.0.0 Ok")
            elif verb == "QUIT":
                self.leave()
                self.say("221 2.0.0 Bye")
                return
            else:
                self.say("502 5.5.2 not known")


class Backend:
    def __init__(self, answers=lambda stage, argument: None,
                 extensions=("PIPELINING", "8BITMIME", "SIZE 0"), one_message=False, port=0):
        self.answers = answers
        self.port = port  # 0: a free one
        self.one_message = one_message  # a connection is closed behind its first
        self.extensions = extensions
        self.messages = []
        self.accepted = self.open = 0  # connections
        self.transactions = self.most = 0  # now, and at once
        self.scripts = []  # each is given one connection (its handler) instead of a dialogue
        self.lock = threading.Lock()

    def __enter__(self):
        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True
            request_queue_size = 256  # with 5 a connection may wait for seconds on a busy machine

        self.server = Server(("127.0.0.1", self.port), Handler)
        self.server.owner = self
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def to(self, address):
        """The messages that name this recipient."""
        with self.lock:
            return [m for m in self.messages if any(f"<{address}>" in r for r in m["rcpt"])]
