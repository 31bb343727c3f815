#!/usr/bin/env python3
"""smtpd_client_*_limit: connections at once and in a window, messages, recipients; by address or by
prefix; who is excepted; over all shards together. Then debug_peer_list."""

import contextlib
import socket
import time

from rig import DOMAIN, RECIPIENT, Dialogue, Rig, wait_for


class From(Dialogue):
    """A dialogue from an address of one's own; `first` is the banner or what stands for it."""

    def __init__(self, source, port):
        self.socket = socket.create_connection(("127.0.0.1", port), 60, source_address=(source, 0))
        self.file = self.socket.makefile("rb")
        self.first = self.reply()


@contextlib.contextmanager
def mx_with(shards, **parameters):
    with Rig() as rig:
        rig.configure(relayhost="[127.0.0.1]:9", ringmx_shards=shards,
                      ringmx_segment_size=4 << 20, mynetworks="127.0.0.9", **parameters)
        yield rig, rig.ringmx()


def connections(shards):
    with mx_with(shards, smtpd_client_connection_count_limit=3) as (rig, mx):
        open_ones = [From("127.0.0.2", rig.port) for _ in range(3)]
        assert all(one.first.startswith("220 ") for one in open_ones)
        with From("127.0.0.2", rig.port) as fourth:
            assert fourth.first == f"421 4.7.0 mx.{DOMAIN} Error: too many connections from " \
                "127.0.0.2", fourth.first
        wait_for(lambda: mx.lines(r"warning: Connection concurrency limit exceeded: 4 from "
                                  r"unknown\[127\.0\.0\.2\] for service smtp"), "a line in the log")
        with From("127.0.0.3", rig.port) as other:
            assert other.first.startswith("220 ")
        excepted = [From("127.0.0.9", rig.port) for _ in range(6)]
        assert all(one.first.startswith("220 ") for one in excepted)
        open_ones[0].say("QUIT", "221")  # its place is free again

        def again():
            with From("127.0.0.2", rig.port) as one:
                return one.first.startswith("220 ")
        wait_for(again, "a place for the client")
        for one in open_ones + excepted:
            one.__exit__()


def rates(shards):
    with mx_with(shards, smtpd_client_connection_rate_limit=4, anvil_rate_time_unit="2s",
                 smtpd_client_message_rate_limit=2, smtpd_client_recipient_rate_limit=3) \
            as (rig, mx):
        with From("127.0.0.4", rig.port) as client:
            client.say("EHLO client.test", "250")
            for _ in range(2):
                client.say(f"MAIL FROM:<a@{DOMAIN}>", "250")
                client.say("RSET", "250")
            refusal = client.say(f"MAIL FROM:<a@{DOMAIN}>", "450 4.7.1 ")
            assert refusal == "450 4.7.1 Error: too much mail from 127.0.0.4", refusal
            wait_for(lambda: mx.lines("Message delivery request rate limit exceeded: 3 "), "log")
        with From("127.0.0.5", rig.port) as client:
            client.say("EHLO client.test", "250")
            client.say(f"MAIL FROM:<a@{DOMAIN}>", "250")
            for _ in range(3):
                client.say(f"RCPT TO:<{RECIPIENT}>", "250")
            refusal = client.say(f"RCPT TO:<{RECIPIENT}>", "450 4.7.1 ")
            assert refusal == "450 4.7.1 Error: too many recipients from 127.0.0.5", refusal
        firsts = []
        for _ in range(5):
            with From("127.0.0.6", rig.port) as client:
                firsts.append(client.first[:4])
        assert firsts == ["220 "] * 4 + ["421 "], firsts
        begun = time.monotonic()

        def window_over():
            with From("127.0.0.6", rig.port) as client:
                return client.first.startswith("220 ")
        wait_for(window_over, "the next window")
        assert time.monotonic() - begun > 0.5


def prefixes():
    with mx_with(1, smtpd_client_connection_count_limit=2, smtpd_client_ipv4_prefix_length=24,
                 smtpd_client_event_limit_exceptions="") as (rig, _mx), \
            From("127.0.7.1", rig.port) as one, From("127.0.7.2", rig.port) as two, \
            From("127.0.7.3", rig.port) as three:
        assert [c.first[:4] for c in (one, two, three)] == ["220 ", "220 ", "421 "]


def debug():
    with mx_with(1, debug_peer_list="127.0.0.8") as (rig, mx):
        with From("127.0.0.8", rig.port) as client:
            client.say("EHLO client.test", "250")
            client.say("QUIT", "221")
        with From("127.0.0.2", rig.port) as client:
            client.say("EHLO other.test", "250")
        wait_for(lambda: mx.lines(r"> unknown\[127\.0\.0\.8\]: 221 2\.0\.0 Bye"), "the dialogue")
        assert mx.lines(r"< unknown\[127\.0\.0\.8\]: EHLO client\.test"), mx.text()
        assert not mx.lines("EHLO other"), mx.text()


for count in (1, 4):
    connections(count)
    rates(count)
prefixes()
debug()
