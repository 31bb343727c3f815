#!/usr/bin/env python3
"""Bounces: what a backend refuses for good after our 250 comes back to its sender as a delivery
status notification (RFC 3461, 3464), the others of the message are delivered or tried again, and
nobody is told who asked not to be. With one shard and with four."""

import email
import re
import smtplib

from backend import Backend
from rig import BIN, DOMAIN, Rig, wait_for

SENDER = "someone@sender.example"
BODY = "Subject: hello\r\nX-Mark: {mark}\r\n\r\nfirst line\r\n..two dots\r\nlast line\r\n"
FAST = {"minimal_backoff_time": "1s", "maximal_backoff_time": "2s"}
NAMES = ["ok", "no", "no2", "later", "quiet", "gone", "never"]
RECIPIENTS = [f"{name}@{DOMAIN}" for name in NAMES]


def answers(stage, argument):
    if stage == "RCPT":
        if "<no" in argument or "<quiet" in argument or "<never" in argument:
            return "550-5.1.1 no such user here\r\n550 5.1.1 really\x1b[31m not"
        if "<later" in argument and answers.busy:
            return "450 4.2.1 busy"
        if "<gone" in argument:
            return "550 no enhanced code"
    return None


def parts(message):
    """The three parts of a report: (text, [fields of the message, of each recipient], original)."""
    report = email.message_from_bytes(message["body"])
    assert report.get_content_type() == "multipart/report", report.as_string()
    assert report.get_param("report-type") == "delivery-status"
    assert not report.defects, report.defects
    text, status, original = report.get_payload()
    assert status.get_content_type() == "message/delivery-status"
    return report, text.get_payload(), status.get_payload(), original


def send(rig, recipients, mark, sender=SENDER, mail=(), rcpt=()):
    with smtplib.SMTP("127.0.0.1", rig.port) as smtp:
        smtp.sendmail(sender, recipients, BODY.format(mark=mark), mail, rcpt)


def bounce(backend, mark, to=SENDER, limit=30):
    def found():
        return [m for m in backend.to(to) if mark.encode() in m["body"]]
    return wait_for(found, f"the bounce of {mark}", limit)[0]


def three_recipients(rig, mx, backend):
    send(rig, RECIPIENTS[:4], "three")
    message = bounce(backend, "three")
    assert message["mail"].startswith("MAIL FROM:<>"), message["mail"]
    report, text, status, original = parts(message)
    assert report["From"] == f"MAILER-DAEMON@mx.{DOMAIN} (Mail Delivery System)"
    assert report["To"] == SENDER and report["Auto-Submitted"] == "auto-replied"
    assert report["Subject"] == "Undelivered Mail Returned to Sender"
    assert f"<no@{DOMAIN}>: host 127.0.0.1[127.0.0.1] said: 550" in text, text
    assert "\x1b" not in text
    assert status[0]["Reporting-MTA"] == f"dns; mx.{DOMAIN}"
    assert status[0]["X-ringmx-Sender"] == f"rfc822; {SENDER}"
    assert [s["Final-Recipient"] for s in status[1:]] == [f"rfc822; {r}" for r in RECIPIENTS[1:3]]
    assert all(s["Action"] == "failed" and s["Status"] == "5.1.1" for s in status[1:])
    assert status[1]["Remote-MTA"] == "dns; 127.0.0.1", status[1]["Remote-MTA"]
    assert status[1]["Diagnostic-Code"].startswith("smtp; 550-5.1.1 no such user"), status[1]
    assert original.get_content_type() == "message/rfc822"
    inner = original.get_payload(0)
    assert inner["X-Mark"] == "three" and "first line\n..two dots\nlast line" in inner.as_string()
    assert len(backend.to(RECIPIENTS[0])) == 1 and not backend.to(RECIPIENTS[3])
    # Only the one that is to wait is still there, and is tried again alone.
    pending = [line for line in rig.run_mxq("-j") if line]
    assert len(pending) == 1 and RECIPIENTS[3] in pending[0] and RECIPIENTS[1] not in pending[0]
    answers.busy = False
    wait_for(lambda: backend.to(RECIPIENTS[3]), "the one that was put off")
    assert len(backend.to(RECIPIENTS[0])) == 1
    assert len(mx.said(rf"to=<no@{DOMAIN}>.*status=bounced")) == 1
    mx.said("sender non-delivery notification")


