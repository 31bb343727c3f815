#!/usr/bin/env python3
"""The same configuration and the same dialogues, for ringmx and for the Postfix that is installed:
the same replies, word by word. Arguments: number of dialogues (default: 400), first seed (default:
1).

Configurations, tables and dialogues come from the seed; a difference is printed with all that is
needed to see it again. What differs on purpose is in EXPECTED, each with its reason in
proto/README.md."""

import concurrent.futures
import os
import pathlib
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile

from rig import BIN, Rig, free_port, skip, wait_for

DIALOGUES_A_CONFIGURATION = 100
HOST = "mx.example.org"

SENDERS = ["a@client.example", "b@relay.tld", "", "foo", "foo@bar", "x+ext@client.example",
           "A@Client.Example", "unknown@relay.tld", "\"q q\"@client.example", "u@[1.2.3.4]",
           "list-request@client.example", "root", "alias@mx.example.org", "nobody@mx.example.org",
           "v@virtual.tld", "w@virtual.tld"]
RECIPIENTS = ["user@relay.tld", "user+ext@relay.tld", "USER@RELAY.TLD", "unknown@relay.tld",
              "user@sub.relay.tld", "user@foreign.tld", "bar@host", "postmaster",
              "postmaster@mx.example.org", "Postmaster@relay.tld", "alias@mx.example.org",
              "alias+x@mx.example.org", "nobody@mx.example.org", "v@virtual.tld", "w@virtual.tld",
              "user%foreign.tld@relay.tld", "user%relay.tld@mx.example.org", "foreign.tld!user",
              "user@foreign.tld@relay.tld", "@a.tld,@b.tld:user@relay.tld", "user@[127.0.0.1]",
              "user@[10.9.8.7]", "\"user\"@relay.tld", "\"us er\"@relay.tld", "any@catch.tld",
              "user@relay.tld.", "root", "mailer-daemon@mx.example.org", "alias",
              "user@mx.example.org@relay.tld", "a" * 70 + "@relay.tld"]
HELOS = ["mail.client.example", "localhost", "???", "[127.0.0.1]", "[1.2.3", "1.2.3.4", "a.b.",
         "a..b", "-x.y", "under_score.example", "[IPv6:::1]", "x" * 64 + ".example"]
RESULTS = ["OK", "RELAY", "1234", "550", "DUNNO", "REJECT", "REJECT not you", "reject 5.1.1 gone",
           "DEFER", "DEFER 4.2.2 full", "450 later", "550 5.1.2 no such", "421 4.3.2 busy",
           "554 x", "DEFER_IF_PERMIT", "DEFER_IF_PERMIT 4.1.8 dns", "DEFER_IF_REJECT",
           "DEFER_IF_REJECT soft", "WARN look", "INFO hm", "PREPEND X-A: b", "DISCARD",
           "reject_unauth_destination", "strict", "loose", "permit_mynetworks, reject", "bogus",
           "BCC x@relay.tld", "hash:/x"]
PLAIN = ["permit_mynetworks", "permit", "reject", "defer", "defer_if_permit", "defer_if_reject",
         "reject_non_fqdn_sender", "reject_non_fqdn_recipient", "reject_invalid_helo_hostname",
         "reject_non_fqdn_helo_hostname", "reject_unauth_destination", "defer_unauth_destination",
         "reject_unlisted_recipient", "reject_unlisted_sender", "reject_unauth_pipelining",
         "reject_multi_recipient_bounce", "reject_plaintext_session", "permit_auth_destination",
         "permit_inet_interfaces", "permit_tls_clientcerts", "permit_sasl_authenticated",
         "check_recipient_maps", "reject_invalid_hostname", "strict", "loose"]
