"""What the end-to-end tests share: a throw-away ringmx with its own configuration, queue, ports and
backend.

    with Rig() as rig:
        sink = rig.mxsink()
        rig.configure(relayhost=f"[127.0.0.1]:{sink.port}")
        mx = rig.ringmx()
        ...

Nothing is fixed: folders are temporary, ports are free ones, waiting is for a condition with a
limit. Whatever was started is ended by its process id when the block ends. A test that can't run
here says why and is skipped.
"""

import contextlib
import json
import os
import pathlib
import random
import re
import resource
import shutil
import signal
import smtplib
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("RINGMX_BIN", ROOT / "build/release/bin")).resolve()
SKIPPED = 77
DOMAIN = "example.test"
RECIPIENT = f"user@{DOMAIN}"


def skip(why):
    print(f"skipped: {why}")
    sys.exit(SKIPPED)


def need_program(name):
    """The path of a program that the test runs against; a machine without it skips the test."""
    path = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    return path or skip(f"{name} is not installed (tools/setup test)")


def wait_for(condition, what, limit=30):
    """The first true value of condition(); fails the test when there is none within `limit` s."""
    end = time.monotonic() + limit
    while True:
        if value := condition():
            return value
        assert time.monotonic() < end, f"not within {limit} s: {what}"
        time.sleep(0.01)


def free_port():
    """Free now, and below those that the kernel gives to outgoing connections: nobody takes it by
    chance between this moment and its use."""
    below = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for _ in range(1000):
        with socket.socket() as probe, contextlib.suppress(OSError):
            port = random.SystemRandom().randrange(10_000, max(below, 12_000))
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no free port")


def raise_descriptor_limit(wanted):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        skip(f"{wanted} open files are needed, the hard limit is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class Process:
    """A program that runs until it is stopped; its output goes to a file that can be read
    meanwhile."""

    def __init__(self, rig, name, command, before=None, environment=None):
        rig.started += 1
        self.name = name
        self.output = rig.dir / f"{rig.started:02}-{name}.log"
        with open(self.output, "wb") as out:
            self.process = subprocess.Popen([str(word) for word in command], stdout=out,
                                            stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                            cwd=rig.dir, preexec_fn=before,
                                            env=os.environ | (environment or {}))
        self.pid = self.process.pid
        rig.processes.append(self)

    def text(self):
        return self.output.read_text("utf-8", "replace")

    def lines(self, pattern=""):
        return [line for line in self.text().split("\n") if line and re.search(pattern, line)]

    def said(self, pattern, count=1):
        """Waits for so many lines, and returns all: the log is written a moment behind."""
        wait_for(lambda: len(self.lines(pattern)) >= count, f"{count} lines like {pattern}")
        return self.lines(pattern)

    def running(self):
        return self.process.poll() is None

    def kill(self):
        self.process.kill()
        self.process.wait()

    def wait(self, limit=60):
        return self.process.wait(limit)

    def terminate(self, limit=30):
        """TERM, and the exit status."""
        if self.running():
            self.process.send_signal(signal.SIGTERM)
        return self.wait(limit)

    def rss_kib(self):
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status).group(1))

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))


class Sink(Process):
    """mxsink, with what it recorded."""

    def __init__(self, rig, port=0, arguments=(), name="sink", address="127.0.0.1"):
        self.ledger = rig.dir / f"{name}.ledger"
        self.store = rig.dir / "store"
        self.store.mkdir(exist_ok=True)
        super().__init__(rig, "mxsink", [BIN / "mxsink", "--json", "--ledger", self.ledger,
                                         *arguments, f"{address}:{port}", "1024"])
        first = wait_for(lambda: self.lines("^listening on") or not self.running(), "mxsink up")
        assert self.running(), self.text()
        self.port = int(first[0].rsplit(":", 1)[1])

    def messages(self):
        """A dict for each message: id, from, to, bytes, at_us, and file when mxsink stores them."""
        if not self.ledger.exists():
            return []
        whole = self.ledger.read_text().rpartition("\n")[0]
        return [json.loads(line) for line in whole.split("\n") if line]

    def count(self):
        return self.ledger.read_bytes().count(b"\n") if self.ledger.exists() else 0

    def wait_for_messages(self, count, limit=60):
        wait_for(lambda: self.count() >= count, f"{count} messages at the sink", limit)
        return self.messages()


