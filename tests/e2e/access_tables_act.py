#!/usr/bin/env python3
"""What access tables and aliases do to real mail: PREPEND, BCC, REDIRECT, DISCARD, sleep, aliases
and virtual aliases, with one shard and with four."""

import time

from rig import DOMAIN, Rig

SENDERS = {
    f"prepend@{DOMAIN}": "PREPEND X-Checked: yes",
    f"bcc@{DOMAIN}": f"BCC archive@{DOMAIN}",
    f"redirect@{DOMAIN}": f"REDIRECT caught@{DOMAIN}",
    f"discard@{DOMAIN}": "DISCARD",
    f"slow@{DOMAIN}": "slow",
    f"warned@{DOMAIN}": "watched",
    f"refused@{DOMAIN}": "REJECT 5.7.9 not you",
}
ALIASES = f"""postmaster: root
root: admin@{DOMAIN}, "two words"@{DOMAIN}
team: ann@{DOMAIN}, bob@{DOMAIN}, ann@{DOMAIN}
loop: loop
"""

with Rig() as rig:
    (rig.dir / "senders").write_text("".join(f"{k} {v}\n" for k, v in SENDERS.items()))
    (rig.dir / "aliases").write_text(ALIASES)
    (rig.dir / "virtual").write_text(f"info@virtual.example team@mx.{DOMAIN}, carl@{DOMAIN}\n"
                                     "@virtual.example\tnobody@foreign.example\n")
    sink = rig.mxsink()
    for shards in (1, 4):
        rig.configure(
            recipients=[f"{name}@{DOMAIN}" for name in ("ann", "bob", "user")],
            relayhost=f"[127.0.0.1]:{sink.port}", ringmx_shards=shards,
            ringmx_segment_size=8 << 20, mydestination=f"mx.{DOMAIN}",
            alias_maps=f"hash:{rig.dir}/aliases", recipient_delimiter="+",
            virtual_alias_domains="virtual.example", virtual_alias_maps=f"hash:{rig.dir}/virtual",
            smtpd_restriction_classes="slow, watched", slow="sleep 2",
            watched="warn_if_reject reject",
            smtpd_sender_restrictions=f"check_sender_access hash:{rig.dir}/senders")
        mx = rig.ringmx()
        before = sink.count()

        def send(sender, *recipients):
            with mx.connect() as client:
                client.say("EHLO client.example", "250")
                client.say(f"MAIL FROM:<{sender}@{DOMAIN}>", "250")
                for recipient in recipients:
                    client.say(f"RCPT TO:<{recipient}>", "250")
                client.say("DATA", "354")
                client.say("Subject: x\r\n\r\nbody\r\n.", "250 2.0.0 Ok: queued as")

        def refused(sender, recipient, wanted):
            with mx.connect() as client:
                client.say("EHLO client.example", "250")
                client.say(f"MAIL FROM:<{sender}@{DOMAIN}>", "250")
                client.say(f"RCPT TO:<{recipient}>", wanted)

        cases = {
            "prepend": ([f"user@{DOMAIN}"], [f"user@{DOMAIN}"]),
            "bcc": ([f"user@{DOMAIN}"], [f"user@{DOMAIN}", f"archive@{DOMAIN}"]),
            "redirect": ([f"ann@{DOMAIN}", f"bob@{DOMAIN}"], [f"caught@{DOMAIN}"]),
            "warned": ([f"user@{DOMAIN}"], [f"user@{DOMAIN}"]),
            "alias": ([f"Team+x@mx.{DOMAIN}", f"user@{DOMAIN}"],
                      [f"ann@{DOMAIN}", f"bob@{DOMAIN}", f"user@{DOMAIN}"]),
            "virtual": (["info@virtual.example"],
                        [f"ann@{DOMAIN}", f"bob@{DOMAIN}", f"carl@{DOMAIN}"]),
            "catchall": (["any@virtual.example"], ["nobody@foreign.example"]),
            "postmaster": (["postmaster"], [f"admin@{DOMAIN}", f"\"two words\"@{DOMAIN}"]),
        }
        for sender, (named, _) in cases.items():
            send(sender, *named)
        send("discard", f"user@{DOMAIN}", "anybody@foreign.example")
        asked = time.monotonic()
        send("slow", f"user@{DOMAIN}")
        assert time.monotonic() - asked >= 2
        refused("refused", f"user@{DOMAIN}",
                f"554 5.7.9 <refused@{DOMAIN}>: Sender address rejected: not you")
        refused("x", f"nobody@mx.{DOMAIN}", "550 5.1.1")
        refused("x", f"loop@mx.{DOMAIN}", "451 4.3.0")
        got = {}
        for message in sink.wait_for_messages(before + len(cases) + 1)[before:]:
            got.setdefault(message["from"].split("@")[0], []).append(message)
        for sender, (_, wanted) in cases.items():
            told = sorted(sum((m["to"] for m in got[sender]), []))
            assert told == sorted(wanted), (sender, told)
        assert "discard" not in got
        log = mx.text()
        assert f"discard: RCPT from unknown[127.0.0.1]: <discard@{DOMAIN}>: Sender address" in log
        assert "reject_warning: RCPT from unknown[127.0.0.1]: 554 5.7.1" in log
        assert mx.terminate() == 0
    print("8 ways to whom a message goes, DISCARD, sleep and refusals, with 1 and 4 shards")

with Rig() as rig:  # what PREPEND wrote, as it is stored
    (rig.dir / "senders").write_text(f"prepend@{DOMAIN} PREPEND X-Checked: yes\n")
    sink = rig.mxsink("--store", "store")
    rig.configure(relayhost=f"[127.0.0.1]:{sink.port}", ringmx_segment_size=8 << 20,
                  recipients=[f"user@{DOMAIN}"],
                  smtpd_sender_restrictions=f"check_sender_access hash:{rig.dir}/senders")
    mx = rig.ringmx()
    with mx.smtp() as client:
        client.sendmail(f"prepend@{DOMAIN}", [f"user@{DOMAIN}"], "Subject: x\r\n\r\nbody\r\n")
    sink.wait_for_messages(1)
    stored = next(path for path in (rig.dir / "store").rglob("*") if path.is_file()).read_text()
    assert "X-Checked: yes\nReceived: from" in stored.replace("\r", ""), stored
    assert mx.terminate() == 0
