#!/usr/bin/env python3
"""Behind haproxy, by both versions of its protocol: the client's own address is what policy, log
and Received header see."""

import re
import socket

from rig import DOMAIN, RECIPIENT, Dialogue, Rig, free_port, need_program, wait_for

HAPROXY = """
global
    maxconn 100
defaults
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend v1
    bind 127.0.0.1:{v1}
    bind [::1]:{v1}
    default_backend v1
frontend v2
    bind 127.0.0.1:{v2}
    default_backend v2
backend v1
    server mx 127.0.0.1:{mx} send-proxy
backend v2
    server mx 127.0.0.1:{mx} send-proxy-v2 proxy-v2-options crc32c,unique-id
"""


class From(Dialogue):
    """A dialogue from a source address of one's own."""

    def __init__(self, source, port):
        target = "::1" if ":" in source else "127.0.0.1"
        self.socket = socket.create_connection((target, port), 60, source_address=(source, 0))
        self.file = self.socket.makefile("rb")
        assert self.reply().startswith("220 ")


def has_ipv6():
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


def run(shards):
    with Rig() as rig:
        ports = {"v1": free_port(), "v2": free_port(), "mx": rig.port}
        text = HAPROXY.format(**ports)
        if not has_ipv6():
            print("NOT TESTED: IPv6, there is no ::1 here")
            text = re.sub(r" *bind \[::1\].*\n", "", text)
        (rig.dir / "haproxy.cfg").write_text(text)
        sink = rig.mxsink("--store", "store")
        rig.configure(relayhost=f"[127.0.0.1]:{sink.port}", ringmx_shards=shards,
                      ringmx_segment_size=4 << 20,
                      mynetworks="127.0.0.9", smtpd_upstream_proxy_protocol="haproxy",
                      smtpd_upstream_proxy_timeout="1s", ringmx_proxy_trusted="127.0.0.1",
                      smtpd_relay_restrictions="permit_mynetworks, reject_unauth_destination")
        mx = rig.ringmx()
        haproxy = rig.process("haproxy", need_program("haproxy"), "-db", "-f",
                              rig.dir / "haproxy.cfg")

        def up():
            assert haproxy.running(), haproxy.text()
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", ports["v2"])) == 0

        wait_for(up, "haproxy up")
        count = 0
        for name, source in (("v1", "127.0.0.2"), ("v2", "127.0.0.3"), ("v1", "::1")):
            if ":" in source and not has_ipv6():
                continue
            with From(source, ports[name]) as client:
                client.say("EHLO client.test", "250")
                client.say(f"MAIL FROM:<a@{DOMAIN}>", "250")
                client.say("RCPT TO:<a@elsewhere.test>", "554 5.7.1")
                client.say(f"RCPT TO:<{RECIPIENT}>", "250")
                client.say("DATA", "354")
                client.say("Subject: x\r\n\r\nx\r\n.", "250")
                client.say("QUIT", "221")
            count += 1
            message = sink.wait_for_messages(count)[-1]
            received = (rig.dir / message["file"]).read_bytes().split(b"\r\n\tby", 1)[0].decode()
            shown = f"[IPv6:{source}]" if ":" in source else f"[{source}]"
            assert f"(unknown {shown})" in received, received
            line = re.escape(f": connect from unknown[{source}]")
            wait_for(lambda line=line: mx.lines(line), f"{line} in the log")
        # Who is in mynetworks is known by the header, not by the peer.
        with From("127.0.0.9", ports["v2"]) as client:
            client.say("EHLO client.test", "250")
            client.say(f"MAIL FROM:<a@{DOMAIN}>", "250")
            client.say("RCPT TO:<a@elsewhere.test>", "250")


for shards in (1, 4):
    run(shards)
