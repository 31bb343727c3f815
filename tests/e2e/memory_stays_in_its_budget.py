#!/usr/bin/env python3
"""Memory stays in the budget that is printed at the start and by --check; a small form of
tests/faults/memory.py: 50 sessions send 5 MiB each into a queue that holds some of them, before a
backend that takes 1 MB/s."""

import pathlib
import subprocess
import sys

PROGRAM = pathlib.Path(__file__).resolve().parent.parent / "faults/memory.py"

subprocess.run([sys.executable, PROGRAM, "--sessions", "50", "--mib", "5", "--queue", "256",
                "--seconds", "6"], check=True, timeout=280)
