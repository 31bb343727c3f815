#!/usr/bin/env python3
"""What EHLO offers works to the end: DSN parameters and SMTPUTF8 reach a backend that has them,
XCLIENT and XFORWARD change what policy and log see, ETRN starts the queue, keywords are left out by
address; and message_size_limit is the same by DATA, BDAT and SIZE=."""

import contextlib
import re
import socket
import socketserver
import threading

from rig import DOMAIN, RECIPIENT, Rig, wait_for

USER2 = f"second@{DOMAIN}"


class Backend(socketserver.ThreadingTCPServer):
    """Takes everything and remembers the commands; `down`: 450 to every transaction."""
    allow_reuse_address = daemon_threads = True

    def __init__(self, keywords):
        super().__init__(("127.0.0.1", 0), Session)
        self.keywords, self.commands, self.bodies, self.down = keywords, [], [], False
        self.port = self.server_address[1]
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Session(socketserver.StreamRequestHandler):
    def handle(self):
        with contextlib.suppress(ConnectionError):
            self.dialogue()

    def dialogue(self):
        say = lambda text: self.wfile.write(text.encode() + b"\r\n")  # noqa: E731
        say("220 backend ESMTP")
        for row in self.rfile:
            line = row.decode().rstrip("\r\n")
            verb = line[:4].upper()
            if verb == "EHLO":
                words = ["backend", *self.server.keywords]
                say("\r\n".join(f"250{'-' if w is not words[-1] else ' '}{w}" for w in words))
                continue
            self.server.commands.append(line)
            if verb in ("MAIL", "RCPT", "DATA") and self.server.down:
                say("450 4.0.0 not now")
            elif verb == "DATA":
                say("354 go")
                body = b""
                while not body.endswith(b"\r\n.\r\n") and body != b".\r\n":
                    body += self.rfile.readline()
                self.server.bodies.append(body)
                say("250 2.0.0 Ok")
            elif verb == "QUIT":
                return say("221 bye")
            else:
                say("250 2.0.0 Ok")


def transact(client, mail, *rcpts, body="Subject: x\r\n\r\nx"):
    client.say(mail, "250")
    for rcpt in rcpts:
        client.say(rcpt, "250")
    client.say("DATA", "354")
    return client.say(body + "\r\n.", "250")


def send(mx, *commands):
    with mx.connect() as client:
        client.say("EHLO client.test", "250")
        return transact(client, *commands)


def dsn_and_utf8():
    with Rig() as rig, Backend(["PIPELINING", "8BITMIME", "DSN", "SMTPUTF8"]) as able, \
            Backend(["PIPELINING", "8BITMIME"]) as plain:
        for backend in (able, plain):
            # What the backend lacks is found out by the first message, and offered until then.
            rig.configure(relayhost=f"[127.0.0.1]:{backend.port}", smtputf8_enable="yes",
                          ringmx_backend_check_interval=0,
                          recipients=(RECIPIENT, USER2, f"bücher@{DOMAIN}"))
            mx = rig.ringmx()
            with mx.connect() as client:
                client.say("EHLO client.test", "250")
                transact(client, f"MAIL FROM:<a@{DOMAIN}> ENVID=QQ+2B1 RET=HDRS",
                         f"RCPT TO:<{RECIPIENT}> NOTIFY=SUCCESS,DELAY "
                         "ORCPT=rfc822;Bob+2Bx@old.example", f"RCPT TO:<{USER2}>")
                transact(client, f"MAIL FROM:<jürgen@{DOMAIN}> SMTPUTF8",
                         f"RCPT TO:<bücher@{DOMAIN}>")
                transact(client, f"MAIL FROM:<a@{DOMAIN}> SMTPUTF8", f"RCPT TO:<{RECIPIENT}>",
                         body="Subject: plain\r\n\r\nbody: ü")
            if backend is plain:
                wait_for(lambda mx=mx: mx.lines("6.7, .*SMTPUTF8 is required"), "a refusal")
                wait_for(lambda: len(plain.bodies) >= 2, "the others delivered")
            else:
                wait_for(lambda: len(able.bodies) >= 3, "all delivered")
            assert mx.terminate() == 0
        commands = "\n".join(able.commands)
        size = r"(?: SIZE=\d+)?"
        mail = rf"MAIL FROM:<a@{DOMAIN}>{size} RET=HDRS ENVID=QQ\+2B1"
        assert re.search(mail, commands), commands
        assert f"RCPT TO:<{RECIPIENT}> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Bob+2Bx@old.example" \
            in commands, commands
        assert f"RCPT TO:<{USER2}>" in able.commands, commands
        assert re.search(rf"MAIL FROM:<jürgen@{DOMAIN}>{size} SMTPUTF8", commands), commands
        assert any(b"with UTF8SMTP id" in body for body in able.bodies)
        told = "\n".join(plain.commands)
        assert "NOTIFY" not in told and "ENVID" not in told and "SMTPUTF8" not in told, told
        assert "jürgen" not in told, told


