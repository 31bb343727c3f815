#!/usr/bin/env python3
"""The digest of quarantined mail: with ringmx_bounce = quarantine the postmaster is told of each
message that is held, once, whichever shard has it and however often ringmx is started again; what
a backend or a sender wrote can't change the letter's form; a digest that is refused is not
quarantined itself. With one shard and with four."""

import email
import re
import smtplib

from backend import Backend
from rig import BIN, DOMAIN, Rig, free_port, wait_for

POSTMASTER = f"post@{DOMAIN}"
NAMES = ["no", "evil", "other", "post", "ok"]
RECIPIENTS = [f"{name}@{DOMAIN}" for name in NAMES]
FAST = {"minimal_backoff_time": "1s", "maximal_backoff_time": "2s"}


def answers(stage, argument):
    if stage == "RCPT" and "<no" in argument:
        return "550 5.1.1 no such user"
    if stage == "RCPT" and "<evil" in argument:
        return "550 5.7.1 \x1b[2J\x07\x9b" + "Subject: forged " * 40
    if stage == "RCPT" and "<other" in argument:
        return "554 5.7.1 not this either"
    if stage == "RCPT" and "<post" in argument and answers.refuse_postmaster:
        return "550 5.1.1 no postmaster here"
    return None


def send(rig, recipients, sender="someone@sender.example"):
    with smtplib.SMTP("127.0.0.1", rig.port) as smtp:
        smtp.sendmail(sender, recipients, "Subject: x\r\n\r\ntext\r\n")


def digests(backend):
    return [email.message_from_bytes(m["body"]) for m in backend.to(POSTMASTER)]


def queue_ids(rig):
    done = rig.run(BIN / "mxq", "-c", rig.dir, "-j", check=True)
    return re.findall(r'"queue_name":"hold","queue_id":"(\w+)"', done.stdout)


def told(backend, queue_id):
    return [d for d in digests(backend) if re.search(rf"^{queue_id} ", d.get_payload(), re.M)]


def configure(rig, backend, shards, interval):
    rig.configure(RECIPIENTS, relayhost=f"[127.0.0.1]:{backend.port}", ringmx_shards=shards,
                  ringmx_segment_size=4 << 20, ringmx_bounce="quarantine",
                  ringmx_quarantine_digest=interval, bounce_notice_recipient=POSTMASTER, **FAST)


def every_message_once(shards):
    answers.refuse_postmaster = False
    with Rig() as rig, Backend(answers) as backend:
        configure(rig, backend, shards, "1s")
        mx = rig.ringmx()
        for i in range(6):
            send(rig, [RECIPIENTS[0], RECIPIENTS[2]], f"s{i}@sender.example")
        send(rig, [RECIPIENTS[1]], '"a> b\\\\<c"@sender.example')
        send(rig, [RECIPIENTS[4]])
        wait_for(lambda: len(queue_ids(rig)) == 7, "seven held messages")
        ids = queue_ids(rig)
        wait_for(lambda: all(told(backend, i) for i in ids), "each in a digest")
        first = told(backend, ids[0])[0]
        message = [m for m in backend.to(POSTMASTER) if ids[0].encode() in m["body"]][0]
        assert message["mail"].startswith(f"MAIL FROM:<double-bounce@mx.{DOMAIN}>"), message["mail"]
        assert first["Auto-Submitted"] == "auto-generated"
        assert first["To"] == f"Postmaster <{POSTMASTER}>", first["To"]
        assert first["From"] == f"Mail Delivery System <MAILER-DAEMON@mx.{DOMAIN}>", first["From"]
        assert re.fullmatch(r"Quarantined mail: \d new, \d held", first["Subject"])
        text = first.get_payload()
        for wanted in (f"mxq -c {rig.dir} -H {ids[0]} ", f"mxq -c {rig.dir} -d {ids[0]} "):
            assert wanted in text, text
        whole = b"".join(m["body"] for m in backend.to(POSTMASTER))
        for name in ("no", "other"):
            assert whole.count(f"to:   <{name}@{DOMAIN}>".encode()) == 6, whole
        assert whole.count(b"why:  550 5.1.1 no such user") == 6, whole
        assert b"\x1b" not in whole and b"\x07" not in whole and b"\x9b" not in whole
        assert not re.search(rb"^Subject: forged", whole, re.M), whole
        assert max(len(line) for line in whole.split(b"\r\n")) < 998

        # A start repeats nothing; what comes back is told of again; what is new is, too.
        count = len(digests(backend))
        assert mx.terminate() == 0
        mx = rig.ringmx()
        assert rig.run(BIN / "mxq", "-c", rig.dir, "-H", ids[0], check=True)
        wait_for(lambda: len(told(backend, ids[0])) == 2, "the one that was tried again")
        wait_for(lambda: sorted(queue_ids(rig)) == sorted(ids), "it is held again")
        send(rig, [RECIPIENTS[0]])
        new = wait_for(lambda: set(queue_ids(rig)) - set(ids), "one more").pop()
        wait_for(lambda: told(backend, new), "the new one")
        later = digests(backend)[count:]
        assert later[-1]["Subject"] == "Quarantined mail: 1 new, 8 held", later[-1]["Subject"]
        assert "7 messages of earlier digests are held as well" in later[-1].get_payload()
        assert all(len(told(backend, i)) == 1 for i in [*ids[1:], new]), later
        # Not the double-bounce sender's mail: nothing but what was refused is held.
        assert mx.terminate() == 0
        assert not re.search("assert|panic", mx.text())


