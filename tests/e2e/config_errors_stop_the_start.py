#!/usr/bin/env python3
"""A main.cf that can't be followed as it stands: 78, with file, line and name on stderr, and
nothing is served."""

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

# Another ringmx has the port: it would get a part of the clients, unseen.
with Rig() as rig, Rig() as other:
    for one in (rig, other):
        one.configure(relayhost="[127.0.0.1]:9", ringmx_listen=f"127.0.0.1:{rig.port}",
                      ringmx_segment_size=4 << 20)
    rig.ringmx()
    done = other.run(BIN / "ringmx", "-c", other.dir, timeout=20)
    assert done.returncode == 71 and "Address already in use" in done.stderr, done
