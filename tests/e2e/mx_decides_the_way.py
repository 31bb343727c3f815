#!/usr/bin/env python3
"""A next hop without brackets goes by its MX records, as in Postfix: equal ones share the mail,
worse ones take over, no MX means the host itself, null MX and unknown names bounce, what fails
waits, and nothing leads back to ourselves (V65). New records act without a reload. Against
unbound."""

from dns import Unbound
from rig import DOMAIN, Rig, free_port, wait_for

FAST = {"minimal_backoff_time": "1s", "maximal_backoff_time": "2s", "ringmx_segment_size": 4 << 20}
TTL = 5  # the least that counts


def send(mx, recipient, count=1):
    with mx.smtp() as client:
        for _ in range(count):
            client.sendmail(f"sender@{DOMAIN}", [recipient], b"Subject: x\r\n\r\nbody\r\n")


def outcome(mx, recipient, pattern):
    return wait_for(lambda: mx.lines(f"to=<{recipient}>.*{pattern}"), f"{recipient}: {pattern}")


def sinks(rig, port, *numbers):
    return [rig.mxsink(port=port, name=f"sink{n}", address=f"127.0.0.{n}") for n in numbers]


def relayhost_by_mx():
    """Equal, worse, a changed record, and a name that can't be looked up at first."""
    with Rig() as rig:
        dns = Unbound(rig)
        dns.add(f"d.test. {TTL} IN MX 10 a.test.", f"d.test. {TTL} IN MX 10 b.test.",
                f"d.test. {TTL} IN MX 20 c.test.", "a.test. 3600 IN A 127.0.0.2",
                "b.test. 3600 IN A 127.0.0.3", "c.test. 3600 IN A 127.0.0.4")
        port = free_port()
        two, three, four = sinks(rig, port, 2, 3, 4)
        rig.configure(relayhost=f"d.test:{port}", ringmx_shards=2,
                      ringmx_dns_servers=f"127.0.0.1:{dns.port}", **FAST)
        mx = rig.ringmx()
        to = f"user@{DOMAIN}"
        sent = 0

        def both_have_mail():
            nonlocal sent
            sent += 5
            send(mx, to, 5)
            wait_for(lambda: two.count() + three.count() == sent, "mail at the equal MX")
            return two.count() > 5 and three.count() > 5

        wait_for(both_have_mail, "mail at both of the equal MX")
        assert four.count() == 0
        two.kill()
        three.kill()
        send(mx, to, 3)
        four.wait_for_messages(3)
        # Another address for the name: no reload, no restart.
        five = rig.mxsink(port=port, name="sink5", address="127.0.0.5")
        dns.remove("d.test.")
        dns.add(f"d.test. {TTL} IN MX 5 e.test.", "e.test. 60 IN A 127.0.0.5")
        wait_for(lambda: mx.lines("next hop d.test:.*e.test.127.0.0.5.:"), "the new MX")
        send(mx, to, 3)
        five.wait_for_messages(3)
        assert four.count() == 3
        mx.terminate()


def relayhost_that_fails():
    """What is wrong with relayhost may be a slip: mail waits, also where Postfix bounces others."""
    with Rig() as rig:
        dns = Unbound(rig)
        port = free_port()
        sink, = sinks(rig, port, 2)
        rig.configure(relayhost=f"h.soft.test:{port}", ringmx_dns_servers=f"127.0.0.1:{dns.port}",
                      **FAST)
        mx = rig.ringmx()
        send(mx, f"user@{DOMAIN}")
        wait_for(lambda: mx.lines("alarm next-hop-down raised.*try again"), "the alarm")
        dns.control("local_zone_remove", "soft.test.")
        dns.add("h.soft.test. 60 IN A 127.0.0.2")  # no MX: the host itself
        sink.wait_for_messages(1)
        wait_for(lambda: mx.lines("alarm next-hop-down cleared"), "the alarm's end")
        assert not mx.lines("status=bounced")
        mx.terminate()


