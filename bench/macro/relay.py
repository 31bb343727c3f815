#!/usr/bin/env python3
"""smtp-source -> MX -> smtp-sink, ringmx and Postfix one after the other on this machine: CPU of
the MX a relayed message, and messages a second. Loopback only; ends what it starts.

Usage: relay.py [--bin DIR] [--sessions N] [--messages N] [--length N] [--per-connection]
                [--rounds N] [--only ringmx|postfix]
Postfix needs root and the users that Debian's package makes; without it that row says so.
"""
import argparse
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

TICK = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_until(condition, what, limit=120):
    end = time.monotonic() + limit
    while not condition():
        if time.monotonic() > end:
            raise SystemExit(f"not within {limit} s: {what}")
        time.sleep(0.02)


def answers(port):
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as s:
            return s.recv(4)[:3] == b"220"
    except OSError:
        return False


def stat(pid):
    """(parent, own CPU, CPU of reaped children) in seconds."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[1]), (int(fields[11]) + int(fields[12])) / TICK, \
        (int(fields[13]) + int(fields[14])) / TICK


def cpu(pid):
    """CPU of a process, its living children and those it has reaped."""
    total = sum(stat(pid)[1:])
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent, own, _ = stat(entry.name)
            except (OSError, IndexError):
                continue
            if parent == pid:
                total += own
    return total


class Ringmx:
    name = "ringmx"

    def __init__(self, folder, port, sink, arguments):
        self.folder, self.port = folder, port
        (folder / "main.cf").write_text(f"""compatibility_level = 3.6
myhostname = mx.example.test
mydestination =
mail_owner = {'root' if os.geteuid() == 0 else os.environ['USER']}
ringmx_listen = 127.0.0.1:{port}
relayhost = [127.0.0.1]:{sink}
relay_domains = hash:{folder}/domains
smtpd_relay_restrictions = reject_unauth_destination
queue_directory = {folder}/queue
maillog_file = {folder}/log
""")
        (folder / "domains").write_text("example.test x\n")
        bin_dir = pathlib.Path(arguments.bin)
        subprocess.run([bin_dir / "mapc", f"hash:{folder}/domains"], check=True)
        self.process = subprocess.Popen([bin_dir / "ringmx", "-c", folder],
                                        stderr=open(folder / "stderr", "w"))
        self.pid = self.process.pid

    def delivered(self):
        return (self.folder / "log").read_text(errors="replace").count("status=sent")

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Postfix:
    name = "Postfix"

    def __init__(self, folder, port, sink, arguments):
        self.folder, self.port = folder, port
        conf = folder / "conf"
        conf.mkdir()
        for d in ("queue", "data"):
            (folder / d).mkdir()
        shutil.chown(folder / "data", "postfix")
        folder.chmod(0o755)
        (conf / "main.cf").write_text(f"""compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
myhostname = mx.example.test
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
relayhost = [127.0.0.1]:{sink}
relay_domains = example.test
smtpd_relay_restrictions = reject_unauth_destination
smtpd_client_connection_count_limit = 0
maillog_file = {folder}/log
maillog_file_prefixes = /tmp, /var
""")
        lines = pathlib.Path("/etc/postfix/master.cf").read_text().splitlines()
        (conf / "master.cf").write_text("\n".join(
            f"127.0.0.1:{port} inet n - n - - smtpd" if line.startswith("smtp ") and "inet" in line
            else line.replace(" y ", " n ") for line in lines) +
            "\npostlog unix-dgram n - n - 1 postlogd\n")
        subprocess.run(["postfix", "-c", conf, "start"], check=True, capture_output=True)
        self.conf = conf
        pid = folder / "queue/pid/master.pid"
        wait_until(pid.exists, "Postfix's pid file")
        self.pid = int(pid.read_text())

    def delivered(self):
        log = self.folder / "log"
        return log.read_text(errors="replace").count("status=sent") if log.exists() else 0

    def stop(self):
        subprocess.run(["postfix", "-c", self.conf, "stop"], check=True, capture_output=True)


def run(kind, arguments):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="mx-bench-"))
    port, sink_port = free_port(), free_port()
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    sink = subprocess.Popen(["smtp-sink", *user, f"127.0.0.1:{sink_port}", "1000"])
    mx = kind(folder, port, sink_port, arguments)
    try:
        wait_until(lambda: answers(port), f"{mx.name}'s banner")
        before, start = cpu(mx.pid), time.monotonic()
        flags = [] if arguments.per_connection else ["-d"]
        subprocess.run(["smtp-source", "-s", str(arguments.sessions), "-m", str(arguments.messages),
                        "-l", str(arguments.length), *flags, "-f", "sender@example.org",
                        "-t", "user@example.test", f"127.0.0.1:{port}"], check=True)
        wait_until(lambda: mx.delivered() >= arguments.messages, "all messages at the sink", 300)
        seconds, used = time.monotonic() - start, cpu(mx.pid) - before
        print(f"{mx.name}: {used * 1e6 / arguments.messages:.1f} us CPU a message, "
              f"{arguments.messages / seconds:.0f} messages/s", flush=True)
    finally:
        mx.stop()
        sink.send_signal(signal.SIGTERM)
        sink.wait()
        shutil.rmtree(folder, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", default="build/release/bin")
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--messages", type=int, default=20000)
    parser.add_argument("--length", type=int, default=4096)
    parser.add_argument("--per-connection", action="store_true")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", choices=["ringmx", "postfix"])
    arguments = parser.parse_args()
    connections = "a connection a message" if arguments.per_connection else "long connections"
    print(f"{arguments.messages} messages of {arguments.length} bytes, "
          f"{arguments.sessions} sessions, {connections}, durable")
    for _ in range(arguments.rounds):
        if arguments.only != "postfix":
            run(Ringmx, arguments)
        if arguments.only != "ringmx":
            if os.geteuid() == 0 and shutil.which("postfix"):
                run(Postfix, arguments)
            else:
                print("Postfix: not measured (needs root and Debian's package)")


if __name__ == "__main__":
    main()
