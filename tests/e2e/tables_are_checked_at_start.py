#!/usr/bin/env python3
"""A table that was not compiled, or whose compiled form is damaged, stops the start and names the
remedy, whatever else is wrong; one that is older than its source is only warned of."""

import os
import time

from rig import BIN, RECIPIENT, Rig

with Rig() as rig:
    sink = rig.mxsink()
    rig.configure(relayhost=f"[127.0.0.1]:{sink.port}", compile_maps=False)
    compiled = rig.dir / "recipients.phm"

    def check(status, *said):
        done = rig.run(BIN / "ringmx", "-c", rig.dir, "--check")
        assert done.returncode == status, (done.returncode, done.stderr)
        for text in said:
            assert text in done.stderr, (text, done.stderr)

    remedy = f"hash:{rig.dir}/recipients"
    check(78, "mapc", remedy)
    rig.run(BIN / "mapc", "-c", rig.dir, "--all", check=True)
    check(0)
    done = rig.run(BIN / "mapc", "-q", RECIPIENT, remedy)
    assert (done.returncode, done.stdout) == (0, "OK\n"), done
    assert rig.run(BIN / "mapc", "-q", "nobody@example.test", remedy).returncode == 1

    good = compiled.read_bytes()
    for name, bad in (("empty", b""), ("cut", good[:-1]), ("header only", good[:16]),
                      ("longer", good + b"x"), ("not a table", b"#!/bin/sh\n" * 100)):
        compiled.write_bytes(bad)
        check(78, "mapc", remedy)
    for at in range(0, len(good), max(1, len(good) // 40)):  # one flipped bit anywhere
        compiled.write_bytes(good[:at] + bytes([good[at] ^ 4]) + good[at + 1:])
        check(78, "mapc", remedy)

    compiled.write_bytes(good)
    later = time.time() + 10
    os.utime(rig.dir / "recipients", (later, later))
    check(0, "recipients")

    # All is said at once.
    compiled.unlink()
    (rig.dir / "domains.phm").unlink()
    with open(rig.config, "a", encoding="utf-8") as config:
        config.write("message_size_limit = many\n")
    check(78, "message_size_limit: bad numerical value", f"table {remedy}: not compiled",
          f"table hash:{rig.dir}/domains: not compiled")
