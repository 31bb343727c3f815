#!/usr/bin/env python3
"""HUP: a new recipient table is in service for the next transaction, also of a session that was
open; a configuration that is refused leaves the old one in service and raises an alarm."""

import signal

from rig import DOMAIN, RECIPIENT, running_mx, wait_for

with running_mx() as (rig, sink, mx):
    settings = {"relayhost": f"[127.0.0.1]:{sink.port}"}
    new = f"new@{DOMAIN}"

    def hup(pattern):
        seen = len(mx.lines(pattern))
        mx.process.send_signal(signal.SIGHUP)
        wait_for(lambda: len(mx.lines(pattern)) > seen, pattern)

    def answer(client, recipient):
        client.say(f"MAIL FROM:<a@{DOMAIN}>", "250")
        reply = client.say(f"RCPT TO:<{recipient}>")
        client.say("RSET", "250")
        return reply[:3]

    with mx.connect() as client:
        client.say("EHLO client.example", "250")
        assert answer(client, new) == "550"
        rig.configure(recipients=(RECIPIENT, new), **settings)
        hup("reload: new configuration in service")
        wait_for(lambda: answer(client, new) == "250", "the new recipient")

        rig.configure(compile_maps=False, content_filter="x:y", **settings)
        hup("alarm reload raised")
        mx.said("content_filter")
        assert answer(client, new) == "250"

        (rig.dir / "recipients.phm").write_bytes(b"damaged")
        rig.configure(recipients=(RECIPIENT, new), compile_maps=False, **settings)
        hup("mapc hash:")
        assert answer(client, new) == "250"
        rig.configure(recipients=(RECIPIENT, new), **settings)
        hup("alarm reload cleared")

        # main.cf may name other tables; what is not compiled is refused.
        more = "user@more.test"
        tables = {"relay_domains": f"hash:{rig.dir}/domains, inline:{{more.test=x}}",
                  "relay_recipient_maps": f"hash:{rig.dir}/recipients, hash:{rig.dir}/more"}
        (rig.dir / "more").write_text(f"{more} OK\n")
        rig.configure(recipients=(RECIPIENT, new), compile_maps=False, **settings, **tables)
        hup("alarm reload raised")
        mx.said(f"hash:{rig.dir}/more: not compiled")
        assert answer(client, more) == "554"
        rig.configure(recipients=(RECIPIENT, new), **settings, **tables)
        hup("reload: new configuration in service after .* new tables: .*/more")
        wait_for(lambda: answer(client, more) == "250", "the table that was not named before")
    assert mx.terminate() == 0
