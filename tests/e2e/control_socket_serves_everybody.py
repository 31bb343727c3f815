#!/usr/bin/env python3
"""Who holds the control socket open keeps nobody else from it (V102): a hundred silent clients, one
that sends a byte now and then, one that hangs up in the middle of a listing, and an operator who
does not read on (`mxq -p | less`), whose listing is whole all the same."""

import json
import os
import select
import socket
import subprocess
import threading
import time

from rig import BIN, Rig, free_port

MESSAGES = 3000  # more than the socket and the pipe hold together
PATIENCE = 5     # less than the daemon's time-outs


def answers(rig):
    """mxq --status comes back at once."""
    begin = time.monotonic()
    done = rig.run(BIN / "mxq", "-c", rig.dir, "--status", "--json", check=True)
    assert time.monotonic() - begin < PATIENCE, time.monotonic() - begin
    return json.loads(done.stdout)


def connect(rig):
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(30)
    client.connect(str(rig.dir / "queue" / "ringmx.sock"))
    return client


def silent_and_slow(rig):
    clients = [connect(rig) for _ in range(100)]
    ended = threading.Event()

    def dribble():
        with connect(rig) as client:
            while not ended.wait(0.05):
                try:
                    client.sendall(b"x")
                except OSError:  # its time is over
                    return

    slow = threading.Thread(target=dribble)
    slow.start()
    answers(rig)
    ended.set()
    slow.join()
    for client in clients:
        client.close()
    answers(rig)


def gone_in_the_middle(rig):
    for request in (b"list\n", b"hold 1\n", b"status\n"):
        with connect(rig) as client:
            client.sendall(request)
            client.recv(1)
        answers(rig)
    with connect(rig) as client:
        client.sendall(b"list\n")
        client.shutdown(socket.SHUT_WR)
        whole = b""
        while piece := client.recv(65536):
            whole += piece
    lines = whole.splitlines()
    assert len(lines) == MESSAGES + 1 and lines[-1] == b'{"end":true}', lines[-1]


def not_read_on(rig):
    with subprocess.Popen([BIN / "mxq", "-c", rig.dir, "-p"], stdout=subprocess.PIPE) as listing:
        ready, _, _ = select.select([listing.stdout], [], [], 60)
        assert ready
        answers(rig)
        text = listing.stdout.read().decode()
        assert listing.wait() == 0
    assert text.rstrip().endswith(f"in {MESSAGES} Requests."), text[-200:]


with Rig() as the_rig:
    the_rig.configure(relayhost=f"[127.0.0.1]:{free_port()}", minimal_backoff_time="300s")
    mx = the_rig.ringmx()
    assert the_rig.mxload("-s", "10", "-m", MESSAGES, "-d")["accepted"] == MESSAGES
    path = the_rig.dir / "queue" / "ringmx.sock"
    assert os.stat(path).st_mode & 0o777 == 0o660
    assert os.stat(path).st_uid == os.stat(the_rig.dir / "queue").st_uid
    silent_and_slow(the_rig)
    gone_in_the_middle(the_rig)
    not_read_on(the_rig)
    assert mx.terminate() == 0
