#!/usr/bin/env python3
"""Without a relayhost mail goes by the MX of each recipient's domain, as in Postfix: hundreds of
domains at once, one message for many of them, address literals, internationalised domains, what
can't be delivered, domains that are down, and a relayhost that comes with a reload. Against
unbound. With 1 and with 4 shards; with 4 a table says so for all domains."""

import re
import signal

from dns import Unbound
from rig import BIN, DOMAIN, Rig, free_port, wait_for

COUNT = 300  # domains
SENDER = "sender@mail.test"  # outside: bounces go by its MX
FAST = {"minimal_backoff_time": "1s", "maximal_backoff_time": "2s", "ringmx_segment_size": 4 << 20,
        "smtpd_recipient_limit": 1000,
        "smtpd_relay_restrictions": "permit_mynetworks, reject_unauth_destination"}


def send(mx, *recipients, sender=SENDER, options=()):
    with mx.smtp() as client:
        refused = client.sendmail(sender, list(recipients), b"Subject: x\r\n\r\nbody\r\n", options)
        assert not refused, refused


def outcome(mx, recipient, pattern):
    return wait_for(lambda: mx.lines(f"to=<{re.escape(recipient)}>.*{pattern}"),
                    f"{recipient}: {pattern}")


def listed(rig):
    return rig.run(BIN / "mxq", "-c", rig.dir, "-p", check=True).stdout


def received(*sinks):
    return sorted(to for sink in sinks for m in sink.messages() for to in m["to"])


def setup(rig, shards, transport):
    dns = Unbound(rig)
    port = free_port()
    sinks = [rig.mxsink(port=port, name=f"sink{n}", address=f"127.0.0.{n}") for n in (2, 3)]
    records = ["a.test. 60 IN A 127.0.0.2", "b.test. 60 IN A 127.0.0.3",
               "dead.test. 60 IN MX 10 nobody.test.", "nobody.test. 60 IN A 127.0.0.9",
               "gone.test. 60 IN A 127.0.0.9", "null.test. 60 IN MX 0 .",
               "mail.test. 60 IN MX 10 b.test.", "us.test. 60 IN MX 10 mx.example.test.",
               "backup.test. 60 IN MX 20 mx.example.test.", "backup.test. 60 IN MX 10 a.test.",
               "mx.example.test. 60 IN A 127.0.0.1", "xn--bcher-kva.test. 60 IN MX 10 a.test."]
    records += [f"d{n}.test. 60 IN MX 10 {'ab'[n % 2]}.test." for n in range(COUNT)]
    dns.add(*records)
    own = " ".join([f"d{n}.test" for n in range(COUNT)] +
                   [f"{n}.test" for n in ("dead", "null", "none", "soft", "us", "backup")])
    if transport:
        (rig.dir / "transport").write_text("bad.test smtp:[x\n* smtp:\n")
    rig.configure(relayhost="", smtp_tcp_port=port, ringmx_shards=shards,
                  relay_domains=own, relay_recipient_maps="", smtputf8_enable="yes",
                  transport_maps=f"hash:{rig.dir}/transport" if transport else "",
                  ringmx_dns_servers=f"127.0.0.1:{dns.port}", **FAST)
    return dns, port, sinks


def hopeless(mx, b, transport):
    """It goes back, by the domain of its sender."""
    before = b.count()
    for domain, said in {
            "null": "dsn=5.1.0, status=bounced .Domain null.test does not accept",
            "none": "dsn=5.4.4, status=bounced .Host or domain name not found",
            "us": "dsn=5.4.6, status=bounced .mail for us.test loops back",
            "other-none": "dsn=5.4.4, status=bounced .Host or domain name not found"}.items():
        send(mx, f"u@{domain}.test")
        outcome(mx, f"u@{domain}.test", said)
    wait_for(lambda: b.count() == before + 4, "a notice for each")

    # A next hop that is none is said once, a domain that is none by its bounce only.
    if transport:
        send(mx, *[f"u{n}@bad.test" for n in range(3)])
        outcome(mx, "u2@bad.test", "dsn=4.3.5, status=deferred .its next hop can't be used")
        assert len(mx.said("warning: transport_maps: ")) == 1
    assert not mx.lines("warning: next hop .*none.test")


