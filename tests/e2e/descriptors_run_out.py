#!/usr/bin/env python3
"""V97: with few file descriptors and many clients, ringmx neither dies nor spins, and serves again
afterwards."""

import os
import resource
import select
import socket
import time

from rig import Rig, wait_for

LIMIT = 256


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


with Rig() as rig:
    sink = rig.mxsink()
    rig.configure(relayhost=f"[127.0.0.1]:{sink.port}", smtpd_client_connection_count_limit="0")
    mx = rig.ringmx(limits=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (LIMIT, LIMIT)))
    crowd = [socket.create_connection(("127.0.0.1", mx.port), timeout=30) for _ in range(2 * LIMIT)]
    greeted = set()

    def look():  # any of them: one shard may have taken all the descriptors there are
        for connection in select.select([c for c in crowd if c not in greeted], [], [], 0)[0]:
            if connection.recv(4) == b"220 ":
                greeted.add(connection)
        return len(greeted) >= LIMIT // 4

    wait_for(look, "a part of them is served")
    wait_for(lambda: mx.lines("alarm no-descriptors raised"), "the alarm")

    before = cpu_seconds(mx.pid)
    time.sleep(1)  # what is measured: the cost of a second of being full
    assert cpu_seconds(mx.pid) - before < 0.3, "ringmx spins without descriptors"

    for connection in crowd:
        connection.close()
    wait_for(lambda: mx.running() and mx.answers(), "served again")
    wait_for(lambda: rig.mxload("-s", "2", "-m", "20", "-d")["accepted"] == 20, "mail flows again")
    sink.wait_for_messages(20)
    wait_for(lambda: mx.lines("alarm no-descriptors cleared"), "the end of the alarm")
    assert len(mx.lines("alarm no-descriptors raised")) <= 2  # it does not flap
    assert mx.terminate() == 0
