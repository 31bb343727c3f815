#!/usr/bin/env python3
"""A backend that is away, refusing connections or accepting them without a word, while mail flows;
a short form of tests/faults/outage.py. Both kinds at once, to save time."""

import pathlib
import subprocess
import sys

PROGRAM = pathlib.Path(__file__).resolve().parent.parent / "faults/outage.py"
KINDS = ("refused", "silent")

runs = [subprocess.Popen([sys.executable, PROGRAM, "--kind", kind, "--factor", "3600", "--rate",
                          "300"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for kind in KINDS]
for run in runs:
    text, _ = run.communicate(timeout=200)
    print(text)
assert all(run.returncode == 0 for run in runs)