class Dialogue:
    """A bare SMTP connection, for what no client library would send."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.file = self.socket.makefile("rb")
        assert self.reply().startswith("220 ")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()

    def reply(self):
        """The last line of the next reply; empty when the connection is closed."""
        try:
            line = self.file.readline()
            while line[3:4] == b"-":
                line = self.file.readline()
        except ConnectionError:
            line = b""
        return line.decode("utf-8", "replace").rstrip("\r\n")

    def say(self, line, wanted=""):
        """Sends a line (text or bytes); its reply, which must begin as wanted."""
        with contextlib.suppress(ConnectionError):
            self.socket.sendall((line if isinstance(line, bytes) else line.encode()) + b"\r\n")
        reply = self.reply()
        assert reply.startswith(wanted), (line[-100:], reply)
        return reply


def balanced(counters):
    """Nothing lost, nothing invented: a recipient that came is somewhere."""
    came = sum(counters[f"recipients_{n}"] for n in ("accepted", "recovered", "generated"))
    left = sum(counters[f"recipients_{n}"]
               for n in ("sent", "bounced", "discarded", "deleted", "expanded", "queued"))
    return came == left


class Ringmx(Process):
    def __init__(self, rig, limits=None, environment=None, wait=True):
        self.rig = rig
        super().__init__(rig, "ringmx", [BIN / "ringmx", "-c", rig.dir], before=limits,
                         environment=environment)
        self.port = rig.port
        if wait:
            wait_for(self.answers, "ringmx up")

    def answers(self):
        assert self.running(), f"ringmx ended with {self.process.returncode}"
        return self.greets()

    def greets(self):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)) as s:
            return s.recv(3) != b""
        return False

    def status(self):
        done = self.rig.run(BIN / "mxq", "-c", self.rig.dir, "--status", "--json", check=True)
        return json.loads(done.stdout)

    def counters(self):
        return self.status()["counters"]

    def balance(self):
        """The books must balance (a turn of a shard may be half counted)."""
        if self.running() and (self.rig.dir / "queue" / "ringmx.sock").exists():
            wait_for(lambda: balanced(self.counters()), "a balance of recipients", 10)

    def terminate(self, limit=30):
        self.balance()
        return super().terminate(limit)

    def smtp(self, **options):
        return smtplib.SMTP("127.0.0.1", self.port, timeout=60, **options)

    def connect(self):
        return Dialogue(self.port)


class Rig:
    def __enter__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="mx-"))
        self.dir.chmod(0o755)  # started as root, ringmx becomes mail_owner
        self.processes = []
        self.started = 0
        self.port = free_port()
        return self

    def __exit__(self, failed, *_):
        try:
            if not failed:
                failed = True  # unless the books of those that still run balance
                for process in self.processes:
                    if isinstance(process, Ringmx):
                        process.balance()
                failed = False
        finally:
            self.end(failed)

    def end(self, failed):
        for process in reversed(self.processes):
            if process.running():
                process.kill()
        if failed:
            for process in self.processes:
                last = "\n".join(process.text().split("\n")[-20:])
                print(f"---- {process.name} ({process.process.returncode}):\n{last}")
            print(f"---- kept: {self.dir}")
        else:
            shutil.rmtree(self.dir)

    def configure(self, recipients=(RECIPIENT,), compile_maps=True, **parameters):
        """Writes main.cf and its tables. A parameter of None is left out."""
        (self.dir / "queue").mkdir(exist_ok=True)
        (self.dir / "domains").write_text(f"{DOMAIN} OK\n")
        (self.dir / "recipients").write_text("".join(f"{r} OK\n" for r in recipients))
        settings = {
            "compatibility_level": "3.6",
            "myhostname": f"mx.{DOMAIN}",
            "mynetworks": "127.0.0.0/8",
            "mail_owner": "nobody",
            "queue_directory": self.dir / "queue",
            "ringmx_queue_size_limit": 256 << 20,  # written in advance at the first start
            "ringmx_segment_size": 16 << 20,
            "ringmx_listen": f"127.0.0.1:{self.port}",
            "relay_domains": f"hash:{self.dir}/domains",
            "relay_recipient_maps": f"hash:{self.dir}/recipients",
            "smtpd_relay_restrictions": "reject_unauth_destination",
            "syslog_name": "postfix",
        } | parameters
        self.config = self.dir / "main.cf"
        lines = [f"{name} = {value}\n" for name, value in settings.items() if value is not None]
        self.config.write_text("".join(lines))
        if compile_maps:
            self.run(BIN / "mapc", "-c", self.dir, "--all", check=True)

    def run(self, *command, **options):
        """A program that ends by itself; CompletedProcess with text."""
        options = {"capture_output": True, "text": True, "timeout": 300, "cwd": self.dir} | options
        check = options.pop("check", False)
        done = subprocess.run([str(word) for word in command], **options)
        assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done

    def ringmx(self, **options):
        return Ringmx(self, **options)

    def mxsink(self, *arguments, port=0, name="sink", address="127.0.0.1"):
        return Sink(self, port, arguments, name, address)

    def process(self, name, *command, **options):
        return Process(self, name, command, **options)

    def mxload(self, *arguments, port=None, to=RECIPIENT):
        """Runs mxload to its end; its JSON result, with the exit status as "status"."""
        done = self.run(BIN / "mxload", "--json", "-f", f"sender@{DOMAIN}", "-t", to, *arguments,
                        f"127.0.0.1:{port or self.port}")
        assert done.stdout, done.stderr
        return json.loads(done.stdout) | {"status": done.returncode}

    def smtp_sink(self, *arguments):
        """Postfix's smtp-sink on a free port, as (process, port)."""
        program = need_program("smtp-sink")
        port = free_port()
        as_user = ["-u", "nobody"] if os.getuid() == 0 else []
        sink = self.process("smtp-sink", program, *as_user, *arguments, f"127.0.0.1:{port}", "128")

        def up():
            assert sink.running(), sink.text()
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                return True
            return False

        wait_for(up, "smtp-sink up")
        return sink, port


@contextlib.contextmanager
def running_mx(sink_arguments=(), **parameters):
    """The usual case: (rig, mxsink, ringmx) with the one relaying to the other."""
    with Rig() as rig:
        sink = rig.mxsink(*sink_arguments)
        rig.configure(relayhost=f"[127.0.0.1]:{sink.port}", **parameters)
        yield rig, sink, rig.ringmx()
