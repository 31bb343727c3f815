#!/usr/bin/env python3
"""Whatever is done to a compiled table's file under a running ringmx, mail goes on with the table
that was read; what is wrong raises the alarm `tables`, and a good file clears it."""

import shutil
import smtplib

from rig import BIN, DOMAIN, RECIPIENT, running_mx, wait_for

NEW = f"new@{DOMAIN}"

with running_mx() as (rig, sink, mx):
    compiled = rig.dir / "recipients.phm"
    elsewhere = rig.dir / "elsewhere"
    elsewhere.mkdir()
    name = f"hash:{rig.dir}/recipients"

    def table_of(*recipients):
        """The bytes of a compiled table, made aside."""
        (elsewhere / "recipients").write_text("".join(f"{r} OK\n" for r in recipients))
        rig.run(BIN / "mapc", "-c", elsewhere, f"hash:{elsewhere}/recipients", check=True)
        return (elsewhere / "recipients.phm").read_bytes()

    # Large enough to be written in many steps.
    many = [f"u{n}@{DOMAIN}" for n in range(50_000)]
    old, new = table_of(RECIPIENT, *many), table_of(RECIPIENT, NEW, *many)

    def accepts(recipient):
        with mx.connect() as client:
            client.say("EHLO client.example", "250")
            client.say(f"MAIL FROM:<a@{DOMAIN}>", "250")
            return client.say(f"RCPT TO:<{recipient}>")[:3] == "250"

    sent = []

    def send():
        sent.append(RECIPIENT)
        with smtplib.SMTP("127.0.0.1", mx.port, timeout=60) as client:
            client.sendmail(f"a@{DOMAIN}", [RECIPIENT], "Subject: x\r\n\r\nx\r\n")

    def alarm():
        last = mx.lines("alarm tables")
        return bool(last) and " raised" in last[-1]

    def in_service(recipient, wanted):
        wait_for(lambda: accepts(recipient) == wanted, f"{recipient}: {wanted}")
        assert accepts(RECIPIENT)
        send()

    def broken(how):
        wait_for(alarm, f"the alarm after: {how}")
        assert name in mx.lines("alarm tables")[-1], mx.lines("alarm tables")
        assert "mapc" in mx.lines("alarm tables")[-1], mx.lines("alarm tables")
        assert rig.run(BIN / "mxq", "-c", rig.dir, "--status").stdout.count("ALARM tables") == 1
        send()

    def mended(content, new_is_there):
        (elsewhere / "good").write_bytes(content)
        shutil.copymode(compiled if compiled.exists() else elsewhere / "good", elsewhere / "good")
        (elsewhere / "good").chmod(0o644)
        (elsewhere / "good").rename(compiled)
        wait_for(lambda: not alarm(), "the alarm cleared")
        in_service(NEW, new_is_there)

    mended(old, False)

    # cp: the same inode, cut to nothing and filled again.
    (elsewhere / "copy").write_bytes(new)
    rig.run("cp", elsewhere / "copy", compiled, check=True)
    in_service(NEW, True)
    (elsewhere / "copy").write_bytes(old)
    rig.run("cp", elsewhere / "copy", compiled, check=True)
    in_service(NEW, False)

    # A copy that stops half way, and is taken up again.
    with open(compiled, "wb") as file:
        file.write(new[:len(new) // 2])
    broken("half of a copy")
    assert not accepts(NEW) and accepts(RECIPIENT)
    with open(compiled, "ab") as file:
        file.write(new[len(new) // 2:])
    wait_for(lambda: not alarm(), "the alarm cleared")
    in_service(NEW, True)

    if shutil.which("rsync"):
        for content, there in ((old, False), (new, True)):
            (elsewhere / "copy").write_bytes(content)
            rig.run("rsync", "--inplace", "--no-whole-file", elsewhere / "copy", compiled,
                    check=True)
            in_service(NEW, there)
    else:
        print("NOT TESTED: rsync --inplace; rsync is not installed (tools/setup test)")

    rig.run("truncate", "-s", str(len(new) // 2), compiled, check=True)
    broken("truncate to half")
    assert accepts(NEW)
    mended(new, True)

    with open(compiled, "ab") as file:
        file.write(b"garbage")
    broken("bytes after the end")
    mended(old, False)

    with open(compiled, "r+b") as file:  # one byte in the middle
        file.seek(len(old) // 2)
        byte = file.read(1)
        file.seek(len(old) // 2)
        file.write(bytes([byte[0] ^ 1]))
    broken("one byte changed")
    mended(new, True)

    compiled.unlink()
    broken("removed")
    assert accepts(NEW)
    mended(old, False)

    # Through a symbolic link to another folder, where no event comes from.
    target = elsewhere / "target.phm"
    target.write_bytes(new)
    target.chmod(0o644)
    (rig.dir / "link").symlink_to(target)
    (rig.dir / "link").rename(compiled)
    in_service(NEW, True)
    target.write_bytes(old)
    in_service(NEW, False)
    assert not alarm()
    sink.wait_for_messages(len(sent))
    assert mx.terminate() == 0
