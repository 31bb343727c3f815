#!/usr/bin/env python3
"""Clients that stay in a transaction hold the tables that it began with, but only so many, and not
for ever: then their transactions go on with the present ones. Idle sessions hold nothing."""

import contextlib
import json

from rig import BIN, DOMAIN, RECIPIENT, running_mx, wait_for

with running_mx(ringmx_shards="2") as (rig, sink, mx):
    def status():
        done = rig.run(BIN / "mxq", "-c", rig.dir, "--status", "--json", check=True)
        return json.loads(done.stdout)

    def compile_with(*more):
        (rig.dir / "recipients").write_text("".join(f"{r} OK\n" for r in (RECIPIENT, *more)))
        rig.run(BIN / "mapc", "-c", rig.dir, f"hash:{rig.dir}/recipients", check=True)

    def accepts(client, recipient):
        client.say(f"MAIL FROM:<a@{DOMAIN}>", "250")
        reply = client.say(f"RCPT TO:<{recipient}>")
        client.say("RSET", "250")
        return reply.startswith("250")

    with contextlib.ExitStack() as stack:
        def client():
            made = stack.enter_context(mx.connect())
            made.say("EHLO client.example", "250")
            return made

        other, slow = client(), []
        idle = [client() for _ in range(5)]
        for one in idle:  # had a transaction once
            assert accepts(one, RECIPIENT)
        for number in range(3):  # each in a transaction with tables of its own
            slow.append(client())
            slow[-1].say(f"MAIL FROM:<a@{DOMAIN}>", "250")
            compile_with(f"n{number}@{DOMAIN}")
            wait_for(lambda n=number: accepts(other, f"n{n}@{DOMAIN}"), "the new table")
            assert status()["snapshots"] == number + 2, status()
        slow[0].say(f"RCPT TO:<n2@{DOMAIN}>", "550")  # of the tables that it began with
        slow[0].say(f"RCPT TO:<{RECIPIENT}>", "250")

        compile_with(f"late@{DOMAIN}")
        before = status()
        assert before["snapshots"] == 4 and before["publications"] == 4, before
        # The next publication waits for one of them, at most for a while.
        wait_for(lambda: mx.lines("transactions with old tables go on"), "patience at its end")
        wait_for(lambda: accepts(other, f"late@{DOMAIN}"), "the table that waited")
        wait_for(lambda: status()["snapshots"] <= 2, "old snapshots gone")
        slow[1].say(f"RCPT TO:<late@{DOMAIN}>", "550")  # moved to the newest at that moment
        slow[1].say(f"RCPT TO:<n2@{DOMAIN}>", "250")
        slow[0].say("DATA", "354")
        slow[0].say("Subject: slow\r\n\r\nbody\r\n.", "250")

        # One that ends its transaction lets go at once.
        for one in slow:
            one.say("RSET", "250")
        wait_for(lambda: status()["snapshots"] == 1, "one snapshot alive")
        for one in idle:
            assert accepts(one, f"late@{DOMAIN}")
    sink.wait_for_messages(1)
    assert mx.terminate() == 0