def dsn_parameters(rig, backend):
    send(rig, ["quiet@" + DOMAIN], "quiet", rcpt=["NOTIFY=NEVER"])
    send(rig, ["never@" + DOMAIN], "unasked", rcpt=["NOTIFY=SUCCESS,DELAY"])
    send(rig, ["gone@" + DOMAIN], "asked", mail=["RET=HDRS", "ENVID=id+2B1"],
         rcpt=["NOTIFY=FAILURE", "ORCPT=rfc822;old+2Bname@sender.example"])
    _, text, status, original = parts(bounce(backend, "asked"))
    assert status[0]["Original-Envelope-Id"] == "id+1"
    assert status[1]["Original-Recipient"] == "rfc822;old+name@sender.example"
    assert status[1]["Status"] == "5.0.0", status[1]["Status"]
    assert original.get_content_type() == "text/rfc822-headers"
    assert "first line" not in text and "first line" not in original.as_string()
    # A backend without DSN: the success is ours to tell.
    send(rig, ["ok@" + DOMAIN], "success", rcpt=["NOTIFY=SUCCESS"])
    report, _, status, _ = parts(bounce(backend, "success"))
    assert report["Subject"] == "Successful Mail Delivery Report"
    assert status[1]["Action"] == "relayed" and status[1]["Status"] == "2.0.0"
    for mark in ("quiet", "unasked"):
        assert not [m for m in backend.to(SENDER) if mark.encode() in m["body"]], mark


def null_sender(rig, mx, backend):
    send(rig, ["no@" + DOMAIN], "null", sender="")
    wait_for(lambda: backend.to(f"post@{DOMAIN}"), "the postmaster's double bounce")
    message = backend.to(f"post@{DOMAIN}")[0]
    assert message["mail"].startswith(f"MAIL FROM:<double-bounce@mx.{DOMAIN}>"), message["mail"]
    report, _, _, _ = parts(message)
    assert report["Subject"] == "Postmaster Copy: Undelivered Mail"
    wait_for(lambda: rig.queue_is_empty(), "an empty queue")


def large_and_long(rig, backend):
    big = BODY.format(mark="large") + "x" * 70 + "\r\n"
    with smtplib.SMTP("127.0.0.1", rig.port) as smtp:
        smtp.sendmail(SENDER, ["no@" + DOMAIN], big + ("y" * 76 + "\r\n") * 1000)
    _, _, _, original = parts(bounce(backend, "large"))
    assert original.get_content_type() == "text/rfc822-headers"
    assert "yyyy" not in original.as_string()


class BounceRig(Rig):
    def run_mxq(self, *arguments):
        return self.run(BIN / "mxq", "-c", self.dir, *arguments, check=True).stdout.split("\n")

    def queue_is_empty(self):
        return not [line for line in self.run_mxq("-j") if line]


def eight_bit(mode):
    """A backend that does not announce 8BITMIME."""
    with BounceRig() as rig, Backend(extensions=("PIPELINING",)) as backend:
        rig.configure(RECIPIENTS, relayhost=f"[127.0.0.1]:{backend.port}", ringmx_8bit=mode,
                      smtp_connection_cache_on_demand="no", **FAST)
        mx = rig.ringmx()
        with smtplib.SMTP("127.0.0.1", rig.port) as smtp:
            for mark in (b"first", b"second"):
                smtp.sendmail(SENDER, RECIPIENTS[0], b"Subject: " + mark + b"\r\n\r\n\xe4\r\n",
                              ["BODY=8BITMIME"])
        if mode == "send":
            wait_for(lambda: len(backend.to(RECIPIENTS[0])) == 2, "both")
            assert backend.messages[0]["body"].endswith(b"\xe4\r\n")
            assert "BODY" not in backend.messages[0]["mail"]
        else:
            _, _, status, original = parts(bounce(backend, "second"))
            assert status[1]["Status"] == "5.6.3" and not backend.to(RECIPIENTS[0])
        assert mx.counters()["eight_bit_unannounced"] >= 2
        assert len(mx.said("alarm backend-8bit .* raised")) == 1
        backend.extensions = ("PIPELINING", "8BITMIME")
        with smtplib.SMTP("127.0.0.1", rig.port) as smtp:
            smtp.sendmail(SENDER, RECIPIENTS[0], b"Subject: third\r\n\r\n\xe4\r\n",
                          ["BODY=8BITMIME"])
        wait_for(lambda: mx.lines("alarm backend-8bit .* cleared"), "the alarm's end")
        assert mx.terminate() == 0


for how in ("send", "bounce"):
    eight_bit(how)
for shards in (1, 4):
    answers.busy = True
    with BounceRig() as rig, Backend(answers) as backend:
        rig.configure(RECIPIENTS, relayhost=f"[127.0.0.1]:{backend.port}", ringmx_shards=shards,
                      ringmx_segment_size=4 << 20, notify_classes="2bounce",
                      **{"2bounce_notice_recipient": f"post@{DOMAIN}"}, **FAST)
        mx = rig.ringmx()
        three_recipients(rig, mx, backend)
        dsn_parameters(rig, backend)
        null_sender(rig, mx, backend)
        large_and_long(rig, backend)
        wait_for(rig.queue_is_empty, "an empty queue")
        assert mx.terminate() == 0
        assert not re.search("assert|panic", mx.text())
