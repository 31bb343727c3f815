"""A disk that loses power: a file system on a loop device over nbdfuse over nbdkit, whose cache
filter holds what was not flushed. kill -9 of nbdkit is the power cut: the cache is gone. Or a disk
whose flushes fail: the error filter, switched on by a file.

Needs root, /dev/fuse, loop devices, and nbdkit, nbdfuse, fusermount3, mkfs.
"""

import os
import shutil
import signal
import subprocess
import time

from rig import need_program, skip, wait_for

MIB = 1 << 20


def need_disk():
    if os.getuid() != 0:
        skip("a volatile disk needs root")
    for device in ("/dev/fuse", "/dev/loop-control"):
        if not os.path.exists(device):
            skip(f"a volatile disk needs {device}")
    for program in ("nbdkit", "nbdfuse", "losetup", "mkfs.ext4", "mkfs.xfs"):
        need_program(program)


def run(*command, check=True):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          timeout=60)
    assert not check or done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout.strip()


class VolatileDisk:
    """`mount` is where the file system appears. up() and cut() take turns."""

    def __init__(self, folder, mount, fs="ext4", size=512 * MIB):
        self.folder, self.mount, self.fs = folder, mount, fs
        self.image = folder / "back.img"
        self.socket = folder / "nk.sock"
        self.fuse = folder / "nf"
        self.fail_file = folder / "fail"
        self.loop = None
        folder.mkdir()
        self.fuse.mkdir()
        mount.mkdir(exist_ok=True)
        with open(self.image, "wb") as image:
            image.truncate(size)
        self.made = False

    def up(self, *, lying=False, failing=None):
        """lying: the device answers flushes and does not do them. failing: "flush" puts errors
        under the cache, so that writes succeed and the flush fails while fail_file is there;
        "write" puts them above it."""
        run("nbdkit", "-U", self.socket, "-P", self.folder / "nk.pid",
            *self.server(lying, failing))
        self.fuser = subprocess.Popen(
            ["nbdfuse", "-P", self.folder / "nf.pid", self.fuse / "disk", "--unix", self.socket],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        wait_for(lambda: (self.fuse / "disk").exists(), "nbdfuse")
        self.loop = run("losetup", "-f", "--show", "--direct-io=on", self.fuse / "disk")
        if not self.made:
            run(*(["mkfs.ext4", "-qF"] if self.fs == "ext4" else ["mkfs.xfs", "-qf"]), self.loop)
            self.made = True
        # A cut leaves the old mount to the kernel for a moment: xfs would see its own twin.
        options = ["-o", "nouuid"] if self.fs == "xfs" else []
        run("mount", *options, self.loop, self.mount)

    def server(self, lying, failing):
        """What nbdkit serves: filters, plugin, parameters."""
        error = ["error-pwrite=EIO", "error-pwrite-rate=100%",
                 f"error-pwrite-file={self.fail_file}"]
        filters = {None: ["--filter=cache"], "flush": ["--filter=cache", "--filter=error"],
                   "write": ["--filter=error", "--filter=cache"]}[failing]
        return [*filters, "file", f"file={self.image}",
                f"cache={'unsafe' if lying else 'writeback'}", *(error if failing else [])]

    def kill(self, name, sig):
        path = self.folder / name
        if not path.exists():
            return
        pid = int(path.read_text())
        try:
            os.kill(pid, sig)
        except ProcessLookupError:
            pass
        wait_for(lambda: not alive(pid), f"the end of {name}")
        path.unlink(missing_ok=True)

    def power_off(self):
        """The cut itself; who writes gets EIO. settle() tidies up when they have gone."""
        self.kill("nk.pid", signal.SIGKILL)

    def settle(self):
        run("umount", "-l", self.mount, check=False)
        if self.loop:
            run("losetup", "-d", self.loop, check=False)
            self.loop = None
        run("umount", "-l", self.fuse, check=False)
        self.kill("nf.pid", signal.SIGKILL)
        self.kill("nk.pid", signal.SIGKILL)
        self.fuser.wait(30)
        self.socket.unlink(missing_ok=True)

    def down(self):
        """In order: everything is written and flushed first."""
        run("umount", self.mount)
        run("losetup", "-d", self.loop)
        self.loop = None
        run("umount", self.fuse)
        self.fuser.wait(30)
        self.kill("nk.pid", signal.SIGTERM)
        self.socket.unlink(missing_ok=True)

    def remove(self):
        self.settle()
        shutil.rmtree(self.folder, ignore_errors=True)


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def settle_moment(seconds):
    time.sleep(seconds)  # real work goes on meanwhile: the length is the test's random moment
