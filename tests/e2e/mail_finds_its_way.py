#!/usr/bin/env python3
"""Aliases, virtual aliases, access rules and transport_maps decide who gets a message, from whom
and where; nothing of it is lost over a kill -9. With 1 and with 4 shards."""

from rig import BIN, DOMAIN, Rig, free_port, wait_for

ALIASES = """\
postmaster: root
root: admin@{d}
list: one@{d}, two@{d}, "two words"@{d}
owner-list: boss@{d}
nested: list, three@{d}
self: self, one@{d}
"""
VIRTUAL = "v@virtual.test one@{d}, two@{d}\nboth@virtual.test v@virtual.test, three@{d}\n"
ACCESS = ("redirect@{d} REDIRECT one@{d}\nbcc@{d} BCC copy@{d}\nhold@{d} HOLD later\n"
          "gone@{d} DISCARD away\n")
TRANSPORT = ("other@{d} relay:[127.0.0.1]:{other}\nnever@{d} error:5.7.1 not this one\n"
             "void@{d} discard:thrown away\nlater@{d} retry:4.2.1 not now\nmx@{d} smtp:\n"
             "plain@{d} :\n")


def configure(rig, sink, other, shards):
    words = {"d": DOMAIN, "other": other}
    for name, text in {"aliases": ALIASES, "virtual": VIRTUAL, "access": ACCESS,
                       "transport": TRANSPORT}.items():
        (rig.dir / name).write_text(text.format(**words))
    rig.configure(
        relayhost=f"[127.0.0.1]:{sink}", mydestination="local.test", myorigin="local.test",
        alias_maps=f"hash:{rig.dir}/aliases", virtual_alias_maps=f"hash:{rig.dir}/virtual",
        virtual_alias_domains="virtual.test", relay_recipient_maps="",
        transport_maps=f"hash:{rig.dir}/transport", ringmx_shards=shards,
        ringmx_dns_servers=f"127.0.0.1:{free_port()}",  # nobody
        smtpd_recipient_restrictions=f"check_recipient_access hash:{rig.dir}/access",
        ringmx_segment_size=4 << 20, minimal_backoff_time="1s", maximal_backoff_time="2s")


def envelopes(sink):
    return sorted((m["from"], to) for m in sink.messages() for to in m["to"])


def send(mx, *recipients, sender=f"sender@{DOMAIN}"):
    """What each RCPT and the final dot were answered."""
    with mx.connect() as dialogue:
        dialogue.say("EHLO client.test", "250")
        dialogue.say(f"MAIL FROM:<{sender}>", "250")
        replies = [dialogue.say(f"RCPT TO:<{one}>") for one in recipients]
        if any(reply.startswith("250") for reply in replies):
            dialogue.say("DATA", "354")
            replies.append(dialogue.say("Subject: x\r\n\r\nbody\r\n."))
        dialogue.say("QUIT", "221")
    return replies


def expect(sink, mx, recipients, wanted):
    before = len(envelopes(sink))
    assert send(mx, *recipients)[-1].startswith("250 2.0.0"), recipients
    wait_for(lambda: len(envelopes(sink)) >= before + len(wanted), f"{recipients}")
    found = [(m["from"].split("@")[0], to.rpartition("@")[0]) for m in sink.messages()
             for to in m["to"]]
    assert sorted(found) == sorted(wanted), (recipients, found)
    sink.ledger.write_text("")


