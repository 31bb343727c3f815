#!/usr/bin/env python3
"""Mail that goes by the MX of each recipient's domain, beside the same mail to a relayhost: CPU of
ringmx a message; what thousands of domains cost that are down. Loopback and an unbound of its own.

Usage: domains.py [--bin DIR] [--domains N] [--messages N] [--idle SECONDS]
"""
import argparse
import pathlib
import shutil
import subprocess
import tempfile
import time

from relay import answers, cpu, free_port, wait_until

UNBOUND = """server:
  interface: 127.0.0.1@{port}
  username: ""
  chroot: ""
  directory: "{folder}"
  pidfile: ""
  use-syslog: no
  do-daemonize: no
  do-ip6: no
  num-threads: 1
  module-config: "iterator"
  local-zone: "test." static
  local-data: "sink.test. 3600 IN A 127.0.0.2"
  local-data: "nobody.test. 3600 IN A 127.0.0.9"
  local-zone: "up.test." redirect
  local-data: "up.test. 3600 IN MX 10 sink.test."
  local-zone: "down.test." redirect
  local-data: "down.test. 3600 IN MX 10 nobody.test."
"""


class Rig:
    def __init__(self, folder, arguments):
        self.folder, self.bin = folder, pathlib.Path(arguments.bin).resolve()
        self.port, self.sink_port, self.dns_port = free_port(), free_port(), free_port()
        (folder / "unbound.conf").write_text(UNBOUND.format(port=self.dns_port, folder=folder))
        self.others = [
            subprocess.Popen(["unbound", "-d", "-c", folder / "unbound.conf"],
                             stderr=subprocess.DEVNULL),
            subprocess.Popen([self.bin / "mxsink", f"127.0.0.2:{self.sink_port}"],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)]
        self.sent = 0

    def start(self, relayhost):
        (self.folder / "main.cf").write_text(f"""compatibility_level = 3.6
myhostname = mx.example.test
mydestination =
mail_owner = root
ringmx_listen = 127.0.0.1:{self.port}
ringmx_dns_servers = 127.0.0.1:{self.dns_port}
relayhost = {relayhost}
smtp_tcp_port = {self.sink_port}
relay_domains = up.test down.test
smtpd_relay_restrictions = reject_unauth_destination
queue_directory = {self.folder}/queue
maillog_file = {self.folder}/log
""")
        self.process = subprocess.Popen([self.bin / "ringmx", "-c", self.folder],
                                        stderr=subprocess.DEVNULL)
        self.sent = 0
        wait_until(lambda: answers(self.port), "the banner")

    def counter(self, name):
        done = subprocess.run([self.bin / "mxq", "-c", self.folder, "--status"],
                              capture_output=True, text=True, check=True)
        return int(next(line.split()[1] for line in done.stdout.splitlines()
                        if line.split()[:1] == [name]))

    def send(self, domain, count, domains):
        subprocess.run([self.bin / "mxload", "-s", "20", "-m", str(count), "-l", "4096", "-d",
                        "-f", "sender@example.org", "-t", f"user@{domain}", "--domains",
                        str(domains), f"127.0.0.1:{self.port}"], check=True,
                       stdout=subprocess.DEVNULL)

    def measure(self, what, count, domains):
        before, start = cpu(self.process.pid), time.monotonic()
        self.send("up.test", count, domains)
        self.sent += count
        wait_until(lambda: self.counter("recipients_sent") >= self.sent, what, 300)
        seconds, used = time.monotonic() - start, cpu(self.process.pid) - before
        print(f"{what}: {used * 1e6 / count:.1f} us CPU a message, "
              f"{count / seconds:.0f} messages/s", flush=True)

    def stop(self):
        self.process.terminate()
        self.process.wait()


def run(rig, arguments):
    n = arguments.domains
    rig.start(f"[127.0.0.2]:{rig.sink_port}")
    rig.measure("to a relayhost", arguments.messages, n)
    rig.stop()
    rig.start("")
    rig.measure("by one domain", arguments.messages, 1)
    rig.measure(f"by {n} domains, new", arguments.messages, n)
    rig.measure(f"by {n} domains, known", arguments.messages, n)
    rig.send("down.test", 10 * n, n)
    wait_until(lambda: rig.counter("recipients_queued") == 10 * n, "mail for dead domains")
    time.sleep(arguments.idle / 4)  # each has been found down
    before = cpu(rig.process.pid)
    time.sleep(arguments.idle)
    print(f"{10 * n} messages wait for {n} domains that are down: "
          f"{(cpu(rig.process.pid) - before) * 100 / arguments.idle:.2f} % of a core", flush=True)
    rig.measure(f"by one domain, beside {n} that are down", arguments.messages, 1)
    rig.process.kill()  # at rest it would be the disk's turn
    rig.process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", default="build/release/bin")
    parser.add_argument("--domains", type=int, default=1000)
    parser.add_argument("--messages", type=int, default=40000)
    parser.add_argument("--idle", type=int, default=40)
    arguments = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="mx-bench-"))
    rig = Rig(folder, arguments)
    try:
        run(rig, arguments)
    finally:
        if rig.process.poll() is None:
            rig.process.kill()
        for other in rig.others:
            other.kill()
            other.wait()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
