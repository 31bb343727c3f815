#!/usr/bin/env python3
"""V98: a file system that is full at each moment at which something is written: no room for the
queue at the start, no inode, none while the queue grows behind running mail, none for the log, none
at all while mail flows and over a restart. Nothing acknowledged is lost, what is wrong is said in
words, and when there is room again ringmx goes on by itself within 5 s.

Needs root: small file systems of the test's own (tmpfs, and ext4 on a loop device).
"""

import contextlib
import os
import shutil
import subprocess
import time

from rig import BIN, Rig, free_port, need_program, skip, wait_for

MIB = 1 << 20
RECOVERS = 5  # seconds


def run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          timeout=60)
    assert done.returncode == 0, f"{command}: {done.stderr}"


@contextlib.contextmanager
def mounted(folder, *mount):
    folder.mkdir(exist_ok=True)
    run("mount", *mount, folder)
    shutil.chown(folder, "nobody")  # it holds more than a queue
    folder.chmod(0o755)
    try:
        yield
    finally:
        run("umount", folder)


@contextlib.contextmanager
def ext4(folder, image, size, *options):
    with open(image, "wb") as file:
        file.truncate(size)
    run("mkfs.ext4", "-qF", *options, image)
    with mounted(folder, "-o", "loop", image):
        yield


def fill(folder):
    """A second writer takes the last byte."""
    with open(folder / "filler", "ab", buffering=0) as file:
        for size in (MIB, 4096, 1):
            with contextlib.suppress(OSError):
                while True:
                    assert file.write(b"x" * size) == size
    assert os.statvfs(folder).f_bavail == 0


def ids(path):
    return set(path.read_text().split()) if path.exists() else set()


def send(rig, count, name="sender"):
    result = rig.mxload("-s", "5", "-m", str(count), "-l", "4000", "-d", "--ledger",
                        rig.dir / name)
    assert result["accepted"] == count, result


def refused_start(rig, what):
    done = rig.run(BIN / "ringmx", "-c", rig.dir)
    text = done.stdout + done.stderr
    assert done.returncode == 73, (what, done.returncode, text)
    assert "No space left on device" in text and "seg-" in text, (what, text)
    left = list((rig.dir / "queue/segments").iterdir())
    assert not left, (what, left)


def no_room_at_the_start():
    """Neither blocks nor inodes; a smaller queue then starts in the same place."""
    for what, options in (("blocks", ()), ("inodes", ("-N", "32"))):
        with Rig() as rig, ext4(rig.dir / "queue", rig.dir / "image", 48 * MIB, *options):
            rig.configure(relayhost="[127.0.0.1]:1", ringmx_segment_size=MIB,
                          ringmx_queue_size_limit=64 * MIB, message_size_limit=MIB)
            refused_start(rig, what)
            rig.configure(relayhost="[127.0.0.1]:1", ringmx_segment_size=MIB, ringmx_shards=1,
                          ringmx_queue_size_limit=12 * MIB, message_size_limit=MIB)
            mx = rig.ringmx()
            assert mx.terminate() == 0
            print(f"no {what} at the start: said, and a smaller queue starts")


def full_while_it_grows():
    """The first GiB is there before the banner; for the rest there is no room until later."""
    with Rig() as rig, mounted(rig.dir / "queue", "-t", "tmpfs", "-o", "size=1100m", "none"):
        sink = rig.mxsink()
        rig.configure(relayhost=f"[127.0.0.1]:{sink.port}", ringmx_segment_size=32 * MIB,
                      ringmx_queue_size_limit=1024 * MIB + 4 * 32 * MIB)
        mx = rig.ringmx()
        wait_for(lambda: mx.lines("alarm queue-size raised: .*No space left on device"),
                 "the alarm")
        send(rig, 200)
        segments = rig.dir / "queue/segments"
        assert not list(segments.glob("*.new"))
        run("mount", "-o", "remount,size=1300m", rig.dir / "queue")
        began = time.monotonic()
        wait_for(lambda: mx.lines("alarm queue-size cleared"), "the queue at its full size", 30)
        assert len(list(segments.iterdir())) == 36
        print(f"full while it grows: said; at its size {time.monotonic() - began:.1f} s after")
        sink.wait_for_messages(200)
        assert mx.terminate() == 0


def full_while_mail_flows():
    """Queue and log on one file system, in which a second writer takes all there is."""
    with Rig() as rig, ext4(rig.dir / "var", rig.dir / "image", 96 * MIB):
        var = rig.dir / "var"
        (var / "queue").mkdir()
        log = var / "mail.log"
        port = free_port()
        rig.configure(relayhost=f"[127.0.0.1]:{port}", ringmx_segment_size=MIB,
                      ringmx_queue_size_limit=32 * MIB, message_size_limit=MIB,
                      queue_directory=var / "queue", maillog_file=log, ringmx_shards=2,
                      minimal_backoff_time="1s", maximal_backoff_time="1s")

        def status():
            return rig.run(BIN / "mxq", "-c", rig.dir, "--status").stdout
        mx = rig.ringmx()
        send(rig, 100)
        fill(var)
        send(rig, 300)  # the queue's blocks are its own
        wait_for(lambda: "ALARM log: " in status(), "the alarm", 10)
        assert "No space left on device" in status()
        assert "the log can't be written" in mx.text() and str(log) in mx.text(), mx.text()
        mx.kill()
        mx = rig.ringmx()  # over a restart, too
        send(rig, 100)
        sink = rig.mxsink(port=port)
        accepted = ids(rig.dir / "sender")
        wait_for(lambda: accepted <= {m["id"] for m in sink.messages()}, "every message", 60)
        assert len(accepted) == 500
        wait_for(lambda: "ALARM log: " in status(), "the alarm", 10)
        (var / "filler").unlink()
        began = time.monotonic()
        wait_for(lambda: "ALARM log: " not in status(), "the log goes on", RECOVERS)
        took = time.monotonic() - began
        send(rig, 10)
        wait_for(lambda: sink.count() >= 510, "delivery")
        assert mx.terminate(60) == 0
        judge_log(log.read_text(), sink)
        print(f"full while mail flows: 0 lost of 510; log and mail go on {took:.1f} s after")


def judge_log(text, sink):
    """Lines waited, or their loss is said; none is torn but the one at which a process was killed.
    What came after the room is there."""
    assert text.count("status=sent") >= 100
    lost = "log lines lost" in text
    sent = {m["id"] for m in sink.messages()}
    assert lost or text.count("status=sent") >= len(sent) - 400, "lines are missing, none is said"
    torn = [line for line in text.split("\n")[:-1] if "postfix/" not in line[:60]]
    assert len(torn) <= 1, torn
    assert "alarm log raised" in text and "alarm log cleared" in text


if os.getuid() != 0:
    skip("small file systems need root")
for program in ("mkfs.ext4", "mount"):
    need_program(program)
no_room_at_the_start()
full_while_it_grows()
full_while_mail_flows()
