#!/usr/bin/env python3
"""HUP: parameters that need a restart are named, each once with file and line; a bad file is
refused with its place and an alarm, and what runs goes on; a transaction ends under the lists that
it began with. With 1 and with 4 shards."""

import signal

from rig import DOMAIN, RECIPIENT, running_mx, wait_for

OTHER = f"other@{DOMAIN}"


def check(shards):
    own = {"ringmx_shards": shards, "ringmx_segment_size": 4 << 20}
    with running_mx(recipients=(RECIPIENT, OTHER), **own) as (rig, sink, mx):
        same = own | {"relayhost": f"[127.0.0.1]:{sink.port}"}

        def hup(pattern):
            seen = len(mx.lines(pattern))
            mx.process.send_signal(signal.SIGHUP)
            wait_for(lambda: len(mx.lines(pattern)) > seen, pattern)

        def line_of(name):
            lines = rig.config.read_text().split("\n")
            return next(i for i, line in enumerate(lines, 1) if line.startswith(name + " "))

        hup("reload: new configuration in service")
        assert not mx.lines("takes effect at a restart"), mx.text()

        # What was read at the start stays; all else is new.
        changed = {"ringmx_listen": f"127.0.0.1:{mx.port}, 127.0.0.1:0",
                   "ringmx_shards": shards + 1, "ringmx_max_sessions": 500,
                   "queue_directory": rig.dir / "elsewhere", "mail_owner": "daemon",
                   "ringmx_body_cache": 8 << 20, "ringmx_sandbox": "no"}
        changed_too = {"disable_vrfy_command": "yes"}
        rig.configure(recipients=(RECIPIENT, OTHER), **same | changed | changed_too)
        hup("reload: new configuration in service")
        said = mx.lines("takes effect at a restart")
        for name in changed:
            place = f"{rig.config}:{line_of(name)}: warning: {name}: "
            assert sum(place in line for line in said) == 1, (place, said)
        assert len(said) == len(changed), said
        with mx.connect() as client:
            client.say("EHLO client.example", "250")
            client.say("VRFY x", "502 5.5.1")
            client.say(f"MAIL FROM:<a@{DOMAIN}>", "250")
            client.say(f"RCPT TO:<{OTHER}>", "250")

            # The transaction keeps what it began with; the next one does not.
            rig.configure(recipients=(RECIPIENT,), **same, message_size_limit=5000)
            hup("reload: new configuration in service")
            client.say(f"RCPT TO:<{OTHER}>", "250")
            client.say("DATA", "354")
            client.say("Subject: large\r\n\r\n" + 100 * ("x" * 78 + "\r\n") + ".", "250 2.0.0")
            client.say(f"MAIL FROM:<a@{DOMAIN}>", "250")
            client.say(f"RCPT TO:<{OTHER}>", "550 5.1.1")
            client.say("RSET", "250")
            sink.wait_for_messages(1)

            # Refused: as it was, with the reason.
            rig.configure(recipients=(RECIPIENT,), compile_maps=False, **same,
                          smtpd_hard_error_limit="many")
            bad = line_of("smtpd_hard_error_limit")
            hup("alarm reload raised")
            alarm = mx.lines("alarm reload raised")[-1]
            assert f"{rig.config}:{bad}: smtpd_hard_error_limit" in alarm, alarm
            rig.config.unlink()
            hup("No such file")
            with mx.connect() as other:
                other.say("EHLO client.example", "250")
                other.say(f"MAIL FROM:<a@{DOMAIN}> SIZE=5001", "552 5.3.4")
                other.say(f"MAIL FROM:<a@{DOMAIN}>", "250")
            rig.configure(recipients=(RECIPIENT,), **same)
            hup("alarm reload cleared")
        assert mx.terminate() == 0


for shards in (1, 4):
    check(shards)
