#!/usr/bin/env python3
"""swaks sees the replies it expects and its message is relayed; a stranger's recipient is
refused."""

from rig import DOMAIN, RECIPIENT, need_program, running_mx

with running_mx() as (rig, sink, mx):
    swaks = [need_program("swaks"), "--server", "127.0.0.1", "--port", mx.port,
             "--helo", "client.test"]
    good = rig.run(*swaks, "--from", f"sender@{DOMAIN}", "--to", RECIPIENT)
    assert good.returncode == 0, good.stdout
    assert f"<-  220 mx.{DOMAIN} ESMTP" in good.stdout, good.stdout
    assert "<-  354 End data with <CR><LF>.<CR><LF>" in good.stdout, good.stdout
    assert "queued as" in good.stdout, good.stdout
    [message] = sink.wait_for_messages(1)
    assert message["from"] == f"sender@{DOMAIN}" and message["to"] == [RECIPIENT], message

    piped = rig.run(*swaks, "--pipeline", "--from", "<>", "--to", RECIPIENT)
    assert piped.returncode == 0, piped.stdout
    assert sink.wait_for_messages(2)[1]["from"] == ""

    refused = rig.run(*swaks, "--from", f"sender@{DOMAIN}", "--to", "user@elsewhere.test")
    assert refused.returncode == 24, refused.stdout  # swaks: no recipient accepted
    assert "554 5.7.1 <user@elsewhere.test>: Relay access denied" in refused.stdout, refused.stdout
    unknown = rig.run(*swaks, "--from", f"sender@{DOMAIN}", "--to", f"nobody@{DOMAIN}")
    assert unknown.returncode == 24, unknown.stdout
    assert "550 5.1.1" in unknown.stdout, unknown.stdout
    assert len(sink.messages()) == 2