def expansion(sink, mx):
    def own(*names):
        return [("sender", name) for name in names]

    expect(sink, mx, ["postmaster"], own("admin"))
    expect(sink, mx, ["list@local.test"],
           [("owner-list", name) for name in ("one", "two", '"two words"')])
    expect(sink, mx, ["nested@local.test"], [("owner-list", "one"), ("owner-list", "two"),
                                             ("owner-list", '"two words"'), ("sender", "three")])
    expect(sink, mx, ["v@virtual.test"], own("one", "two"))
    expect(sink, mx, ["both@virtual.test"], own("one", "two", "three"))
    expect(sink, mx, [f"a@{DOMAIN}", f"A@{DOMAIN}", f"b@{DOMAIN}"], own("a", "b"))
    expect(sink, mx, [f"a@{DOMAIN}", f"redirect@{DOMAIN}"], own("one"))
    expect(sink, mx, [f"a@{DOMAIN}", f"bcc@{DOMAIN}"], own("a", "bcc", "copy"))
    expect(sink, mx, [f"plain@{DOMAIN}"], own("plain"))
    assert send(mx, "unknown@virtual.test")[0].startswith("550 5.1.1")
    assert send(mx, "self@local.test")[0].startswith("451")


def routes(rig, sink, other, mx):
    send(mx, f"other@{DOMAIN}", f"a@{DOMAIN}", f"void@{DOMAIN}", f"mx@{DOMAIN}")
    other.wait_for_messages(1)
    sink.wait_for_messages(1)
    assert [m["to"] for m in other.messages()] == [[f"other@{DOMAIN}"]]
    assert [m["to"] for m in sink.messages()] == [[f"a@{DOMAIN}"]]
    assert send(mx, f"never@{DOMAIN}")[0].startswith("550 5.7.1"), send(mx, f"never@{DOMAIN}")
    assert send(mx, f"later@{DOMAIN}")[0].startswith("450 4.2.1"), send(mx, f"later@{DOMAIN}")
    # The domain itself, by its MX; nobody answers what that is.
    wait_for(lambda: mx.lines(f"alarm next-hop-down {DOMAIN}:25 raised.*try again"), "an alarm")
    mx.said("void@.*status=sent .thrown away")
    sink.ledger.write_text("")


def held(rig, sink, mx):
    assert send(mx, f"hold@{DOMAIN}")[-1].startswith("250")
    assert send(mx, f"gone@{DOMAIN}", f"a@{DOMAIN}")[-1].startswith("250")
    wait_for(lambda: mx.lines("placed on hold"), "hold")
    expect(sink, mx, [f"after@{DOMAIN}"], [("sender", "after")])
    mx.kill()
    mx = rig.ringmx()
    # Its mark may have been lost; then its envelope says so, once it is looked at.
    wait_for(lambda: '"queue_name":"hold"' in rig.run(BIN / "mxq", "-c", rig.dir, "-j",
                                                       check=True).stdout, "the hold")
    rig.run(BIN / "mxq", "-c", rig.dir, "-H", "ALL", check=True)
    wait_for(lambda: f"hold@{DOMAIN}" in str(sink.messages()), "a released message")
    assert f"gone@{DOMAIN}" not in str(sink.messages())
    return mx


def killed(rig, mx, port):
    """Accepted while nobody listens, killed, delivered after a start: each at least once."""
    for _ in range(20):
        assert send(mx, "list@local.test", "both@virtual.test")[-1].startswith("250")
    mx.kill()
    sink = rig.mxsink(port=port)
    rig.ringmx()
    wait_for(lambda: len(envelopes(sink)) >= 20 * 6, "all of them", 60)
    wanted = {(f"owner-list@local.test", f"{n}@{DOMAIN}") for n in ("one", "two", '"two words"')}
    wanted |= {(f"sender@{DOMAIN}", f"{n}@{DOMAIN}") for n in ("one", "two", "three")}
    assert {pair for pair in envelopes(sink) if "later" not in pair[1]} == wanted


for shards in (1, 4):
    with Rig() as rig:
        sink = rig.mxsink()
        port = free_port()
        configure(rig, sink.port, port, shards)
        mx = rig.ringmx()
        expansion(sink, mx)
        other = rig.mxsink(port=port, name="other")
        routes(rig, sink, other, mx)
        mx = held(rig, sink, mx)
    with Rig() as rig:
        port = free_port()
        configure(rig, port, free_port(), shards)
        killed(rig, rig.ringmx(), port)
