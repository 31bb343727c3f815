#!/usr/bin/env python3
"""A queue of some thousand messages drains, and new mail does not wait behind it; the small form of
tests/faults/backlog.py, on one shard: of several, one may hold all connections to the backend while
its own queue drains."""

import pathlib
import subprocess
import sys

PROGRAM = pathlib.Path(__file__).resolve().parent.parent / "faults/backlog.py"

subprocess.run([sys.executable, PROGRAM, "4000", "--idle", "1"], check=True, timeout=250)