def xclient_and_xforward():
    with Rig() as rig, Backend(["PIPELINING"]) as backend:
        rig.configure(relayhost=f"[127.0.0.1]:{backend.port}", mynetworks="192.0.2.0/24",
                      smtpd_authorized_xclient_hosts="127.0.0.1",
                      smtpd_authorized_xforward_hosts="127.0.0.1",
                      smtpd_relay_restrictions="permit_mynetworks, reject_unauth_destination")
        mx = rig.ringmx()
        with mx.connect() as client:
            client.say("EHLO proxy.test", "250")
            client.say(f"MAIL FROM:<a@{DOMAIN}>", "250")
            client.say("RCPT TO:<x@elsewhere.test>", "554 5.7.1")
            client.say("XCLIENT ADDR=192.0.2.7", "503 5.5.1")
            client.say("RSET", "250")
            client.say("XCLIENT NAME=client.example ADDR=192.0.2.7", "220 ")
            client.say("XCLIENT ADDR=10.0.0.1", "550 5.7.0")  # the new client is not authorised
            client.say("EHLO client.test", "250")
            client.say(f"MAIL FROM:<a@{DOMAIN}>", "250")
            client.say("RCPT TO:<x@elsewhere.test>", "250")
            client.say("DATA", "354")
            client.say("Subject: x\r\n\r\nx\r\n.", "250")
        wait_for(lambda: mx.lines(r"client=client\.example\[192\.0\.2\.7\]"), "the log")
        wait_for(lambda: any(b"(client.example [192.0.2.7])" in b for b in backend.bodies), "mail")
        with mx.connect() as client:
            client.say("EHLO proxy.test", "250")
            client.say("XFORWARD NAME=far.example ADDR=10.9.8.7 IDENT=ABC", "250")
            client.say(f"MAIL FROM:<a@{DOMAIN}>", "250")
            client.say(f"RCPT TO:<{RECIPIENT}>", "250")
            client.say("DATA", "354")
            client.say("Subject: x\r\n\r\nx\r\n.", "250")
        wait_for(lambda: mx.lines(r"client=unknown\[127\.0\.0\.1\], orig_queue_id=ABC, "
                                  r"orig_client=far\.example\[10\.9\.8\.7\]"), "the log")


def etrn_kicks():
    with Rig() as rig, Backend(["PIPELINING"]) as backend:
        rig.configure(relayhost=f"[127.0.0.1]:{backend.port}", minimal_backoff_time="1000s")
        mx = rig.ringmx()
        backend.down = True
        send(mx, f"MAIL FROM:<a@{DOMAIN}>", f"RCPT TO:<{RECIPIENT}>")
        wait_for(lambda: mx.lines("status=deferred"), "deferral")
        backend.down = False
        with mx.connect() as client:
            client.say("EHLO client.test", "250")
            client.say("ETRN elsewhere.test", "459 <elsewhere.test>: service unavailable")
            assert not backend.bodies
            client.say(f"ETRN {DOMAIN}", "250 Queuing started")
        wait_for(lambda: backend.bodies, "the deferred message")


def keywords_by_address():
    with Rig() as rig:
        (rig.dir / "ehlo").write_text("127.0.0.5 chunking, dsn\n"
                                      "127.0.0.6 silent-discard pipelining\n")
        rig.configure(relayhost="[127.0.0.1]:9", smtpd_discard_ehlo_keywords="vrfy",
                      smtpd_discard_ehlo_keyword_address_maps=f"hash:{rig.dir}/ehlo")
        rig.ringmx()

        def offered(source):
            client = socket.create_connection(("127.0.0.1", rig.port), 60,
                                              source_address=(source, 0))
            with client, client.makefile("rb") as lines:
                lines.readline()
                client.sendall(b"EHLO client.test\r\n")
                words = []
                while not words or words[-1][3:4] == "-":
                    words.append(lines.readline().decode())
                return {word[4:].split()[0] for word in words}

        assert "VRFY" not in offered("127.0.0.1") and "CHUNKING" in offered("127.0.0.1")
        assert {"VRFY", "PIPELINING"} <= offered("127.0.0.5")
        assert not {"CHUNKING", "DSN"} & offered("127.0.0.5")
        assert "PIPELINING" not in offered("127.0.0.6")


def one_size_limit(shards):
    """At the limit, one below and one over; unstuffed bytes, CR LF as two, our header not."""
    with Rig() as rig, Backend(["PIPELINING"]) as backend:
        rig.configure(relayhost=f"[127.0.0.1]:{backend.port}", message_size_limit=1000,
                      ringmx_shards=shards, ringmx_segment_size=4 << 20)
        mx = rig.ringmx()
        with mx.connect() as client:
            client.say("EHLO client.test", "250")
            for size in (999, 1000, 1001):
                wanted = "250" if size <= 1000 else "552 5.3.4"
                body = b"Subject: x\r\n\r\n.\r\n" + b"x" * (size - 19) + b"\r\n"
                assert len(body) == size
                client.say(f"MAIL FROM:<a@{DOMAIN}> SIZE={size}", wanted)
                client.say("RSET", "250")
                for by in ("DATA", "BDAT", "two chunks"):
                    client.say(f"MAIL FROM:<a@{DOMAIN}>", "250")
                    client.say(f"RCPT TO:<{RECIPIENT}>", "250")
                    if by == "DATA":
                        client.say("DATA", "354")
                        client.say(body.replace(b"\r\n.\r\n", b"\r\n..\r\n") + b".", wanted)
                        continue
                    if by == "two chunks":
                        client.socket.sendall(b"BDAT 15\r\n" + body[:15])
                        assert client.reply().startswith("250 ")
                    rest = body[15:] if by == "two chunks" else body
                    client.socket.sendall(b"BDAT %d LAST\r\n" % len(rest) + rest)
                    reply = client.reply()
                    assert reply.startswith(wanted), (size, by, reply)


dsn_and_utf8()
xclient_and_xforward()
etrn_kicks()
keywords_by_address()
for number in (1, 4):
    one_size_limit(number)
