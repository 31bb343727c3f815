#!/usr/bin/env python3
"""A main.cf that can't be followed as it stands: 78, with file, line and name on stderr, and
nothing is served."""

import os
import signal

from rig import BIN, Rig

# (line added to a good file, what must be said)
WRONG = [
    ("this is no parameter", ""),
    ("relay_domians = hash:/etc/x", "relay_domains"),  # near a known name: a slip of the pen
    ("message_size_limit = many", "message_size_limit"),
    ("smtpd_milters = inet:127.0.0.1:11332", "smtpd_milters"),  # would scan; must not be ignored
    ("smtpd_recipient_restrictions = reject_rbl_cient zen.example", "reject_rbl_cient"),
    ("smtpd_relay_restrictions =", "smtpd_relay_restrictions"),
    ("myhostname = ${mydomain", "myhostname"),
    ("transport_maps = inline:{ example.com=badtransport: }", "badtransport"),
    ("transport_maps = static:smtp:[192.0.2.1", "missing ]"),
    ("transport_maps = inline:{ x }", "missing '='"),
    ("relay_recipient_maps = foo:/bar", 'unknown table type "foo"'),
    ("a_cycle = $b_cycle\nb_cycle = $a_cycle\nmyhostname = $a_cycle", "myhostname"),
]

with Rig() as rig:
    sink = rig.mxsink()
    relayhost = f"[127.0.0.1]:{sink.port}"
    rig.configure(relayhost=relayhost)
    good = rig.config.read_text()
    assert rig.run(BIN / "ringmx", "-c", rig.dir, "--check").returncode == 0
    for line, said in WRONG:
        rig.config.write_text(good + line + "\n")
        for command in (["--check"], []):
            done = rig.run(BIN / "ringmx", "-c", rig.dir, *command, timeout=20)
            assert done.returncode == 78, (line, done)
            assert f"{rig.config}:" in done.stderr and said in done.stderr, (line, done.stderr)
    number = good.count("\n") + 1
    rig.config.write_text(good + "no parameter\n")
    assert f"{rig.config}:{number}:" in rig.run(BIN / "ringmx", "-c", rig.dir, "--check").stderr

    # V101: hostile files end in an error or a start, never in a crash or an endless loop.
    hostile = {"NUL": "a\0b = c\n", "10 MB line": "x = " + "y" * 10_000_000 + "\n",
               "huge number": "message_size_limit = 99999999999999999999\n",
               "deep": "".join(f"v{i} = $v{i + 1}\n" for i in range(5000)) + "myhostname = $v0\n"}
    for name, text in hostile.items():
        rig.config.write_text(good + text)
        assert rig.run(BIN / "ringmx", "-c", rig.dir, "--check", timeout=20).returncode == 78, name
    for missing in (rig.config,):
        missing.unlink()
        assert rig.run(BIN / "ringmx", "-c", rig.dir, "--check").returncode == 78

