#!/usr/bin/env python3
"""What must not keep mail: another next hop that is dead, a route that was changed meanwhile, a
backend that hangs up between two recipients, one that says its reply byte by byte, one that does
not answer QUIT, and one on this machine that has our name."""

import time

from backend import Backend, HangUp
from rig import BIN, DOMAIN, Rig, free_port, wait_for

SOON = {"minimal_backoff_time": "1s", "maximal_backoff_time": "1s"}


def send(mx, *recipients):
    with mx.smtp() as client:
        client.sendmail(f"sender@{DOMAIN}", list(recipients), b"Subject: x\r\n\r\nbody\r\n")


def another_next_hop_is_dead():
    """Both are down when the message comes; one stays so."""
    with Rig() as rig:
        dead, other = free_port(), free_port()
        (rig.dir / "transport").write_text(f"b@{DOMAIN} relay:[127.0.0.1]:{other}\n")
        rig.configure(recipients=[f"a@{DOMAIN}", f"b@{DOMAIN}"], relayhost=f"[127.0.0.1]:{dead}",
                      transport_maps=f"hash:{rig.dir}/transport", **SOON)
        mx = rig.ringmx()
        for who in "ab":  # each is known to be down
            send(mx, f"{who}@{DOMAIN}")
        wait_for(lambda: len(mx.lines("alarm next-hop-down.* raised")) == 2, "both down")
        send(mx, f"a@{DOMAIN}", f"b@{DOMAIN}")
        sink = rig.mxsink(port=other)
        sink.wait_for_messages(2)
        assert mx.counters()["queued"] == 2  # for a
        assert mx.terminate() == 0


def another_next_hop_goes_down():
    """It was up when the message was given to it."""
    with Rig() as rig:
        sink = rig.mxsink()
        (rig.dir / "transport").write_text(f"b@{DOMAIN} relay:[127.0.0.1]:{sink.port}\n")
        rig.configure(recipients=[f"a@{DOMAIN}", f"b@{DOMAIN}"],
                      relayhost=f"[127.0.0.1]:{free_port()}", ringmx_backend_check_interval=0,
                      transport_maps=f"hash:{rig.dir}/transport", **SOON)
        mx = rig.ringmx()
        send(mx, f"a@{DOMAIN}", f"b@{DOMAIN}")
        sink.wait_for_messages(1)
        mx.said("alarm next-hop-down raised")
        assert mx.terminate() == 0


def a_changed_route():
    """New transport_maps act on mail that waits for a next hop that will never be up."""
    with Rig() as rig:
        transport = rig.dir / "transport"
        transport.write_text(f"nobody@{DOMAIN} relay:[127.0.0.1]:9\n")
        rig.configure(relayhost=f"[127.0.0.1]:{free_port()}",
                      transport_maps=f"hash:{transport}", **SOON)
        mx = rig.ringmx()
        assert rig.mxload("-s", "2", "-m", "50")["accepted"] == 50
        wait_for(lambda: mx.lines("alarm next-hop-down raised"), "the dead end is known")
        sink = rig.mxsink()
        transport.write_text(f"{DOMAIN} relay:[127.0.0.1]:{sink.port}\n")
        rig.run(BIN / "mapc", "-c", rig.dir, f"hash:{transport}", check=True)
        sink.wait_for_messages(50)
        wait_for(lambda: mx.counters()["queued"] == 0, "an empty queue")
        assert mx.terminate() == 0


def a_backend_that_hangs_up_between_recipients():
    """One recipient a transaction, one message a connection: all go out in one attempt."""
    with Rig() as rig, Backend(one_message=True) as backend:
        recipients = [f"r{i}@{DOMAIN}" for i in range(6)]
        rig.configure(recipients=recipients, relayhost=f"[127.0.0.1]:{backend.port}",
                      relay_destination_recipient_limit=1)
        mx = rig.ringmx()
        send(mx, *recipients)
        wait_for(lambda: len(backend.messages) == 6, "six transactions")
        wait_for(lambda: mx.counters()["queued"] == 0, "an empty queue")
        assert not mx.lines("status=deferred")
        assert mx.terminate() == 0


