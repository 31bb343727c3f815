#!/usr/bin/env python3
"""smtpd_end_of_data_restrictions refuse a message: the next one in the same session gets its answer
too, and nothing is relayed."""

from rig import DOMAIN, RECIPIENT, running_mx

with running_mx(smtpd_end_of_data_restrictions="reject") as (rig, sink, mx):
    with mx.connect() as client:
        client.say("EHLO client.example", "250")
        for _ in range(3):
            client.say(f"MAIL FROM:<a@{DOMAIN}>", "250")
            client.say(f"RCPT TO:<{RECIPIENT}>", "250")
            client.say("DATA", "354")
            client.say("Subject: x\r\n\r\nbody\r\n.", "554 5.7.1")
            client.say("DATA", "503")
        client.say("QUIT", "221")
    assert mx.terminate() == 0
    assert sink.count() == 0
