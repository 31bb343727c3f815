#!/usr/bin/env python3
"""Started as root: no thread keeps root's rights, a capability or a way to more; a filter of system
calls is in force; what only root may read is read again at a reload, by a process that ends with
ringmx. ringmx_sandbox = no leaves the filter out and says so."""

import contextlib
import os
import pathlib
import pwd
import signal

from rig import BIN, Rig, running_mx, skip, wait_for

if os.geteuid() != 0:
    skip("only root has rights to give up")

OWNER = "nobody"
uid = str(pwd.getpwnam(OWNER).pw_uid)


def status(task):
    lines = pathlib.Path(task, "status").read_text().split("\n")
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def children(pid):
    found = []
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if status(process)["PPid"] == str(pid):
                found.append(int(process.name))
    return found


def check_threads(pid, filters):
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        facts = status(task)
        assert facts["Uid"].split() == [uid] * 4, facts
        groups = os.getgrouplist(OWNER, pwd.getpwnam(OWNER).pw_gid)
        assert sorted(map(int, facts["Groups"].split())) == sorted(groups), facts
        for capabilities in ("CapPrm", "CapEff", "CapAmb", "CapInh"):
            assert int(facts[capabilities], 16) == 0, facts
        assert facts["NoNewPrivs"] == "1", facts
        assert facts["Seccomp"] == ("2" if filters else "0"), facts
    # Not to be looked into by others of the same user.
    assert os.stat(f"/proc/{pid}/mem").st_uid == 0


def run(sandbox):
    settings = {"ringmx_shards": 4, "ringmx_segment_size": 4 << 20,
                "ringmx_sandbox": "yes" if sandbox else "no"}
    with running_mx(**settings) as (rig, sink, mx):
        said = wait_for(lambda: mx.lines(r"sandbox: "), "what is said of the sandbox")[0]
        if sandbox and "sanitizers" in said:
            skip("a build with sanitizers has no sandbox")
        if sandbox and "not available" in said:
            skip(said)
        assert ("system calls are limited" in said) == sandbox, said
        check_threads(mx.pid, sandbox)

        # main.cf that only root may read, at a place where only root may put another.
        readers = children(mx.pid)
        assert len(readers) == 1, readers
        reader = readers[0]
        facts = status(f"/proc/{reader}")
        assert int(facts["CapEff"], 16) == int(facts["CapBnd"], 16) | 1 << 2 == 1 << 2, facts
        assert facts["NoNewPrivs"] == "1" and facts["Seccomp"] == "2", facts
        with open(rig.config, "a", encoding="utf-8") as config:
            config.write("mydestination = unix:group.byname\n")  # asks libc's name services
        rig.config.chmod(0o600)
        mx.process.send_signal(signal.SIGHUP)
        reloads = "reload: new configuration in service"
        wait_for(lambda: mx.lines(f"{reloads}.*unix:group.byname"), "a reload", 10)

        # Everything that a running ringmx does.
        assert rig.mxload("-s", "5", "-m", "50")["status"] == 0
        sink.wait_for_messages(50)
        assert rig.run(BIN / "mxq", "-c", rig.dir, "--status").returncode == 0
        mx.process.send_signal(signal.SIGUSR1)
        os.kill(reader, signal.SIGKILL)
        rig.config.chmod(0o644)
        mx.process.send_signal(signal.SIGHUP)
        wait_for(lambda: len(mx.lines(reloads)) == 2, "a reload without it", 10)
        assert mx.terminate() == 0


def reader_ends_with_ringmx():
    with running_mx() as (_, _, mx):
        reader = children(mx.pid)[0]
        mx.kill()
        wait_for(lambda: not pathlib.Path(f"/proc/{reader}/root").exists()
                 or status(f"/proc/{reader}")["State"].startswith("Z"), "the reader's end", 10)


def what_others_have_stays_theirs():
    """queue_directory = /var by a slip."""
    with Rig() as rig:
        rig.configure(relayhost="[127.0.0.1]:9")
        queue = rig.dir / "queue"
        (queue / "others").mkdir()
        done = rig.run(BIN / "ringmx", "-c", rig.dir, timeout=20)
        assert done.returncode == 78 and f"{queue} is not nobody's" in done.stderr, done
        assert queue.stat().st_uid == 0 and {p.name for p in queue.iterdir()} == {"others"}
        queue = rig.dir / "domains"
        rig.configure(relayhost="[127.0.0.1]:9", queue_directory=queue)
        done = rig.run(BIN / "ringmx", "-c", rig.dir, timeout=20)
        assert done.returncode == 78 and "not a directory" in done.stderr, done
        assert queue.stat().st_uid == 0


run(sandbox=True)
run(sandbox=False)
reader_ends_with_ringmx()
what_others_have_stays_theirs()