def a_refusal_ends_the_attempt():
    """… but not for ever: "later" to one of them, and the connection closed, is a deferral."""
    def answers(stage, argument):
        if stage == "RCPT" and "r0@" in argument:
            return "450 4.2.1 later"
        if stage == "MAIL" and asked:
            raise HangUp
        if stage == "MAIL":
            asked.append(1)
        return None

    asked = []
    with Rig() as rig, Backend(answers, extensions=("8BITMIME",)) as backend:
        recipients = [f"r{i}@{DOMAIN}" for i in range(2)]
        rig.configure(recipients=recipients, relayhost=f"[127.0.0.1]:{backend.port}",
                      relay_destination_recipient_limit=1)
        mx = rig.ringmx()
        send(mx, *recipients)
        wait_for(lambda: len(mx.lines("status=deferred")) == 2, "both wait")
        assert backend.accepted <= 3, backend.accepted
        assert mx.terminate() == 0


def a_reply_that_drips():
    """Bytes are no progress; whole replies are."""
    def drips(handler):
        handler.say("220 backend")
        handler.rfile.readline()
        handler.say("250 backend")
        handler.rfile.readline()
        for _ in range(200):
            handler.connection.sendall(b"2")
            time.sleep(0.1)  # what is tested: bytes that come, and no reply

    with Rig() as rig, Backend() as backend:
        backend.scripts = [drips]
        rig.configure(relayhost=f"[127.0.0.1]:{backend.port}", smtp_mail_timeout="2s",
                      ringmx_backend_check_interval=0, **SOON)
        mx = rig.ringmx()
        begun = time.monotonic()
        send(mx, f"user@{DOMAIN}")
        wait_for(lambda: mx.lines("status=deferred .*(timed out|malformed)"), "its end", 15)
        assert time.monotonic() - begun < 10
        wait_for(lambda: len(backend.messages) == 1, "the next attempt")
        assert mx.terminate() == 0


def quit_without_an_answer():
    """The connection is given back at once: it is the only one that there may be."""
    def no_answer(handler):
        handler.say("220 backend")
        while line := handler.rfile.readline():
            verb = line[:4].upper()
            if verb == b"QUIT":
                handler.connection.settimeout(30)
                handler.rfile.readline()  # says nothing and waits
                return
            if verb == b"DATA":
                handler.say("354 go on")
                while handler.rfile.readline() not in (b".\r\n", b""):
                    pass
                taken.append(1)
            handler.say("250 2.0.0 Ok")

    taken = []
    with Rig() as rig, Backend() as backend:
        backend.scripts = [no_answer] * 6
        rig.configure(relayhost=f"[127.0.0.1]:{backend.port}", smtp_connection_reuse_count_limit=1,
                      relay_destination_concurrency_limit=1, ringmx_backend_check_interval=0)
        mx = rig.ringmx()
        for _ in range(5):
            send(mx, f"user@{DOMAIN}")
        wait_for(lambda: len(taken) == 5, "five messages", 15)
        assert mx.terminate() == 0


def our_name_on_another_port():
    """Only on port 25 a server with our name is ourselves, as in Postfix."""
    def named(stage, argument):
        return "250 mx.example.test" if stage == "EHLO" else None

    with Rig() as rig, Backend(named) as backend:
        rig.configure(relayhost=f"[127.0.0.1]:{backend.port}")
        mx = rig.ringmx()
        send(mx, f"user@{DOMAIN}")
        wait_for(lambda: len(backend.messages) == 1, "the message")
        assert mx.terminate() == 0


another_next_hop_is_dead()
another_next_hop_goes_down()
a_changed_route()
a_backend_that_hangs_up_between_recipients()
a_refusal_ends_the_attempt()
a_reply_that_drips()
quit_without_an_answer()
our_name_on_another_port()