KEYS = {
    "check_client_access": ["unknown", "127.0.0.1", "127.0", "127", "client.example"],
    "check_helo_access": ["mail.client.example", "client.example", ".client.example", "example",
                          "localhost", "[127.0.0.1]", "1.2.3.4", "1.2"],
    "check_sender_access": ["a@client.example", "client.example", "a@", "x@", "<>", "relay.tld",
                            "example", "foo", "foo@", "bar", "mx.example.org", ".example"],
    "check_recipient_access": ["user@relay.tld", "user+ext@relay.tld", "relay.tld", "user@",
                               "tld", ".relay.tld", "foreign.tld", "mx.example.org", "host"],
}
# Parameters of the dialogue: what they may be.
CHOICES = {
    "smtpd_delay_reject": ["yes", "yes", "no"],
    "smtpd_helo_required": ["yes", "no"],
    "smtpd_relay_before_recipient_restrictions": ["yes", "no"],
    "smtpd_reject_unlisted_recipient": ["yes", "yes", "no"],
    "smtpd_reject_unlisted_sender": ["no", "yes"],
    "show_user_unknown_table_name": ["yes", "no"],
    "recipient_delimiter": ["+", "", "+-"],
    "disable_vrfy_command": ["yes", "no"],
    "smtpd_recipient_limit": ["1000", "3"],
    "smtpd_hard_error_limit": ["20", "4"],
    "smtpd_junk_command_limit": ["100", "2"],
    "message_size_limit": ["10240000", "100000"],
    "strict_rfc821_envelopes": ["no", "no", "yes"],
    "parent_domain_matches_subdomains": ["", "smtpd_access_maps, relay_domains", "relay_domains"],
    "access_map_reject_code": ["554", "550"],
    "soft_bounce": ["no", "no", "no", "yes"],
    "append_dot_mydomain": ["no", "yes"],
    "append_at_myorigin": ["yes", "yes", "no"],
    "swap_bangpath": ["yes", "no"],
    "allow_percent_hack": ["yes", "no"],
    "allow_untrusted_routing": ["no", "yes"],
    "smtpd_null_access_lookup_key": ["<>", "a@client.example"],
    "compatibility_level": ["3.6", "3.6", "0"],
}

# (what the reply of Postfix looks like, what ours looks like): see proto/README.md.
EXPECTED = [
    # A command line over line_length_limit is cut and read all the same.
    ("[45]00 [45].5.2 Error: command not recognized", "[45]00 [45].5.2 .* Error: command too long"),
    ("503 5.7.0 Error: access denied for .*", "[45]00 [45].5.2 .* Error: command too long"),
    # Postfix looks whether the sender exists once a transaction; its next recipients pass.
    ("(250|[45]..) .*", "[45]50 [45].1.[07] <.*>: Sender address rejected: User unknown.*"),
    # smtpd_reject_unlisted_recipient = no: what has no destination would be bounced.
    ("250 2.1.5 Ok", "[45]50 [45].1.1 <.*>: Recipient address rejected: User unknown.*"),
]


def table(rng, check):
    keys = rng.sample(KEYS[check], rng.randrange(1, 4))
    entries = ("{" + f"{key} = {rng.choice(RESULTS)}" + "}" for key in keys)
    return "inline:{" + ", ".join(entries) + "}"


def restrictions(rng, most, bare):
    out = []
    for _ in range(rng.randrange(most + 1)):
        if rng.random() < 0.1:
            out.append("warn_if_reject")
        if rng.random() < 0.4:
            check = rng.choice(list(KEYS))
            out.append(f"{check} {table(rng, check)}")
        elif bare and rng.random() < 0.05:
            out.append(table(rng, bare))
        else:
            out.append(rng.choice(PLAIN))
    return ", ".join(out)


def configuration(rng, folder):
    settings = {name: rng.choice(values) for name, values in CHOICES.items()}
    settings |= {
        "myhostname": HOST, "mydomain": "example.org", "myorigin": rng.choice(["$myhostname",
                                                                             "relay.tld"]),
        "mydestination": "$myhostname",
        "mynetworks": rng.choice(["127.0.0.0/8", "10.0.0.0/8", "!127.0.0.1, 127.0.0.0/8"]),
        "relay_domains": "relay.tld, catch.tld",
        "relay_recipient_maps": "inline:{{user@relay.tld=x}, {b@relay.tld=x}, {@catch.tld=x}, "
                                "{x@relay.tld=x}, {postmaster@relay.tld=x}}",
        "virtual_alias_domains": "virtual.tld",
        "virtual_alias_maps": "inline:{{v@virtual.tld=user@relay.tld}}",
        "alias_maps": f"hash:{folder}/aliases", "local_recipient_maps": "$alias_maps",
        "smtpd_error_sleep_time": "0", "mail_name": "Postfix",
        "smtpd_banner": "$myhostname ESMTP test", "smtputf8_enable": "no",
        "smtpd_forbid_unauth_pipelining": "no", "inet_interfaces": "127.0.0.1",
        "smtpd_discard_ehlo_keywords": "chunking, dsn, etrn",
        "smtpd_restriction_classes": "strict, loose",
        "strict": "reject_non_fqdn_sender, check_sender_access "
                  + table(rng, "check_sender_access"),
        "loose": "permit_mynetworks",
        "smtpd_client_restrictions": restrictions(rng, 2, "check_client_access"),
        "smtpd_helo_restrictions": restrictions(rng, 2, "check_helo_access"),
        "smtpd_sender_restrictions": restrictions(rng, 4, "check_sender_access"),
        "smtpd_relay_restrictions": rng.choice(
            ["", "permit_mynetworks, defer_unauth_destination", "reject_unauth_destination"]),
        "smtpd_recipient_restrictions": rng.choice(
            ["reject_unauth_destination", "reject_unauth_destination, permit",
             "permit_mynetworks, reject_unauth_destination, "
             + (restrictions(rng, 3, "check_recipient_access") or "permit")]),
        "smtpd_data_restrictions": restrictions(rng, 2, None),
        "smtpd_end_of_data_restrictions": restrictions(rng, 1, None),
    }
    return settings


