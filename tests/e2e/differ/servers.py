"""The two servers of the differential test, with the same main.cf, and the sink behind each.

A Pair owns one folder: tables (compiled by postmap and by mapc), a private Postfix (configuration,
queue and data directory of its own, smtpd on a free port of the loopback), a ringmx, two sinks.
"""

import json
import os
import pathlib
import pwd
import re
import shutil
import signal
import socketserver
import subprocess
import threading
import time

from rig import BIN, Process, free_port, need_program, wait_for

DAEMONS = pathlib.Path("/usr/lib/postfix/sbin")
QUEUE_FOLDERS = {"active": 0o700, "bounce": 0o700, "corrupt": 0o700, "defer": 0o700,
                 "deferred": 0o700, "flush": 0o700, "hold": 0o700, "incoming": 0o700,
                 "private": 0o700, "maildrop": 0o730, "public": 0o710, "pid": 0o755,
                 "saved": 0o700, "trace": 0o700}
MASTER_CF = """
127.0.0.1:{port} inet n - n - - smtpd -o smtpd_peername_lookup=no
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
anvil unix - - n - 1 anvil
tlsmgr unix - - n 1000? 1 tlsmgr
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""
RINGMX_ONLY = {"ringmx_queue_size_limit": 256 << 20, "ringmx_segment_size": 4 << 20}


class Sink(socketserver.ThreadingTCPServer):
    """Takes every message as it comes: [(sender, recipients, lines of content)]."""

    daemon_threads = True
    request_queue_size = 100

    def __init__(self):
        super().__init__(("127.0.0.1", 0), SinkSession)
        self.port = self.server_address[1]
        self.messages = []
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()


class SinkSession(socketserver.StreamRequestHandler):
    def say(self, text):
        self.wfile.write(text.encode() + b"\r\n")

    def content(self):
        data = bytearray()
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            data += line[1:] if line.startswith(b".") else line
        return bytes(data)

    def handle(self):
        self.say("220 sink ESMTP")
        sender, recipients = "", []
        while line := self.rfile.readline():
            verb = line[:4].upper()
            if verb == b"EHLO":
                self.say("250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 DSN")
                continue
            if verb == b"DATA":
                self.say("354 go")
                self.server.messages.append((sender, recipients, self.content()))
            elif verb == b"MAIL":
                sender, recipients = path_of(line), []
            elif verb == b"RCPT":
                recipients.append(path_of(line))
            self.say("221 bye" if verb == b"QUIT" else "250 ok")
            if verb == b"QUIT":
                return


def path_of(line):
    found = re.match(rb'[^<]*<((?:"(?:\\.|[^"\\])*"|[^>"])*)>', line)
    return (found.group(1) if found else line).decode("utf-8", "backslashreplace")


class Pair:
    """Both servers for one configuration after another; `shards` is ringmx's."""

    def __init__(self, rig, shards):
        self.rig, self.shards = rig, shards
        self.dir = rig.dir
        self.sinks = {}
        self.ports = {}
        self.processes = {}
        self.postfix_dir, self.ringmx_dir = self.dir / "postfix", self.dir / "ringmx"
        owner = pwd.getpwnam("postfix")
        for folder in (self.postfix_dir, self.ringmx_dir, self.dir / "data", self.dir / "tables",
                       self.dir / "spool", self.ringmx_dir / "queue"):
            folder.mkdir()
        os.chown(self.dir / "data", owner.pw_uid, owner.pw_gid)
        for name, mode in QUEUE_FOLDERS.items():
            folder = self.dir / "spool" / name
            folder.mkdir()
            folder.chmod(mode)
            if name != "pid":
                os.chown(folder, owner.pw_uid, owner.pw_gid)
        shutil.copy("/etc/postfix/dynamicmaps.cf", self.postfix_dir)

    def write(self, config):
        """main.cf of both; what differs is where they are and which sink is behind."""
        places = {
            "postfix": (self.postfix_dir, {
                "queue_directory": self.dir / "spool", "data_directory": self.dir / "data",
                "mail_owner": "postfix", "maillog_file": self.dir / "postfix.log",
                "maillog_file_prefixes": self.dir, "in_flow_delay": "0s"}),
            "ringmx": (self.ringmx_dir, {
                "queue_directory": self.ringmx_dir / "queue", "mail_owner": "nobody",
                "ringmx_listen": f"127.0.0.1:{self.ports['ringmx']}",
                "ringmx_shards": self.shards} | RINGMX_ONLY)}
        for name, (folder, own) in places.items():
            settings = config.settings(self.dir / "tables") | own
            if name in self.sinks:
                settings["relayhost"] = f"[127.0.0.1]:{self.sinks[name].port}"
            text = "".join(f"{key} = {value}\n" for key, value in settings.items())
            (folder / "main.cf").write_text(text)
        (self.postfix_dir / "master.cf").write_text(MASTER_CF.format(port=self.ports["postfix"]))

    def compile(self, config):
        for name, text in config.tables.items():
            path = self.dir / "tables" / name
            path.write_text(text)
            tool = "postalias" if name == "aliases" else "postmap"
            self.rig.run(need_program(tool), "-c", self.postfix_dir, f"hash:{path}", check=True)
        self.rig.run(BIN / "mapc", "-c", self.ringmx_dir, "--all", check=True)

    def start(self, config):
        self.sinks = {"postfix": Sink(), "ringmx": Sink()}
        self.ports = {"postfix": free_port(), "ringmx": free_port()}
        self.write(config)
        self.compile(config)
        shutil.rmtree(self.ringmx_dir / "queue")
        (self.ringmx_dir / "queue").mkdir()
        self.processes = {
            "postfix": Process(self.rig, "postfix", [DAEMONS / "master", "-c", self.postfix_dir],
                               before=os.setsid),
            "ringmx": Process(self.rig, "ringmx", [BIN / "ringmx", "-c", self.ringmx_dir])}
        for name in self.processes:
            wait_for(lambda name=name: self.answers(name), f"{name} up")

    def answers(self, name):
        assert self.processes[name].running(), f"{name}: {self.log(name)}"
        from differ.client import Connection
        try:
            with Connection(self.ports[name], 10) as client:
                return bool(client.reply())
        except OSError:
            return False

    def log(self, name):
        if name == "postfix" and (self.dir / "postfix.log").exists():
            return (self.dir / "postfix.log").read_text("utf-8", "replace")[-3000:]
        return self.processes[name].text()[-3000:]

    def drained(self):
        """Postfix has nothing left to deliver."""
        folders = (self.dir / "spool" / name for name in ("incoming", "active", "maildrop"))
        return not any(entry.is_file() for f in folders for entry in os.scandir(f))

    def wait_for_mail(self, limit=60):
        """Both have delivered: Postfix's queue is empty, and ringmx's sink has as many. None: it is
        not; after some hundred starts its qmgr now and then leaves mail lying."""
        end = time.monotonic() + limit
        while not self.drained():
            if time.monotonic() > end:
                return None
            time.sleep(0.02)
        end = time.monotonic() + limit
        while time.monotonic() < end:
            if len(self.sinks["ringmx"].messages) >= len(self.sinks["postfix"].messages):
                break
            if self.ringmx_waits() == 0:  # what it has not delivered by now it does not have
                break
            time.sleep(0.1)
        return {name: list(sink.messages) for name, sink in self.sinks.items()}

    def ringmx_waits(self):
        """How many messages ringmx has in its queue that were not tried yet, or are being tried."""
        done = subprocess.run([BIN / "mxq", "-c", self.ringmx_dir, "-j"], capture_output=True,
                              text=True, timeout=60, check=False)
        rows = [json.loads(row) for row in done.stdout.splitlines()]
        return sum(row["queue_name"] == "active" for row in rows)

    def stop(self):
        self.processes["ringmx"].terminate()
        master = self.processes["postfix"]
        if master.running():
            os.killpg(master.pid, signal.SIGTERM)
        master.wait(30)
        for sink in self.sinks.values():
            sink.shutdown()
            sink.server_close()
        for name in ("deferred", "incoming", "active", "hold", "defer", "bounce", "corrupt"):
            for entry in (self.dir / "spool" / name).rglob("*"):
                if entry.is_file():
                    entry.unlink(missing_ok=True)


def accepted_by_check(folder, text):
    """None when ringmx takes this main.cf, or its first complaint."""
    (folder / "main.cf").write_text(text)
    done = subprocess.run([BIN / "ringmx", "-c", folder, "--check"], capture_output=True, text=True,
                          timeout=60)
    said = (done.stdout + done.stderr).strip().split("\n")
    errors = [line for line in said if "warning:" not in line]
    return None if done.returncode == 0 else (errors or said)[0]
