#!/usr/bin/env python3
"""mxconf prints as postconf does: -n, -n -x and single names, on one main.cf and master.cf. What
differs is listed here. A master.cf is explained, and names that it uses are not unused."""

import shutil

from rig import BIN, ROOT, Rig, need_program

POSTCONF = need_program("postconf")
# The value of the queue's place is our own; the rest is the same to the byte.
OWN = {"queue_directory = /var/spool/postfix": "queue_directory = /var/spool/ringmx",
       "/var/spool/postfix/": "/var/spool/ringmx/"}
MORE = """
relayhost = [127.0.0.1]:25
our_more = a   b,
    c
our_list = $our_more x
our_unused = 1
our_clients = permit_mynetworks
our_class = permit
smtpd_restriction_classes = our_class
smtp_helo_name = ${our_list?{$myhostname}:{none}}
relay_destination_concurrency_limit = 7
maximal_queue_lifetime = 5d
smtpd_helo_required = YES
mydestination =
"""
MASTER = """
smtp inet n - y - - smtpd
  -o smtpd_helo_required=no
submission inet n - y - - smtpd
  -o smtpd_client_restrictions=$our_clients
  # no
  -o smtpd_milters=inet:127.0.0.1:8891
relay unix - - y - - smtp
  -o syslog_name=postfix/$service_name
"""


def postconf(rig, *arguments):
    text = rig.run(POSTCONF, "-c", rig.dir, *arguments, check=True).stdout
    for old, new in OWN.items():
        text = text.replace(old, new)
    return text


with Rig() as rig:
    shutil.copy(ROOT / "tests/fixtures/reference-mx/main.cf", rig.dir / "main.cf")
    with open(rig.dir / "main.cf", "a", encoding="utf-8") as out:
        out.write(MORE)
    (rig.dir / "master.cf").write_text(MASTER)
    for options in (["-n"], ["-n", "-x"], ["-x", "mydestination", "smtp_helo_name"],
                    ["myhostname", "smtpd_error_sleep_time", "bounce_queue_lifetime"]):
        theirs = postconf(rig, *options)
        done = rig.run(BIN / "mxconf", "-c", rig.dir, *options)
        assert done.stdout == theirs, (options, done.stdout, theirs)
    unused = rig.run(BIN / "mxconf", "-c", rig.dir, "-n").stderr
    assert "our_unused" in unused and unused.count("unused parameter") == 1, unused

    said = rig.run(BIN / "ringmx", "-c", rig.dir, "--check").stderr
    report = [line.split("master.cf:")[1] for line in said.split("\n") if "master.cf:" in line]
    assert report == [
        "3: warning: smtp inet: -o smtpd_helo_required = no: overrides are not honoured; what "
        "main.cf says is for all",
        "4: warning: submission inet smtpd: this listener is not honoured; name it in "
        "ringmx_listen if it is to answer as port 25 does",
        "5: warning: submission inet: -o smtpd_client_restrictions = $our_clients: overrides are "
        "not honoured; what main.cf says is for all",
        "7: warning: submission inet: -o smtpd_milters = inet:127.0.0.1:8891: filters of a service "
        "are not honoured"], report
    assert "our_clients" not in said.replace("$our_clients", ""), said
    explained = rig.run(BIN / "mxconf", "-c", rig.dir)
    assert all(f"master.cf:{line}" in explained.stderr for line in report), explained.stderr
