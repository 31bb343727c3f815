#!/usr/bin/env python3
"""A bounce takes the route that any mail to its address would, as in Postfix: relay_domains by
relay_transport, the rest of the world by default_transport, an alias by its members, transport_maps
before all; the postmaster's copy and the double bounce through the aliases. A sender that is no
longer known gets none, and nothing bounces to and fro. A notice that can never be made holds up
neither the others of its message nor the message's end."""

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


def endless_alias():
    """The owner of one list and the postmaster have addresses that expand to more than may be: the
    other owner is told, once."""
    with Rig() as rig, Backend(refuses) as backend:
        (rig.dir / "aliases").write_text(
            f"list1: no1@{DOMAIN}\nowner-list1: boss@{DOMAIN}\n"
            f"list2: no2@{DOMAIN}\nowner-list2: deep@{DOMAIN}\n")
        (rig.dir / "virtual").write_text(f"deep@{DOMAIN} 1@{DOMAIN}\n1@{DOMAIN} 2@{DOMAIN}\n"
                                         f"2@{DOMAIN} 3@{DOMAIN}\n3@{DOMAIN} 4@{DOMAIN}\n")
        rig.configure([], mydestination=ORIGIN, alias_maps=f"hash:{rig.dir}/aliases",
                      local_recipient_maps=f"hash:{rig.dir}/aliases",
                      virtual_alias_maps=f"hash:{rig.dir}/virtual",
                      virtual_alias_recursion_limit=2, relayhost=f"[127.0.0.1]:{backend.port}",
                      notify_classes="bounce, 2bounce", bounce_notice_recipient=f"deep@{DOMAIN}",
                      **{"2bounce_notice_recipient": f"post@{DOMAIN}"}, **FAST)
        mx = rig.ringmx()
        with smtplib.SMTP("127.0.0.1", rig.port) as smtp:
            smtp.sendmail("someone@out.example", [f"list1@{ORIGIN}", f"list2@{ORIGIN}"],
                          "Subject: mark-endless\r\n\r\ntext\r\n")
        wait_for(lambda: mx.counters()["recipients_queued"] == 0, "an empty queue")
        assert len(bounced(backend, f"boss@{DOMAIN}", "mark-endless")) == 1
        instead = bounced(backend, f"post@{DOMAIN}", "mark-endless")
        assert len(instead) == 1 and f"no2@{DOMAIN}".encode() in instead[0]["body"], instead
        assert len(backend.messages) == 2
        for to in (f"owner-list2@{ORIGIN}", f"deep@{DOMAIN}"):
            assert len(mx.said(f"warning: .*a notice to {to} is dropped: ")) == 1, to
        assert mx.terminate() == 0


endless_alias()
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
