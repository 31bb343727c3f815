"""The tables of one mapc run become visible together, whatever kills the run. The states between
are real ones: made by a destination that can't be written, a rename that fails, a lock that is
held, and SIGKILL at any moment.
"""

import fcntl
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from rig import BIN, wait_for

MAPC = BIN / "mapc"
PENDING = ".phm.new-"


def mapc(folder, *args, status=0):
    done = subprocess.run([str(a) for a in (MAPC, "-c", folder, *args)], capture_output=True,
                          text=True)
    assert done.returncode == status, (args, done.returncode, done.stderr)
    return done


def tables(folder, *names):
    return [f"hash:{folder / name}" for name in names]


def write(folder, version, *names):
    for name in names:
        (folder / name).write_text(f"key {version}\n")


def value(folder, name):
    return mapc(folder, "-q", "key", f"hash:{folder / name}").stdout.strip()


def values(folder):
    return value(folder, "a"), value(folder, "b")


def pending(folder):
    return sorted(path.name for path in folder.iterdir() if PENDING in path.name)


def record_run(folder):
    lines = (folder / "tables.set").read_text().split("\n")
    assert lines[0] == "ringmx table set 1", lines
    return lines[1].removeprefix("run ")


def one_run_makes_both_visible(folder):
    write(folder, 1, "a", "b")
    mapc(folder, *tables(folder, "a", "b"))
    assert values(folder) == ("1", "1") and not pending(folder)
    listed = (folder / "tables.set").read_text().split("\n")[2:4]
    assert listed == [f"{folder}/a.phm", f"{folder}/b.phm"], listed
    before = record_run(folder)
    mapc(folder, *tables(folder, "a"))
    assert record_run(folder) == before, "one table alone needs no record"


def a_failure_shows_nothing(folder):
    long = "n" * 245  # its compiled form has a name, what is written before it does not
    write(folder, 2, "a", "b", long)
    done = mapc(folder, *tables(folder, "a", long, "b"), status=73)
    assert "nothing written" in done.stderr, done.stderr
    assert values(folder) == ("1", "1") and not pending(folder)
    (folder / long).unlink()
    mapc(folder, *tables(folder, "a", "missing", "b"), status=66)
    assert values(folder) == ("1", "1") and not pending(folder)


def a_committed_run_is_finished_by_the_next(folder):
    before = (folder / "b.phm").read_bytes()
    (folder / "b.phm").unlink()
    (folder / "b.phm").mkdir()  # nothing can be renamed over it
    write(folder, 3, "a", "b", "c")
    done = mapc(folder, *tables(folder, "a", "b"), status=73)
    assert "in use all the same" in done.stderr, done.stderr
    assert pending(folder) == [f"b.phm.new-{record_run(folder)}"]
    assert values(folder) == ("3", "3"), "a reader takes what the record names"
    mapc(folder, *tables(folder, "c"), status=73)  # still can't be finished
    assert not (folder / "c.phm").exists()
    (folder / "b.phm").rmdir()
    (folder / "b.phm").write_bytes(before)
    assert values(folder) == ("3", "3")
    mapc(folder, *tables(folder, "c"))
    assert values(folder) == ("3", "3") and value(folder, "c") == "3" and not pending(folder)


def a_new_table_is_not_undone_by_an_old_run(folder):
    run = record_run(folder)
    for name in ("a", "b"):
        (folder / f"{name}.phm").rename(folder / f"{name}.phm.new-{run}")
    write(folder, 4, "a")
    mapc(folder, *tables(folder, "a"))
    assert values(folder) == ("4", "3") and not pending(folder)


def left_overs_are_removed(folder):
    ours, foreign = "a.phm.new-0123456789abcdef", ["a.phm.new-x", "z.phm.new-0123456789abcdef"]
    for name in [ours, *foreign]:
        (folder / name).write_text("left")
    mapc(folder, *tables(folder, "a"))
    assert pending(folder) == foreign
    for name in foreign:
        (folder / name).unlink()


def damaged_records_do_not_stop_a_run(folder):
    for text in [b"", b"junk", (folder / "tables.set").read_bytes()[:-9]]:
        (folder / "tables.set").write_bytes(text)
        write(folder, 5, "a", "b")
        done = mapc(folder, *tables(folder, "a", "b"))
        assert "not used" in done.stderr, done.stderr
        assert values(folder) == ("5", "5")


def runs_exclude_each_other(folder):
    write(folder, 6, "a", "b")
    with open(folder / "tables.lock", "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        other = subprocess.Popen([MAPC, "-c", folder, *tables(folder, "a", "b")])
        waits = f" {other.pid} "
        wait_for(lambda: any("->" in line and waits in line
                             for line in pathlib.Path("/proc/locks").read_text().split("\n")),
                 "mapc waits for the lock")
        assert values(folder) == ("5", "5")
    assert other.wait(30) == 0
    assert values(folder) == ("6", "6")


def without_a_directory_one_by_one(folder):
    write(folder, 7, "a", "b")
    done = subprocess.run([MAPC, "-c", folder / "no/such", *tables(folder, "a", "b")],
                          capture_output=True, text=True)
    assert done.returncode == 0 and "become visible one by one" in done.stderr, done.stderr
    assert values(folder) == ("7", "7")


def any_kill_leaves_one_version(folder, rounds=80):
    rng = random.Random(1)
    killed = visible = 0
    newest = 7
    start = time.monotonic()
    mapc(folder, *tables(folder, "a", "b"))
    length = time.monotonic() - start
    for version in range(8, 8 + rounds):
        write(folder, version, "a", "b")
        run = subprocess.Popen([MAPC, "-c", folder, *tables(folder, "a", "b")])
        end = time.monotonic() + rng.uniform(0, 1.2 * length)
        while time.monotonic() < end and run.poll() is None:
            pass
        run.send_signal(signal.SIGKILL)
        killed += run.wait() == -signal.SIGKILL
        a, b = values(folder)
        assert a == b and int(a) in (newest, version), (a, b, newest, version)
        visible += int(a) == version
        newest = int(a)
    mapc(folder, *tables(folder, "a", "b"))
    assert values(folder) == (str(version), str(version)) and not pending(folder)
    print(f"{killed} of {rounds} runs killed, {visible} visible: always both tables or none")


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="mapc-set-"))
    one_run_makes_both_visible(folder)
    a_failure_shows_nothing(folder)
    a_committed_run_is_finished_by_the_next(folder)
    a_new_table_is_not_undone_by_an_old_run(folder)
    left_overs_are_removed(folder)
    damaged_records_do_not_stop_a_run(folder)
    runs_exclude_each_other(folder)
    without_a_directory_one_by_one(folder)
    any_kill_leaves_one_version(folder)
    shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
