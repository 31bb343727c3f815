#!/usr/bin/env python3
"""maximal_queue_lifetime, bounce_queue_lifetime, delay_warning_time: mail that can't be delivered
is warned of once and given up in time, whether its next hop says "later" or is dead, with the
reason, also when another next hop took the rest; a warning costs a message no turn; and with
ringmx_bounce = quarantine nothing goes to a sender who may be forged."""

import email
import signal
import smtplib
import socket
import time

from backend import Backend
from rig import BIN, DOMAIN, Rig, free_port, wait_for

SENDER = "someone@sender.example"
FAST = {"minimal_backoff_time": "1s", "maximal_backoff_time": "1s"}
RECIPIENTS = [f"{name}@{DOMAIN}" for name in ("later", "no", "dead")]
MANY = 400


def answers(stage, argument):
    if stage == "RCPT" and "<later" in argument and answers.busy:
        return "451 4.3.0 not today"
    if stage == "RCPT" and "<no" in argument:
        return "550 5.1.1 no such user"
    return None


def send(rig, recipient, subject, sender=SENDER):
    with smtplib.SMTP("127.0.0.1", rig.port) as smtp:
        smtp.sendmail(sender, [recipient], f"Subject: {subject}\r\n\r\ntext\r\n")


def reports(backend):
    return [email.message_from_bytes(m["body"]) for m in backend.to(SENDER)]


def queue(rig):
    done = rig.run(BIN / "mxq", "-c", rig.dir, "-j", check=True)
    return [line for line in done.stdout.split("\n") if line]


def subjects(backend, about):
    return [r["Subject"] for r in reports(backend) if about in r.as_string()]


def given_up(shards):
    """A next hop that says later, and one that is dead: warned once, then returned."""
    with Rig() as rig, Backend(answers) as backend:
        dead = free_port()
        (rig.dir / "transport").write_text(f"dead@{DOMAIN} relay:[127.0.0.1]:{dead}\n")
        rig.configure(RECIPIENTS, relayhost=f"[127.0.0.1]:{backend.port}", ringmx_shards=shards,
                      ringmx_segment_size=4 << 20, delay_warning_time="2s",
                      maximal_queue_lifetime="6s", bounce_queue_lifetime="3s",
                      transport_maps=f"hash:{rig.dir}/transport", **FAST)
        mx = rig.ringmx()
        send(rig, RECIPIENTS[0], "about-later")
        send(rig, RECIPIENTS[2], "about-dead")
        send(rig, RECIPIENTS[0], "about-null", sender="")
        warning, end = "Delayed Mail (still being retried)", "Undelivered Mail Returned to Sender"
        for about in ("about-later", "about-dead"):
            wait_for(lambda a=about: subjects(backend, a) == [warning], f"the warning {about}")
        for about in ("about-later", "about-dead"):
            wait_for(lambda a=about: subjects(backend, a) == [warning, end], f"the end {about}")
        late = [r for r in reports(backend) if r["Subject"] == end and "about-later" in str(r)][0]
        fields = late.get_payload()[1].get_payload()
        assert fields[1]["Status"].startswith("4."), fields[1].as_string()
        for report in reports(backend):
            if "about-dead" in str(report):
                fields = report.get_payload()[1].get_payload()
                why = f"connect to 127.0.0.1[127.0.0.1]:{dead}: Connection refused"
                assert why in " ".join(fields[1]["Diagnostic-Code"].split()), str(fields[1])
        wait_for(lambda: not queue(rig), "an empty queue")
        assert len(mx.said("from=<.*>, status=expired, returned to sender", 3)) == 3
        assert not subjects(backend, "about-null")
        assert mx.terminate() == 0


