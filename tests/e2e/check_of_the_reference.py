#!/usr/bin/env python3
"""`ringmx --check` and `mxconf` on the reference configuration, with host names and paths changed
and an owner that every machine has: the whole output. With UPDATE set, writes
what is expected anew."""

import os
import pathlib
import re

from rig import BIN, ROOT, Rig

STILL_TO_COME = {
    "smtpd_use_tls", "smtpd_tls_security_level", "smtp_use_tls", "smtp_tls_security_level",
    "reject_unknown_sender_domain", "reject_unknown_recipient_domain",
    "reject_unknown_reverse_client_hostname", "check_policy_service",
}
FIXTURE = ROOT / "tests/fixtures/reference-mx"


def compare(name, text):
    expected = FIXTURE / name
    if os.environ.get("UPDATE"):
        expected.write_text(text)
    assert text == expected.read_text(), f"{name} differs; what came:\n{text}"


def replaced(rig):
    text = (FIXTURE / "main.cf").read_text()
    for old, new in (("/etc/postfix", rig.dir), ("/etc/aliases", rig.dir / "aliases"),
                     ("my-reverse-dns.domain.tld", "mx.example.test"),
                     ("[hostname.of.your.mailserver]:2525", "[127.0.0.1]:2525")):
        assert old in text
        text = text.replace(old, str(new))
    return text + f"mail_owner = nobody\nqueue_directory = {rig.dir}/queue\n"


with Rig() as rig:
    (rig.dir / "main.cf").write_text(replaced(rig))
    (rig.dir / "hash").mkdir()
    for name, content in (("domains", "example.test x\n"), ("addresses", "u@example.test x\n"),
                          ("backupserver-fingerprints", ""), ("whitelist-ips", ""),
                          ("whitelist-domains", "")):
        (rig.dir / "hash" / name).write_text(content)
    (rig.dir / "aliases").write_text("postmaster: u@example.test\n")
    for name in ("myssl.crt", "myssl.key"):  # and no myssql.key
        (rig.dir / name).touch()
    rig.run(BIN / "mapc", "-c", rig.dir, "--all", check=True)

    done = rig.run(BIN / "ringmx", "-c", rig.dir, "--check")
    text = done.stderr.replace(str(rig.dir), "DIR")
    assert done.returncode == 78 and not done.stdout, done
    compare("check.txt", text)
    # Errors are for what is a piece of work of its own: TLS, and what asks the network.
    errors = [line for line in text.split("\n") if line and "warning:" not in line]
    named = [re.match(r'DIR/main\.cf:\d+: (?:restriction ")?(\w+)', line)[1] for line in errors]
    assert not set(named) - STILL_TO_COME, errors

    done = rig.run(BIN / "mxconf", "-c", rig.dir)
    assert done.returncode == 78 and done.stderr.replace(str(rig.dir), "DIR") == text, done
    compare("mxconf.txt", done.stdout.replace(str(rig.dir), "DIR"))
    lines = re.findall(r"^(?:.*/main\.cf):(\d+): (\w+) =", done.stdout, re.M)
    source = (rig.dir / "main.cf").read_text().split("\n")
    for number, name in lines:
        assert source[int(number) - 1].startswith(name), (number, name)
    assert len(lines) == len([x for x in source if re.match(r"\w+ *=", x)])
    assert pathlib.Path(rig.dir / "main.cf").read_text() == replaced(rig)