def check(shards, transport=False):
    with Rig() as rig:
        dns, port, (a, b) = setup(rig, shards, transport)
        mx = rig.ringmx()

        # One message each; then one for all of them, whose domains are known by now or not.
        everybody = [f"user@d{n}.test" for n in range(COUNT)]
        with mx.smtp() as client:
            for to in everybody[:COUNT // 2]:
                client.sendmail(SENDER, [to], b"Subject: x\r\n\r\nbody\r\n")
        wait_for(lambda: a.count() + b.count() == COUNT // 2, "a message in each domain")
        send(mx, *everybody)
        wait_for(lambda: a.count() + b.count() == COUNT // 2 + COUNT, "one message for all")
        assert received(a, b) == sorted(everybody[:COUNT // 2] + everybody)
        assert {to[6:].partition(".")[0][-1] in "02468" for to in received(a)} == {True}
        assert not mx.lines("status=deferred"), mx.lines("status=deferred")[:3]

        # Backup MX: those better than ourselves. A literal: the host, at the usual port.
        for to, where in {"u@backup.test": "a.test.127.0.0.2", "u@[127.0.0.3]": "127.0.0.3.127",
                          "u@mail.test": "b.test.127.0.0.3"}.items():
            send(mx, to)
            outcome(mx, to, f"relay={where}.*status=sent")
        with mx.connect() as dialogue:
            dialogue.say("EHLO client.test", "250")
            dialogue.say(f"MAIL FROM:<{SENDER}> SMTPUTF8", "250")
            dialogue.say("RCPT TO:<u@bücher.test>", "250")
            dialogue.say("DATA", "354")
            dialogue.say("Subject: x\r\n\r\nbody\r\n.", "250")
        outcome(mx, "u@b??cher.test", "relay=a.test.127.0.0.2.*status=sent")

        hopeless(mx, b, transport)

        # A domain that is down holds up no other; an alarm says so if it is one of ours.
        send(mx, "u@dead.test", "u@d0.test", "u@soft.test", "u@gone.test")
        wait_for(lambda: received(a).count("u@d0.test") == 1, "mail for the others")
        send(mx, "u@dead.test")
        wait_for(lambda: mx.lines("alarm next-hop-down dead.test.* raised"), "the alarm")
        send(mx, "u@soft.test")
        wait_for(lambda: mx.lines("alarm next-hop-down soft.test.* raised"), "the other alarm")
        assert not mx.lines("alarm next-hop-down gone")
        wait_for(lambda: re.search(r"suspended: connect to nobody.test\[127.0.0.9\]:\d+: "
                                   r".*refused\)\n +u@dead.test", listed(rig)), "its reason")
        wait_for(lambda: re.search(r"temporarily suspended: .*soft.test.*\)\n +u@soft.test",
                                   listed(rig)), "the other reason")
        four = rig.mxsink(port=port, name="sink9", address="127.0.0.9")
        wait_for(lambda: received(four) == ["u@dead.test", "u@dead.test", "u@gone.test"],
                 "mail for the domains that are back")
        wait_for(lambda: mx.lines("alarm next-hop-down dead.test.* cleared"), "the alarm's end")
        status = mx.status()
        assert status["next_hop"] is None and len(status["next_hops"]) > COUNT

        # From now on all goes to one host, also what waits.
        rig.configure(relayhost=f"[127.0.0.3]:{port}", smtp_tcp_port=port, ringmx_shards=shards,
                      relay_domains="soft.test d0.test", relay_recipient_maps="",
                      mynetworks="127.0.0.0/8", ringmx_dns_servers=f"127.0.0.1:{dns.port}", **FAST)
        mx.process.send_signal(signal.SIGHUP)
        wait_for(lambda: received(b).count("u@soft.test") == 2, "what waited goes to the relayhost")
        send(mx, "u@d0.test")
        wait_for(lambda: received(b).count("u@d0.test") == 1, "the relayhost has new mail")
        assert mx.status()["next_hop"] == f"[127.0.0.3]:{port}"
        assert not mx.lines("takes effect at a restart")
        mx.terminate()


check(1)
check(4, transport=True)
