#!/usr/bin/env python3
"""Letters about errors of sessions (notify_classes) and reports about aliases (NOTIFY=SUCCESS),
side by side with Postfix: the same dialogues, the same letters to the same people, the same
rows."""

import email
import re

from differ.client import Connection
from differ.servers import Pair
from rig import DOMAIN, Rig, wait_for

ORIGIN = f"mx.{DOMAIN}"
SENDER = "someone@sender.example"
CLASSES = "bounce, data, policy, protocol, resource, software"


class Config:
    tables = {
        "aliases": f"one: one@{DOMAIN}\nmany: a@{DOMAIN}, b@{DOMAIN}\n"
                   f"list: c@{DOMAIN}, d@{DOMAIN}\nowner-list: boss@{DOMAIN}\n",
        "virtual": f"v1@{DOMAIN} w1@{DOMAIN}\nv2@{DOMAIN} p@{DOMAIN}, q@{DOMAIN}\n"
                   f"v3@{DOMAIN} v3@{DOMAIN}\nv4@{DOMAIN} many@{ORIGIN}\n"}

    def settings(self, tables):
        return {"compatibility_level": "3.6", "myhostname": ORIGIN, "mydestination": ORIGIN,
                "mynetworks": "127.0.0.0/8", "relay_domains": DOMAIN,
                "alias_maps": f"hash:{tables}/aliases",
                "local_recipient_maps": f"hash:{tables}/aliases",
                "virtual_alias_maps": f"hash:{tables}/virtual",
                "notify_classes": CLASSES, "error_notice_recipient": f"err@{DOMAIN}",
                "bounce_notice_recipient": f"bounce@{DOMAIN}", "smtpd_helo_required": "yes",
                "smtpd_sender_restrictions": "reject_non_fqdn_sender",
                "smtpd_relay_restrictions": "reject_unauth_destination"}


LONG = "FOO \x01\x1b" + "word " * 30 + "x" * 200
DIALOGUES = {
    "protocol and policy": ["HELO c", "FOO bar", "MAIL FROM:<x>", f"MAIL FROM:<{SENDER}>",
                            "RCPT TO:<x@nowhere.example>", "RSET", "VRFY", LONG, "QUIT"],
    "unknown": ["HELO c", f"MAIL FROM:<{SENDER}>", f"RCPT TO:<nobody@{ORIGIN}>", "QUIT"],
    "no helo": [f"MAIL FROM:<{SENDER}>", "QUIT"],
    "gone": ["HELO c", "FOO bar"],
    "forgiven": ["EHLO c", "FOO bar", f"MAIL FROM:<{SENDER}>", f"RCPT TO:<ok@{DOMAIN}>", "DATA",
                 "Subject: x\r\n\r\ntext\r\n.", "QUIT"],
    "nothing wrong": ["EHLO c", "NOOP", "RSET", "QUIT"],
}
ASKS = [f"RCPT TO:<many@{ORIGIN}> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;x+2Bmany@old.example",
        *(f"RCPT TO:<{to}> NOTIFY=SUCCESS"
          for to in (f"one@{ORIGIN}", f"list@{ORIGIN}", f"v1@{DOMAIN}", f"v2@{DOMAIN}",
                     f"v3@{DOMAIN}", f"v4@{DOMAIN}")),
        f"RCPT TO:<w1@{DOMAIN}> NOTIFY=NEVER"]


def talk(port, lines):
    with Connection(port, 20) as client:
        client.reply()
        for line in lines:
            client.send(line.encode() + b"\r\n")
            client.reply()


def letters(messages):
    """{subject: [(envelope recipients, body lines)]} of what came from the double-bounce address,
    with the name of the mail system and what differs on purpose made the same."""
    found = []
    for sender, recipients, content in messages:
        if sender != f"double-bounce@{ORIGIN}":
            continue
        mail = email.message_from_bytes(content)
        text = mail.get_payload().replace("Postfix", "ringmx")
        found.append((recipients, mail["Subject"].replace("Postfix", "ringmx"), mail["From"],
                      re.sub(r"\r?\n", "\n", text).strip("\n")))
    return sorted(found)


def rows(messages):
    """Of the reports of success: (recipient, as it was asked for, action, status), sorted."""
    found = []
    for sender, recipients, content in messages:
        if sender or recipients != [SENDER]:
            continue
        report = email.message_from_bytes(content)
        assert report["Subject"] == "Successful Mail Delivery Report", report["Subject"]
        _, status, original = report.get_payload()
        assert original.get_content_type() == "text/rfc822-headers"
        assert status.get_payload()[0]["Original-Envelope-Id"] == "id1"
        found += [tuple(r[f] for f in ("Final-Recipient", "Original-Recipient", "Action", "Status"))
                  for r in status.get_payload()[1:]]
    return sorted(found)


with Rig() as rig:
    pair = Pair(rig, 1)
    pair.start(Config())
    try:
        for name in ("postfix", "ringmx"):
            for dialogue in DIALOGUES.values():
                talk(pair.ports[name], dialogue)
            talk(pair.ports[name], ["EHLO c", f"MAIL FROM:<{SENDER}> RET=HDRS ENVID=id1", *ASKS,
                                    "DATA", "Subject: x\r\n\r\ntext\r\n.", "QUIT"])

        def same(what):
            one, other = (what(pair.sinks[name].messages) for name in ("postfix", "ringmx"))
            return one == other and one

        told = wait_for(lambda: len(letters(pair.sinks["postfix"].messages)) == 4 and
                        len(letters(pair.sinks["ringmx"].messages)) == 4, "four letters of each")
        ours, theirs = (letters(pair.sinks[n].messages) for n in ("ringmx", "postfix"))
        for one, other in zip(ours, theirs, strict=True):
            assert one == other, f"\n{one}\n{other}"
        assert sorted(r[0] for r, _, _, _ in ours) == [f"bounce@{DOMAIN}", *[f"err@{DOMAIN}"] * 3]
        wait_for(lambda: len(rows(pair.sinks["postfix"].messages)) >= 6 and same(rows),
                 "the same reports")
        actions = {row[0].split("; ")[1]: row[2] for row in rows(pair.sinks["ringmx"].messages)}
        assert actions == {f"many@{ORIGIN}": "expanded", f"one@{ORIGIN}": "expanded",
                           f"list@{ORIGIN}": "delivered", f"v1@{DOMAIN}": "expanded",
                           f"v2@{DOMAIN}": "expanded", f"v4@{DOMAIN}": "expanded"}, actions
    except AssertionError:
        for name in ("postfix", "ringmx"):
            print(f"---- {name}", letters(pair.sinks[name].messages),
                  rows(pair.sinks[name].messages), pair.log(name), sep="\n")
        raise
    finally:
        pair.stop()
