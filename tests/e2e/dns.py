"""Name servers for tests: unbound with records that a test changes while it runs, and one that
breaks every rule.

    with Rig() as rig:
        dns = Unbound(rig)
        dns.add("d.test. 5 IN MX 10 a.test.", "a.test. 5 IN A 127.0.0.2")
        rig.configure(ringmx_dns_servers=f"127.0.0.1:{dns.port}", ...)

Unbound answers for the zone `test.` from these records alone, and asks nobody.
"""

import socket
import socketserver
import struct
import threading

from rig import free_port, need_program, wait_for

CONFIGURATION = """\
server:
  interface: 127.0.0.1@{port}
  username: ""
  chroot: ""
  directory: "{dir}"
  pidfile: ""
  use-syslog: no
  do-daemonize: no
  do-ip6: no
  access-control: 127.0.0.0/8 allow
  do-not-query-localhost: yes
  module-config: "iterator"
  local-zone: "test." static
  local-zone: "soft.test." refuse
remote-control:
  control-enable: yes
  control-interface: "{dir}/unbound.socket"
  control-use-cert: no
"""


class Unbound:
    def __init__(self, rig):
        program = need_program("unbound")
        self.rig, self.port = rig, free_port()
        self.config = rig.dir / "unbound.conf"
        self.config.write_text(CONFIGURATION.format(port=self.port, dir=rig.dir))
        self.process = rig.process("unbound", program, "-d", "-c", self.config)
        wait_for(self.answers, "unbound up")

    def answers(self):
        assert self.process.running(), self.process.text()
        return self.rig.run("unbound-control", "-c", self.config, "status").returncode == 0

    def control(self, *words, **options):
        self.rig.run("unbound-control", "-c", self.config, *words, check=True, **options)

    def add(self, *records):
        self.control("local_datas", input="".join(f"{r}\n" for r in records))

    def remove(self, *names):
        self.control("local_datas_remove", input="".join(f"{n}\n" for n in names))


def name(text):
    return b"".join(bytes([len(label)]) + label.encode() for label in text.split(".")) + b"\0"


def record(owner, kind, data, ttl=300, length=None):
    return (name(owner) if isinstance(owner, str) else owner) + struct.pack(
        ">HHIH", kind, 1, ttl, len(data) if length is None else length) + data


A, CNAME, MX = 1, 5, 15


class Query:
    """What was asked, and answers to it, right or wrong."""

    def __init__(self, data):
        self.id, self.data = data[:2], data
        labels, at = [], 12
        while data[at]:
            labels.append(data[at + 1:at + 1 + data[at]].decode("latin1").lower())
            at += 1 + data[at]
        self.name = ".".join(labels)
        self.kind = struct.unpack(">H", data[at + 1:at + 3])[0]
        self.question = data[12:at + 5]

    def answer(self, *records, rcode=0, count=None, flags=0x8180, identity=None, question=None):
        return (self.id if identity is None else identity) + struct.pack(
            ">HHHHH", flags | rcode, 1, len(records) if count is None else count, 0, 0) + (
                self.question if question is None else question) + b"".join(records)


class HostileServer:
    """answers(query, tcp) gives the bytes to send; None: silence."""

    def __init__(self, answers):
        self.answers, self.asked, self.lock = answers, [], threading.Lock()
        owner = self

        class Udp(socketserver.BaseRequestHandler):
            def handle(self):
                data, sock = self.request
                reply = owner.reply(Query(data), False)
                if reply is not None:
                    sock.sendto(reply, self.client_address)

        class Tcp(socketserver.BaseRequestHandler):
            def handle(self):
                self.request.settimeout(60)
                try:
                    while head := self.request.recv(2, socket.MSG_WAITALL):
                        size = struct.unpack(">H", head)[0]
                        query = Query(self.request.recv(size, socket.MSG_WAITALL))
                        reply = owner.reply(query, True)
                        if reply is not None:
                            self.request.sendall(struct.pack(">H", len(reply)) + reply)
                except OSError:
                    pass

        self.port = free_port()
        udp = socketserver.ThreadingUDPServer(("127.0.0.1", self.port), Udp)
        tcp = socketserver.ThreadingTCPServer(("127.0.0.1", self.port), Tcp)
        for server in (udp, tcp):
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, daemon=True).start()

    def reply(self, query, tcp):
        with self.lock:
            self.asked.append((query.name, query.kind, tcp))
        return self.answers(query, tcp)

    def count(self, label):
        with self.lock:
            return sum(1 for asked, _, _ in self.asked if asked.startswith(label))
