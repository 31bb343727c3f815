#!/usr/bin/env python3
"""mxq holds, releases, requeues, deletes and tries messages, by id, by destination or all; and a
control socket that gets garbage serves on (V102). With one shard and with four."""

import json
import os
import random
import socket

from rig import BIN, DOMAIN, Rig, balanced, free_port, wait_for

OTHER = "other.example"
RECIPIENTS = [f"user@{DOMAIN}", f"user@{OTHER}"]


class Queue:
    def __init__(self, rig):
        self.rig = rig

    def run(self, *arguments, **options):
        return self.rig.run(BIN / "mxq", "-c", self.rig.dir, *arguments, **options)

    def rows(self, *arguments):
        text = self.run("-j", *arguments, check=True).stdout
        return [json.loads(line) for line in text.splitlines()]

    def names(self):
        return sorted(row["queue_name"] for row in self.rows())

    def counters(self):
        return json.loads(self.run("--status", "--json", check=True).stdout)["counters"]


def steer(rig, queue, sink_port):
    for recipient in RECIPIENTS:
        assert rig.mxload("-s", "2", "-m", "20", "-d", to=recipient)["accepted"] == 20
    wait_for(lambda: balanced(queue.counters()), "a balance")
    ids = [row["queue_id"] for row in queue.rows()]
    assert len(ids) == 40
    assert len(queue.rows("--destination", OTHER.upper())) == 20
    for text in (ids[3], ids[3].lower()):
        assert [r["queue_id"] for r in queue.rows("--id", text)] == [ids[3]]
    done = queue.run("-j", "--id", "1234567890ABCDEF", "--id", ids[3])
    assert done.returncode == 65 and len(done.stdout.splitlines()) == 1, done
    assert "1234567890ABCDEF: no such message" in done.stderr, done.stderr
    assert queue.run("-p", "--id", "nonsense").returncode == 64

    done = queue.run("-h", ids[0], "-h", ids[1])
    assert done.returncode == 0 and "2 done" in done.stderr, done
    assert queue.names().count("hold") == 2
    assert "1 left as they are" in queue.run("-h", ids[0]).stderr
    done = queue.run("-h", "ALL", "--destination", OTHER, check=True)
    counters = queue.counters()
    assert 20 <= counters["recipients_held"] <= 22 and balanced(counters), counters
    assert "!" in queue.run("-p", check=True).stdout

    # Unknown ids are named, bad ones refused.
    done = queue.run("-d", "1234567890ABCDEF")
    assert done.returncode == 65 and "1234567890ABCDEF: no such message" in done.stderr, done
    # A slip must not delete what was not meant: nothing of such a line is done.
    for slip in (["-d", "nonsense"], ["-d", ids[0], "-f"], ["-d", ids[0], "nonsense"],
                 ["-d", "ALL", "--destination", ""], ["-d", "ALL", ids[0]], ["-s", ""],
                 ["-d", ids[0], "--destination", OTHER], ["-d", "ALL", "--id", ids[0]],
                 ["-d", ids[0], "--id", ids[1]], ["-f", "--id", ids[0]],
                 ["-s", OTHER, "--destination", OTHER], ["--fsck", "--destination", OTHER],
                 ["--status", "--id", ids[0]], ["-p", "--json"], ["--export", ""],
                 ["--mbox", ""], ["--drain-to", ""], ["--drain-to", "127.0.0.1:99999"]):
        assert queue.run(*slip).returncode == 64, slip
    assert queue.run("-d", "-", input=f"{ids[0]}\nALL\n").returncode == 64
    assert len(queue.rows()) == 40

    # Ids on standard input.
    text = "\n".join(ids[2:4]) + "\n"
    done = queue.run("-d", "-", input=text, check=True)
    assert "2 done" in done.stderr and len(queue.rows()) == 38
    counters = queue.counters()
    assert (counters["recipients_deleted"], counters["queued"]) == (2, 38), counters
    shape = queue.run("--qshape", check=True).stdout.splitlines()
    assert shape[1].split()[:3] == ["TOTAL", "38", "38"], shape

    # Held mail outlives a restart and a flush; the rest is delivered when the backend comes.
    held = {row["queue_id"] for row in queue.rows() if row["queue_name"] == "hold"}
    return held


def garbage(path):
    random.seed(5)
    pieces = [b"\0" * 1000 + b"\n", b"list\0 ALL\n", b"delete \n", b"hold ALL @x\n", b"x" * 100_000,
              bytes(random.randrange(256) for _ in range(5000)) + b"\n", b"status", b""]
    kept = []
    for piece in pieces:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(10)
        client.connect(str(path))
        try:
            client.sendall(piece)
            if piece.endswith(b"\n"):
                assert b"error" in client.recv(65536), piece[:40]
        except (BrokenPipeError, ConnectionResetError):
            pass
        if piece in (b"status", b""):
            kept.append(client)  # half a request, and nothing at all: their time runs out
        else:
            client.close()
    for client in kept:
        client.close()


def run(shards):
    port = free_port()
    with Rig() as rig:
        rig.configure(RECIPIENTS, relayhost=f"[127.0.0.1]:{port}", ringmx_shards=shards,
                      ringmx_segment_size=4 << 20, minimal_backoff_time="300s")
        (rig.dir / "domains").write_text(f"{DOMAIN} OK\n{OTHER} OK\n")
        rig.run(BIN / "mapc", "-c", rig.dir, "--all", check=True)
        mx = rig.ringmx()
        queue = Queue(rig)
        held = steer(rig, queue, port)
        path = rig.dir / "queue" / "ringmx.sock"
        assert os.stat(path).st_mode & 0o777 == 0o660
        garbage(path)
        assert mx.terminate() == 0
        # At rest: read from the files, nothing changed.
        assert {r["queue_id"] for r in queue.rows() if r["queue_name"] == "hold"} == held
        assert queue.run("-d", "ALL").returncode == 69
        assert queue.run("-j", "--id", "1234567890ABCDEF").returncode == 65
        mx = rig.ringmx()
        assert queue.counters()["recipients_recovered"] == 38
        sink = rig.mxsink(port=port)
        queue.run("-f", check=True)
        sink.wait_for_messages(38 - len(held))
        wait_for(lambda: queue.names() == ["hold"] * len(held), "only held mail left")
        some = sorted(held)[:5]
        queue.run(*(word for i in some[:2] for word in ("-H", i)), check=True)
        queue.run(*(word for i in some[2:4] for word in ("-r", i)), check=True)
        sink.wait_for_messages(38 - len(held) + 4)
        queue.run("-H", "ALL", check=True)
        sink.wait_for_messages(38)
        wait_for(lambda: not queue.rows(), "an empty queue")
        assert len({m["id"] for m in sink.messages()}) == len(sink.messages()) == 38
        wait_for(lambda: balanced(queue.counters()), "a balance")
        assert mx.terminate() == 0


for count in (1, 4):
    run(count)