def started_daily():
    """The time of the last one is kept: starts that are closer together than the interval neither
    put the digest off nor repeat it."""
    answers.refuse_postmaster = False
    with Rig() as rig, Backend(answers) as backend:
        configure(rig, backend, 1, "3s")
        mx = rig.ringmx()
        send(rig, [RECIPIENTS[0]])
        held = wait_for(lambda: queue_ids(rig), "the hold")[0]
        starts = 1
        while not told(backend, held):
            assert mx.terminate() == 0
            mx = rig.ringmx()
            starts += 1
            wait_for(lambda: "recovered" in mx.text(), "a start")
            assert starts < 200
        assert starts > 2, "the digest came before a restart could put it off"
        assert mx.terminate() == 0
        mx = rig.ringmx()
        assert mx.terminate() == 0
        assert len(digests(backend)) == 1


def refused_digest():
    """Nobody takes the postmaster's mail: the digest ends, it is not held."""
    answers.refuse_postmaster = True
    with Rig() as rig, Backend(answers) as backend:
        configure(rig, backend, 1, "1s")
        mx = rig.ringmx()
        send(rig, [RECIPIENTS[0]])
        wait_for(lambda: mx.lines("undeliverable postmaster notification discarded"), "its end")
        assert len(queue_ids(rig)) == 1 and not digests(backend)
        assert mx.terminate() == 0


def alias_is_told_of():
    """Taken before quarantine was chosen: who asked whether an alias was expanded is told so, once,
    though its member is refused; the alias is none of the others, who are waited for."""
    answers.refuse_postmaster = False
    port = free_port()
    with Rig() as rig:
        (rig.dir / "aliases").write_text(f"list: {RECIPIENTS[0]}\n")
        settings = {"relayhost": f"[127.0.0.1]:{port}", "mydestination": f"mx.{DOMAIN}",
                    "alias_maps": f"hash:{rig.dir}/aliases",
                    "local_recipient_maps": f"hash:{rig.dir}/aliases", **FAST}
        rig.configure([], **settings)
        mx = rig.ringmx()
        with smtplib.SMTP("127.0.0.1", rig.port) as smtp:
            smtp.sendmail("someone@sender.example", [f"list@mx.{DOMAIN}"], "Subject: x\r\n\r\n",
                          rcpt_options=["NOTIFY=SUCCESS"])
        assert mx.terminate() == 0
        rig.configure([], ringmx_bounce="quarantine", **settings)
        with Backend(answers, port=port) as backend:
            mx = rig.ringmx()
            wait_for(lambda: queue_ids(rig), "the hold")
            wait_for(lambda: backend.messages, "the notice")
            assert len(mx.said(f"to=<{RECIPIENTS[0]}>.*bounced")) == 1
            assert b"Action: expanded" in backend.to("someone@sender.example")[0]["body"]
            assert mx.terminate() == 0
            assert len(backend.messages) == 1


alias_is_told_of()
for count in (1, 4):
    every_message_once(count)
started_daily()
refused_digest()
