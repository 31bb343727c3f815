#!/usr/bin/env python3
"""V80: PROXY headers that are wrong, cut, late or from somebody who is not trusted. No session
begins, and the client's address is never the one that was claimed."""

import socket
import struct
import time

from rig import Rig, wait_for

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V4 = bytes([10, 1, 2, 3, 192, 0, 2, 1]) + struct.pack(">HH", 12345, 25)
GOOD_V1 = b"PROXY TCP4 10.1.2.3 192.0.2.1 12345 25\r\n"


def v2(command, family, payload, length=None):
    size = len(payload) if length is None else length
    return SIGNATURE + bytes([command, family]) + struct.pack(">H", size) + payload


GOOD_V2 = v2(0x21, 0x11, V4)
BAD = {
    "no end of line": b"PROXY TCP4 " + b"1" * 120,
    "LF only": GOOD_V1.replace(b"\r", b""),
    "lower case": GOOD_V1.lower(),
    "TCP6 with IPv4": GOOD_V1.replace(b"TCP4", b"TCP6"),
    "999.1.1.1": GOOD_V1.replace(b"10.1.2.3", b"999.1.1.1"),
    "port 65536": GOOD_V1.replace(b"12345", b"65536"),
    "no header": b"EHLO client.test\r\n",
    "bad signature": GOOD_V2.replace(b"QUIT", b"QUIX"),
    "version 1": v2(0x11, 0x11, V4),
    "version 3": v2(0x31, 0x11, V4),
    "length 0": v2(0x21, 0x11, b""),
    "length 11": v2(0x21, 0x11, V4[:11]),
    "length 65535": v2(0x21, 0x11, V4, 65535),
    "AF_UNIX": v2(0x21, 0x31, b"/" * 216),
    "extension over the end": v2(0x21, 0x11, V4 + b"\x04\x00\x09x"),
    "wrong CRC": v2(0x21, 0x11, V4 + b"\x03\x00\x04abcd"),
}
OWN = {
    "UNKNOWN": b"PROXY UNKNOWN\r\n",
    "LOCAL": v2(0x20, 0x00, b""),
    "LOCAL with addresses": v2(0x20, 0x11, V4),
}


def connect(port, source="127.0.0.1"):
    client = socket.create_connection(("127.0.0.1", port), 60, source_address=(source, 0))
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def answer(client):
    """All that comes until the server closes or has greeted."""
    told = b""
    while not told.startswith(b"220 ") or not told.endswith(b"\n"):
        try:
            piece = client.recv(4096)
        except ConnectionError:
            break
        if not piece:
            break
        told += piece
    return told


def run(shards):
    with Rig() as rig:
        rig.configure(relayhost="[127.0.0.1]:9", ringmx_shards=shards, ringmx_segment_size=4 << 20,
                      mynetworks="10.0.0.0/8",
                      smtpd_upstream_proxy_protocol="haproxy", smtpd_upstream_proxy_timeout="1s",
                      ringmx_proxy_trusted="127.0.0.1",
                      smtpd_relay_restrictions="permit_mynetworks, reject_unauth_destination")
        mx = rig.ringmx()
        for name, header in BAD.items():
            with connect(rig.port) as client:
                client.sendall(header)
                told = answer(client)
                assert told.startswith(b"421 4.3.0 "), (name, told)
        for name, header in OWN.items():
            with connect(rig.port) as client:
                client.sendall(header)
                assert answer(client).startswith(b"220 "), name
        assert not mx.lines(r": connect from unknown\[10\.1\.2\.3"), mx.text()

        for header in (GOOD_V1, GOOD_V2):  # byte by byte, and with the greeting that must wait
            with connect(rig.port) as client:
                for at in range(len(header)):
                    client.sendall(header[at:at + 1])
                assert answer(client).startswith(b"220 ")
            with connect(rig.port) as client:
                client.sendall(header + b"EHLO client.test\r\n")
                assert answer(client).startswith(b"554 5.5.0 ")
        wait_for(lambda: len(mx.lines(r": connect from unknown\[10\.1\.2\.3\]")) == 4, "log lines")

        with connect(rig.port, "127.0.0.5") as client:  # not trusted: never its claim
            client.sendall(GOOD_V1)
            assert answer(client).startswith(b"421 4.3.0 ")
        distrust = r"PROXY header from unknown\[127\.0\.0\.5\]: the peer is not in"
        wait_for(lambda: mx.lines(distrust), "a line in the log")

        with connect(rig.port) as client:  # a header that drips does not get more time
            begun = time.monotonic()
            client.settimeout(0.3)
            told = b""
            for byte in GOOD_V1[:-1]:
                client.sendall(bytes([byte]))
                try:
                    told = client.recv(200)
                except TimeoutError:
                    continue
                break
            assert told.startswith(b"421 4.3.0 ") and time.monotonic() - begun < 10, told
        assert mx.running() and mx.terminate() == 0


for shards in (1, 4):
    run(shards)
