#!/usr/bin/env python3
"""A bounce takes the route that any mail to its address would, as in Postfix: relay_domains by
relay_transport, the rest of the world by default_transport, an alias by its members, transport_maps
before all; the postmaster's copy and the double bounce through the aliases. A sender that is no
longer known gets none, and nothing bounces to and fro."""

import smtplib

from backend import Backend
from rig import DOMAIN, Rig, wait_for

ORIGIN = f"mx.{DOMAIN}"
FAST = {"minimal_backoff_time": "1s", "maximal_backoff_time": "1s"}


def refuses(stage, argument):
    return "550 5.1.1 no such user" if stage == "RCPT" and "<no" in argument else None


def send(rig, sender, mark, to=f"no@{DOMAIN}"):
    with smtplib.SMTP("127.0.0.1", rig.port) as smtp:
        smtp.sendmail(sender, [to], f"Subject: {mark}\r\n\r\ntext\r\n")


def bounced(backend, to, mark):
    return [m for m in backend.to(to) if mark.encode() in m["body"]]


with Rig() as rig, Backend(refuses) as relay, Backend(refuses) as other, Backend() as special:
    (rig.dir / "aliases").write_text(f"postmaster: chief\nchief: boss@{DOMAIN}\n"
                                     f"clerk: clerk1@{DOMAIN}, clerk2@out.example\n")
    (rig.dir / "transport").write_text(f"special.example smtp:[127.0.0.1]:{special.port}\n"
                                       "gone.example discard:\nclosed.example error:5.2.1 closed\n")
    rig.configure([f"no@{DOMAIN}", f"no-answer@{DOMAIN}", f"u@{DOMAIN}"],
                  mydestination=ORIGIN, alias_maps=f"hash:{rig.dir}/aliases",
                  transport_maps=f"hash:{rig.dir}/transport",
                  relay_transport=f"relay:[127.0.0.1]:{relay.port}",
                  default_transport=f"smtp:[127.0.0.1]:{other.port}",
                  notify_classes="bounce", **FAST)
    mx = rig.ringmx()
    for sender, backend in ((f"inside@{DOMAIN}", relay), ("someone@out.example", other),
                            ("someone@special.example", special)):
        send(rig, sender, f"mark-{sender}")
        wait_for(lambda s=sender, b=backend: bounced(b, s, f"mark-{s}"), f"the bounce to {sender}")
        # The postmaster's copy: an alias of an alias.
        wait_for(lambda s=sender: bounced(relay, f"boss@{DOMAIN}", f"mark-{s}"), "the copy")
    # A local sender is an alias: each of its members gets it, by its own route.
    send(rig, f"clerk@{ORIGIN}", "mark-clerk")
    wait_for(lambda: bounced(relay, f"clerk1@{DOMAIN}", "mark-clerk"), "the first member's")
    wait_for(lambda: bounced(other, "clerk2@out.example", "mark-clerk"), "the second member's")
    # A bounce that is refused, or whose sender's domain is closed, is a double bounce: the
    # postmaster's, once; the sender of that gets nothing.
    for number, sender in enumerate((f"no-answer@{DOMAIN}", "x@closed.example")):
        send(rig, sender, f"mark-{number}-double")
        wait_for(lambda n=number: len(bounced(relay, f"boss@{DOMAIN}", f"mark-{n}-double")) == 2,
                 "the copy and the double bounce")
        copies = bounced(relay, f"boss@{DOMAIN}", f"mark-{number}-double")
        assert all(m["mail"].startswith(f"MAIL FROM:<double-bounce@{ORIGIN}>") for m in copies)
    send(rig, "x@gone.example", "mark-gone")
    wait_for(lambda: mx.lines("to=<x@gone.example>.*status=sent"), "its bounce is thrown away")
    wait_for(lambda: mx.counters()["recipients_queued"] == 0, "an empty queue")
    assert mx.terminate() == 0
    assert not relay.to(f"double-bounce@{ORIGIN}") and not other.to(f"double-bounce@{ORIGIN}")
