#!/usr/bin/env python3
"""10,000 idle connections are held while mail flows: none is refused or dropped, and memory stays
bounded."""

import socket

from rig import raise_descriptor_limit, running_mx

IDLE = 10_000
PER_ADDRESS = 2_500  # clients come from several addresses, as in life

raise_descriptor_limit(IDLE + 1_000)
with running_mx(smtpd_client_connection_count_limit="0") as (rig, sink, mx):
    before = mx.rss_kib()
    idle = []
    for i in range(IDLE):
        connection = socket.create_connection(
            ("127.0.0.1", mx.port), timeout=30,
            source_address=(f"127.0.1.{1 + i // PER_ADDRESS}", 0))
        idle.append(connection)
    for connection in idle:
        assert connection.recv(4) == b"220 "
        connection.setblocking(False)
    growth = (mx.rss_kib() - before) / IDLE
    print(f"{growth:.1f} KiB an idle session")

    result = rig.mxload("-s", "20", "-m", "5000", "-l", "4096", "-d")
    assert (result["accepted"], result["errors"]) == (5000, 0), result
    sink.wait_for_messages(5000)

    for connection in idle:
        while True:  # the rest of the banner may be there; an end of file must not
            try:
                assert connection.recv(1024) != b"", "an idle connection was closed"
            except BlockingIOError:
                break
    # They still work.
    for connection in idle[::100]:
        connection.setblocking(True)
        connection.sendall(b"QUIT\r\n")
        assert connection.recv(100).startswith(b"221 2.0.0")
    for connection in idle:
        connection.close()
    assert mx.terminate() == 0