def dialogue(rng):
    """Groups of lines: each line waits for its reply; a dialogue without an end is cut off."""
    lines = []

    def greet():
        return f"{rng.choice(['EHLO', 'EHLO', 'HELO', 'ehlo'])} {rng.choice(HELOS)}"

    def sender():
        address = rng.choice(SENDERS)
        form = rng.choice(["<{}>"] * 6 + ["{}", " <{}>", "<{}> "]) if address else "<{}>"
        option = rng.choice([""] * 6 + [" SIZE=1000", " SIZE=99999999", " BODY=8BITMIME",
                                        " BODY=X", " SIZE=x", " FOO=bar", " SIZE=100001"])
        return f"MAIL FROM:{form.format(address)}{option}"

    def recipient():
        form = rng.choice(["<{}>"] * 8 + ["{}", " <{}>"])
        return f"RCPT TO:{form.format(rng.choice(RECIPIENTS))}{rng.choice([''] * 9 + [' FOO=bar'])}"

    if rng.random() < 0.9:
        lines.append(greet())
    for _ in range(rng.randrange(1, 4)):
        if rng.random() < 0.93:
            lines.append(sender())
        lines += [recipient() for _ in range(rng.randrange(0, 5))]
        if rng.random() < 0.2:
            lines.append(rng.choice([
                "NOOP", "NOOP x", "RSET", "RSET x", "VRFY user@relay.tld", "VRFY", "VRFY foo",
                "VRFY unknown@relay.tld", "TURN", "EXPN x", "BOGUS", "", "MAIL", "MAIL FROM",
                "MAIL FROM:", "MAIL FROM:<", "MAIL FROM:a b", "RCPT", "RCPT TO:<>", "RCPT TO:",
                "RCPT TO: <@>", "DATA x", "EHLO", "HELO", "AUTH PLAIN x", "STARTTLS", "STARTTLS x",
                "MAIL FROM:<a@b> SIZE=", "QUIT x", "Subject: hello", "GET / HTTP/1.0",
                "x" * 3000, "MAIL FROM:<a@-b.c>", "RCPT TO:<a@b..c>", "RCPT TO:<\"a@b>", greet(),
                sender(), recipient()]))
        if rng.random() < 0.7:
            lines.append("DATA")
    lines.append("QUIT")
    return lines


def talk(port, lines):
    replies = []
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=60) as s, s.makefile("rb") as f:

            def reply():
                text = []
                while line := f.readline():
                    text.append(line.decode("latin-1").rstrip("\r\n"))
                    if line[3:4] != b"-":
                        break
                replies.append("\n".join(text))
                return replies[-1]

            reply()
            for line in lines:
                s.sendall(line.encode("latin-1") + b"\r\n")
                if not reply():
                    break
                if "exceeds fixed limit" in replies[-1]:  # Postfix remembers the SIZE=
                    s.sendall(b"RSET\r\n")
                    if not reply():
                        break
                if replies[-1].startswith("354"):
                    s.sendall(b"Subject: x\r\n\r\nbody\r\n.\r\n")
                    if not reply():
                        break
                    if not replies[-1].startswith("250"):  # Postfix goes on with the transaction
                        s.sendall(b"RSET\r\n")
                        if not reply():
                            break
    except ConnectionError:
        replies.append("")
    return replies


def normal(reply):
    reply = re.sub(r"queued as \w+", "queued as ID", reply)
    return reply.replace("<user@relay.tld.>", "<user@relay.tld>")  # the dot is no part of it