# What the machine lacks is found by --check as by the start, with all else that is wrong, and
# nothing is made or given away by looking.
ROOT = os.geteuid() == 0
with Rig() as rig:
    rig.configure(relayhost="[127.0.0.1]:9", queue_directory=None, mail_owner=None)
    (rig.dir / "closed").mkdir(mode=0o700)
    (rig.dir / "others/mine").mkdir(parents=True)
    (rig.dir / "file").touch()
    good = rig.config.read_text()
    number = good.count("\n") + 1

    def refused(lines, *said):
        """Each of `said` at its line, counted from 0."""
        rig.config.write_text(good + "".join(f"{line}\n" for line in lines))
        before = sorted((path, path.lstat().st_uid) for path in rig.dir.rglob("*"))
        for command in (["--check"], []):
            done = rig.run(BIN / "ringmx", "-c", rig.dir, *command, timeout=20)
            assert done.returncode == 78, (lines, done)
            for at, text in said:
                assert f"{rig.config}:{number + at}: {text}" in done.stderr, (text, done.stderr)
        assert before == sorted((path, path.lstat().st_uid) for path in rig.dir.rglob("*"))

    usual = [f"queue_directory = {rig.dir}/queue", "mail_owner = nobody"]
    refused([*usual, f"maillog_file = {rig.dir}/none/log"],
            (2, f"maillog_file: {rig.dir}/none: No such file"))
    refused([*usual, f"maillog_file = {rig.dir}/queue"],
            (2, f"maillog_file: {rig.dir}/queue: Is a directory"))
    refused([f"queue_directory = {rig.dir}/none/queue", usual[1]],
            (0, f"queue_directory: {rig.dir}/none: No such file"))
    (rig.dir / "astray").symlink_to("none")
    refused([f"queue_directory = {rig.dir}/astray", usual[1]],
            (0, f"queue_directory: {rig.dir}/astray: a link to nothing"))
    refused([f"queue_directory = {rig.dir}/file", usual[1], f"maillog_file = {rig.dir}/file/log",
             "message_size_limit = many"],
            (0, f"queue_directory: {rig.dir}/file: not a directory"), (2, "maillog_file: "),
            (3, "message_size_limit: "))
    if ROOT:
        refused([usual[0], "mail_owner = no-such-user", f"maillog_file = {rig.dir}/none/log"],
                (1, 'mail_owner: there is no user "no-such-user"'), (2, "maillog_file: "))
        refused([f"queue_directory = {rig.dir}/others", usual[1]],
                (0, f"queue_directory: {rig.dir}/others is not nobody's"))
        refused([f"queue_directory = {rig.dir}/closed/queue", usual[1]],
                (0, f"queue_directory: {rig.dir}/closed: Permission denied for mail_owner"))
        refused([*usual, f"maillog_file = {rig.dir}/closed/log"],
                (2, f"maillog_file: {rig.dir}/closed: Permission denied for mail_owner"))
    # Who is not root needs no mail_owner, and does not know who will start it.
    rig.config.write_text(good + f"queue_directory = {rig.dir}/queue\nmail_owner = no-such-user\n"
                          f"maillog_file = {rig.dir}/closed/log\n")
    (rig.dir / "closed").chmod(0)
    as_other = {"user": 65534, "group": 65534, "extra_groups": []} if ROOT else {}
    done = rig.run(BIN / "ringmx", "-c", rig.dir, "--check", **as_other)
    assert done.returncode == 0, done
    for at, text in ((1, 'mail_owner: there is no user "no-such-user"'),
                     (2, f"maillog_file: {rig.dir}/closed: Permission denied for this user")):
        assert f"{rig.config}:{number + at}: warning: {text}" in done.stderr, done.stderr
    (rig.dir / "closed").chmod(0o700)
    # A link leads to the log, which is not there yet; who starts us has no heart for children.
    (rig.dir / "link").symlink_to("log")
    rig.config.write_text(good + f"queue_directory = {rig.dir}/new\nmail_owner = nobody\n"
                          f"maillog_file = {rig.dir}/link\n"
                          "transport_maps = inline:{{x.tld=virtual:}}, "
                          "unionmap:{static:smtp:[192.0.2.1],static:[192.0.2.2]}\n")
    done = rig.run(BIN / "ringmx", "-c", rig.dir, "--check",
                   preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
    assert done.returncode == 0 and "maillog_file" not in done.stderr, done
    assert not (rig.dir / "new").exists() and not (rig.dir / "log").exists()

# Another ringmx has the port: it would get a part of the clients, unseen.
with Rig() as rig, Rig() as other:
    for one in (rig, other):
        one.configure(relayhost="[127.0.0.1]:9", ringmx_listen=f"127.0.0.1:{rig.port}",
                      ringmx_segment_size=4 << 20)
    rig.ringmx()
    done = other.run(BIN / "ringmx", "-c", other.dir, timeout=20)
    assert done.returncode == 71 and "Address already in use" in done.stderr, done
