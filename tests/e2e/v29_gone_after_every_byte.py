#!/usr/bin/env python3
"""V29: a client that goes away, by FIN or by RST, after every single byte of a session of three
messages (DATA, BDAT, pipelined): no slot and no memory stays, and what was acknowledged is
delivered."""

import contextlib
import json
import socket
import struct

from rig import BIN, DOMAIN, RECIPIENT, running_mx, wait_for

ENVELOPE = f"MAIL FROM:<a@{DOMAIN}>\r\nRCPT TO:<{RECIPIENT}>\r\n".encode()
BODY = b"Subject: x\r\n\r\n.x\r\n"
SESSION = b"".join([
    b"EHLO client.test\r\n", ENVELOPE, b"BDAT 10\r\n" + BODY[:10],
    b"BDAT %d LAST\r\n" % (len(BODY) - 10) + BODY[10:], ENVELOPE, b"BDAT 0 LAST\r\n", ENVELOPE,
    b"DATA\r\n" + BODY + b".\r\n", b"QUIT\r\n"])


def counter(rig, name):
    done = rig.run(BIN / "mxq", "-c", rig.dir, "--status", "--json", check=True)
    return json.loads(done.stdout)["counters"][name]


def leave(port, taken, reset):
    """How many messages were acknowledged. Nothing is waited for, so that the cut is anywhere."""
    with socket.create_connection(("127.0.0.1", port), 30) as client:
        client.recv(200)
        if reset:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.sendall(SESSION[:taken])
        if not reset:
            client.shutdown(socket.SHUT_WR)
            told = b""
            with contextlib.suppress(ConnectionError):
                while piece := client.recv(65536):
                    told += piece
            return told.count(b"queued as")
    return 0


with running_mx(smtpd_forbid_unauth_pipelining="no") as (rig, sink, mx):
    acknowledged = 0
    for number in range(8):
        for cut in range(len(SESSION) + 1):
            for by_reset in (False, True):
                acknowledged += leave(rig.port, cut, by_reset)
        wait_for(lambda: counter(rig, "sessions") == 0, "no session left")
        if number == 4:  # by then all memory that it uses has been used
            wait_for(lambda: counter(rig, "backend_connections") == 0, "idle ones to be closed")
            before = (mx.rss_kib(), mx.descriptors())
    wait_for(lambda: counter(rig, "backend_connections") == 0, "idle ones to be closed")
    after = (mx.rss_kib(), mx.descriptors())
    assert after[0] < before[0] * 1.1 + 2000, (before, after)
    assert after[1] <= before[1] + 4, (before, after)
    assert acknowledged > 8 * len(SESSION) // 2, acknowledged
    sink.wait_for_messages(acknowledged)
    with mx.connect() as client:
        client.say("NOOP", "250")