class Postfix:
    """An instance of its own: smtpd without name look-ups, mail that goes nowhere."""

    def __init__(self, folder, settings):
        self.dir = folder / "postfix"
        shutil.rmtree(self.dir, ignore_errors=True)
        for name in ("etc", "queue", "data"):
            (self.dir / name).mkdir(parents=True)
        self.port = free_port()
        shutil.chown(self.dir / "data", "postfix")
        main = settings | {"queue_directory": self.dir / "queue", "default_transport": "hold",
                           "data_directory": self.dir / "data", "relay_transport": "hold",
                           "maillog_file": "/dev/stdout", "smtpd_peername_lookup": "no",
                           "local_transport": "hold", "in_flow_delay": "0",
                           "defer_transports": "hold, smtp, relay, local",
                           "import_environment": "MAIL_CONFIG"}
        (self.dir / "etc/main.cf").write_text("".join(f"{k} = {v}\n" for k, v in main.items()))
        services = ["cleanup unix n - n - 0 cleanup", "qmgr unix n - n 300 1 qmgr",
                    "rewrite unix - - n - - trivial-rewrite", "bounce unix - - n - 0 bounce",
                    "defer unix - - n - 0 bounce", "trace unix - - n - 0 bounce",
                    "anvil unix - - n - 1 anvil", "proxymap unix - - n - - proxymap",
                    "error unix - - n - - error", "hold unix - - n - - error",
                    "retry unix - - n - - error", "tlsmgr unix - - n 1000? 1 tlsmgr",
                    "flush unix n - n 1000? 0 flush", "postlog unix-dgram n - n - 1 postlogd",
                    f"127.0.0.1:{self.port} inet n - n - - smtpd"]
        (self.dir / "etc/master.cf").write_text("\n".join(services) + "\n")
        self.log = open(self.dir / "log", "wb")
        subprocess.run(["postalias", "-c", self.dir / "etc", f"hash:{folder}/aliases"], check=True,
                       stdout=self.log, stderr=self.log, timeout=60)
        self.postfix("check")
        self.postfix("start")
        wait_for(self.answers, "Postfix up")

    def postfix(self, command):
        subprocess.run(["postfix", "-c", self.dir / "etc", command], check=True, stdout=self.log,
                       stderr=self.log, stdin=subprocess.DEVNULL, timeout=60)

    def answers(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as s:
                return s.recv(1) != b""
        except OSError:
            return False

    def stop(self):
        self.postfix("abort")
        self.log.close()


def differs(theirs, ours):
    for i, (a, b) in enumerate(zip(theirs + [""], ours + [""])):
        if normal(a) == normal(b):
            continue
        if any(re.fullmatch(x, a, re.S) and re.fullmatch(y, b, re.S) for x, y in EXPECTED):
            return None
        return i
    return None if len(theirs) == len(ours) else min(len(theirs), len(ours))


def compare(rig, seed, count, shards):
    rng = random.Random(seed)
    (rig.dir / "aliases").write_text("alias: user@relay.tld\n")
    settings = configuration(rng, rig.dir)
    rig.configure(compile_maps=False, **{k: v for k, v in settings.items()},
                  relayhost="[127.0.0.1]:1", ringmx_shards=shards, ringmx_segment_size=1 << 20,
                  ringmx_queue_size_limit=64 << 20)
    rig.run(BIN / "mapc", "-c", rig.dir, "--all", check=True)
    mx = rig.ringmx()
    postfix = Postfix(rig.dir, settings)
    dialogues = [dialogue(random.Random(seed * 100_000 + n)) for n in range(count)]
    found = []
    try:
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            theirs = list(pool.map(lambda lines: talk(postfix.port, lines), dialogues))
            ours = list(pool.map(lambda lines: talk(mx.port, lines), dialogues))
        for n, lines in enumerate(dialogues):
            at = differs(theirs[n], ours[n])
            if at is not None:
                found.append((n, lines, theirs[n], ours[n], at))
    finally:
        postfix.stop()
    assert mx.terminate() == 0
    shutil.rmtree(rig.dir / "queue")
    return settings, found


def show(seed, settings, found):
    n, lines, theirs, ours, at = found
    print(f"---- seed {seed}, dialogue {n}")
    for name, value in sorted(settings.items()):
        if "restrictions" in name or name in ("strict", "loose") or name in CHOICES:
            print(f"{name} = {value}")
    said = ["(connect)"] + [x for line in lines
                            for x in ([line, "(message)"] if line == "DATA" and any(
                                r.startswith("354") for r in theirs) else [line])]
    for i, reply in enumerate(theirs[: at + 1]):
        print("C:", (said[i] if i < len(said) else "?")[:100])
        print("  postfix:", reply)
        if normal(reply) != normal(ours[i] if i < len(ours) else ""):
            print("  ringmx: ", ours[i] if i < len(ours) else "(closed)")


def main():
    total = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    if os.geteuid() != 0:
        skip("Postfix can be started by root only")
    if not shutil.which("postfix"):
        skip("Postfix is not installed (tools/setup test)")
    done = different = 0
    with Rig() as rig:
        while done < total:
            settings, found = compare(rig, seed, min(DIALOGUES_A_CONFIGURATION, total - done),
                                      1 if seed % 2 else 4)
            done += min(DIALOGUES_A_CONFIGURATION, total - done)
            for one in found[:2]:
                show(seed, settings, one)
            different += len(found)
            seed += 1
    print(f"{done} dialogues, {different} different")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
