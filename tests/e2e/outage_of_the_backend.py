#!/usr/bin/env python3
"""A backend that is away, refusing connections or accepting them without a word, while mail flows;
a short form of tests/faults/outage.py. Both kinds at once, to save time. One shard: of several, one
may hold all connections to the backend while its own queue drains."""

import pathlib
import subprocess
import sys

PROGRAM = pathlib.Path(__file__).resolve().parent.parent / "faults/outage.py"
SHORT = ("--factor", "3600", "--rate", "300")

runs = [subprocess.Popen([sys.executable, PROGRAM, "--kind", kind, *SHORT], text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for kind in ("refused", "silent")]
for run in runs:
    text, _ = run.communicate(timeout=200)
    print(text)
assert all(run.returncode == 0 for run in runs)
