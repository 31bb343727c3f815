#!/usr/bin/env python3
"""Mail that goes by the MX of each recipient's domain, beside the same mail to a relayhost: CPU of
ringmx a message; what thousands of domains cost that are down. Loopback and an unbound of its own.

Usage: domains.py [--domains N] [--messages N] [--idle SECONDS]
"""
import argparse
import pathlib
import sys
import time

from relay import cpu

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "e2e"))

from dns import Unbound  # noqa: E402
from rig import Rig, free_port, wait_for  # noqa: E402

LIMIT = 300  # seconds for any wait


def name_servers(rig):
    dns = Unbound(rig)
    for zone, host in {"up.test.": "sink.test.", "down.test.": "nobody.test."}.items():
        dns.control("local_zone", zone, "redirect")  # all names in it have the same records
        dns.add(f"{zone} 3600 IN MX 10 {host}")
    dns.add("sink.test. 3600 IN A 127.0.0.2", "nobody.test. 3600 IN A 127.0.0.9")
    return dns


def send(rig, domain, count, domains):
    rig.mxload("-s", "20", "-m", str(count), "-l", "4096", "-d", "--domains", str(domains),
               to=f"user@{domain}")


def measure(rig, mx, what, count, domains):
    sent = mx.counters()["recipients_sent"] + count
    before, start = cpu(mx.process.pid), time.monotonic()
    send(rig, "up.test", count, domains)
    wait_for(lambda: mx.counters()["recipients_sent"] >= sent, what, LIMIT)
    seconds, used = time.monotonic() - start, cpu(mx.process.pid) - before
    print(f"{what}: {used * 1e6 / count:.1f} us CPU a message, {count / seconds:.0f} messages/s",
          flush=True)


def are_down(mx, domains):
    hops = mx.status()["next_hops"]
    return sum(not hop["up"] and hop["backends"] != [] for hop in hops) == domains


def run(rig, arguments):
    n, count = arguments.domains, arguments.messages
    dns, port = name_servers(rig), free_port()
    rig.mxsink(port=port, address="127.0.0.2")
    usual = {"smtp_tcp_port": port, "relay_domains": "up.test down.test",
             "relay_recipient_maps": "", "ringmx_queue_size_limit": 1 << 30,
             "ringmx_dns_servers": f"127.0.0.1:{dns.port}", "maillog_file": rig.dir / "log"}
    rig.configure(relayhost=f"[127.0.0.2]:{port}", **usual)
    mx = rig.ringmx()
    measure(rig, mx, "to a relayhost", count, n)
    mx.terminate()
    rig.configure(relayhost="", **usual)
    mx = rig.ringmx()
    measure(rig, mx, "by one domain", count, 1)
    measure(rig, mx, f"by {n} domains, new", count, n)
    measure(rig, mx, f"by {n} domains, known", count, n)
    send(rig, "down.test", 10 * n, n)
    wait_for(lambda: are_down(mx, n), "each domain found down", LIMIT)
    before = cpu(mx.process.pid)
    time.sleep(arguments.idle)  # what is measured
    print(f"{10 * n} messages wait for {n} domains that are down: "
          f"{(cpu(mx.process.pid) - before) * 100 / arguments.idle:.2f} % of a core", flush=True)
    measure(rig, mx, f"by one domain, beside {n} that are down", count, 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--domains", type=int, default=1000)
    parser.add_argument("--messages", type=int, default=40000)
    parser.add_argument("--idle", type=int, default=40)
    with Rig() as rig:
        run(rig, parser.parse_args())


if __name__ == "__main__":
    main()