def transport_maps():
    """One of each kind, all at once; the sender is told of what is hopeless."""
    with Rig() as rig:
        dns = Unbound(rig)
        port = free_port()
        sink, four = sinks(rig, port, 2, 4)
        many = [f"many.test. 60 IN MX {n} n{n}.test." for n in range(2, 1000)]
        dns.add("null.test. 60 IN MX 0 .", "alias.test. 60 IN CNAME real.test.",
                "real.test. 60 IN MX 10 a.test.", "a.test. 60 IN A 127.0.0.2",
                "us.test. 60 IN A 127.0.0.1", "zero.test. 60 IN A 0.0.0.0",
                "named.test. 60 IN MX 10 mx.example.test.", "mx.example.test. 60 IN A 127.0.0.2",
                "best.test. 60 IN MX 10 us.test.", "best.test. 60 IN MX 20 a.test.",
                "cut.test. 60 IN MX 10 a.test.", "cut.test. 60 IN MX 20 mx.example.test.",
                "cut.test. 60 IN MX 20 four.test.", "four.test. 60 IN A 127.0.0.4",
                "domain.test. 60 IN MX 10 a.test.",
                "many.test. 60 IN MX 1 a.test.", "loop.test. 60 IN CNAME pool.test.",
                "pool.test. 60 IN CNAME loop.test.", *many)
        own = rig.port
        routes = {
            "null": f"smtp:null.test:{port}", "none": f"smtp:none.test:{port}",
            "alias": f"smtp:alias.test:{port}", "us": f"smtp:us.test:{own}",
            "zero": f"smtp:zero.test:{own}", "named": f"smtp:named.test:{own}",
            "best": f"smtp:best.test:{own}", "literal": f"smtp:[127.0.0.1]:{own}",
            "cut": f"smtp:cut.test:{port}", "many": f"smtp:many.test:{port}",
            "loop": f"smtp:loop.test:{port}", "soft": f"smtp:soft.test:{port}",
        }
        (rig.dir / "transport").write_text(
            "".join(f"{who}@{DOMAIN} {route}\n" for who, route in routes.items()) +
            "domain.test smtp:\n")
        (rig.dir / "domains").write_text("")
        rig.configure(
            recipients=[f"{who}@{DOMAIN}" for who in routes] + [f"user@{DOMAIN}", "x@domain.test"],
            relayhost=f"[127.0.0.2]:{port}", smtp_tcp_port=port,
            relay_domains=f"{DOMAIN} domain.test", transport_maps=f"hash:{rig.dir}/transport",
            ringmx_dns_servers=f"127.0.0.1:{dns.port}", **FAST)
        mx = rig.ringmx()
        for who in routes:
            send(mx, f"{who}@{DOMAIN}")
        send(mx, "x@domain.test")
        for who, said in {
                "null": "relay=none.*dsn=5.1.0, status=bounced .Domain null.test does not accept",
                "none": "dsn=5.4.4, status=bounced .Host or domain name not found. Name service "
                        "error for name=none.test type=A+: Host not found",
                "us": "dsn=5.4.6, status=bounced .mail for us.test loops back to myself",
                "zero": "dsn=5.4.6, status=bounced .mail for zero.test loops",
                "named": "dsn=5.4.6, status=bounced .mail for named.test loops",
                "best": "dsn=5.4.6, status=bounced .mail for best.test loops",
                "literal": "dsn=5.4.6, status=bounced .mail for 127.0.0.1 loops",
                "alias": "relay=a.test.127.0.0.2.*status=sent",
                "cut": "relay=a.test.127.0.0.2.*status=sent",
                "many": "relay=a.test.127.0.0.2.*status=sent",
        }.items():
            outcome(mx, f"{who}@{DOMAIN}", said)
        outcome(mx, "x@domain.test", "relay=a.test.127.0.0.2.*status=sent")
        for who in ("loop", "soft"):
            wait_for(lambda: mx.lines(f"alarm next-hop-down {who}.test.* raised.*try again"),
                     f"{who} waits")
        # A notice each to the sender, beside the mail itself.
        sink.wait_for_messages(4 + 7)
        assert four.count() == 0
        # Nobody spoke to us but this test: once at the start, and for each message.
        wait_for(lambda: len(mx.lines(" connect from")) == 1 + len(routes) + 1, "our connections")
        mx.terminate()


relayhost_by_mx()
relayhost_that_fails()
transport_maps()