def reason_is_kept():
    """Another next hop that takes its part of the message has nothing to say of the rest."""
    with Rig() as rig, Backend(answers) as backend, Backend() as other:
        (rig.dir / "transport").write_text(f"dead@{DOMAIN} relay:[127.0.0.1]:{other.port}\n")
        rig.configure(RECIPIENTS, relayhost=f"[127.0.0.1]:{backend.port}",
                      maximal_queue_lifetime=0, transport_maps=f"hash:{rig.dir}/transport", **FAST)
        mx = rig.ringmx()
        with smtplib.SMTP("127.0.0.1", rig.port) as smtp:
            smtp.sendmail(SENDER, [RECIPIENTS[0], RECIPIENTS[2]], "Subject: about-two\r\n\r\nx\r\n")
        end = wait_for(lambda: reports(backend), "the end")[0].get_payload()[1].get_payload()
        assert "451 4.3.0" in str(end[1]), end[1].as_string()
        assert len(other.messages) == 1
        assert mx.terminate() == 0


def warning_takes_no_turn():
    """Mail whose turn comes while its warning is being written gets it behind that."""
    answers.busy = True
    with Rig() as rig, Backend(answers) as backend:
        waiting = {"relayhost": f"[127.0.0.1]:{backend.port}", "ringmx_shards": 1,
                   "minimal_backoff_time": "300s"}
        rig.configure(RECIPIENTS, **waiting)
        mx = rig.ringmx()
        assert rig.mxload("-m", MANY, "-s", 8, to=RECIPIENTS[0])["status"] == 0
        wait_for(lambda: len(mx.lines("status=deferred")) >= MANY, "they are put off")
        assert mx.terminate() == 0
        answers.busy = False
        rig.configure(RECIPIENTS, delay_warning_time="1s", **waiting)
        mx = rig.ringmx()
        mx.process.send_signal(signal.SIGSTOP)
        due = time.monotonic() + 2
        wait_for(lambda: time.monotonic() > due, "the time of the warnings")
        with socket.socket(socket.AF_UNIX) as control:
            control.connect(str(rig.dir / "queue" / "ringmx.sock"))
            control.sendall(b"flush\n")
            mx.process.send_signal(signal.SIGCONT)
            assert control.recv(1000)
        wait_for(lambda: len(backend.to(RECIPIENTS[0])) == MANY, "all of them")
        assert mx.terminate() == 0


def warned_once_over_a_restart():
    with Rig() as rig, Backend(answers) as backend:
        rig.configure(RECIPIENTS, relayhost=f"[127.0.0.1]:{backend.port}",
                      delay_warning_time="1s", **FAST)
        mx = rig.ringmx()
        send(rig, RECIPIENTS[0], "about-later")
        wait_for(lambda: subjects(backend, "about-later"), "the warning")
        wait_for(lambda: mx.lines("sender delay notification"), "its log line")
        assert mx.terminate() == 0
        mx = rig.ringmx()
        wait_for(lambda: len(mx.lines(f"to=<{RECIPIENTS[0]}>.*deferred")) >= 3, "three attempts")
        assert mx.terminate() == 0
        assert len(subjects(backend, "about-later")) == 1


def quarantined(shards):
    with Rig() as rig, Backend(answers) as backend:
        rig.configure(RECIPIENTS, relayhost=f"[127.0.0.1]:{backend.port}", ringmx_shards=shards,
                      ringmx_segment_size=4 << 20, ringmx_bounce="quarantine", **FAST)
        mx = rig.ringmx()
        send(rig, RECIPIENTS[1], "about-no")
        wait_for(lambda: mx.lines("placed on hold"), "the hold")
        held = queue(rig)
        assert len(held) == 1 and '"queue_name":"hold"' in held[0], held
        assert "refused: 550 5.1.1 no such user" in held[0], held
        assert not backend.messages
        # Over a restart, too; a person lets it go, the backend still refuses: it is held again.
        assert mx.terminate() == 0
        mx = rig.ringmx()
        assert queue(rig) == held
        rig.run(BIN / "mxq", "-c", rig.dir, "-H", "ALL", check=True)
        wait_for(lambda: mx.lines("placed on hold"), "the second hold")
        assert mx.terminate() == 0


answers.busy = True
reason_is_kept()
warning_takes_no_turn()
answers.busy = True
for count in (1, 4):
    given_up(count)
    quarantined(count)
warned_once_over_a_restart()
