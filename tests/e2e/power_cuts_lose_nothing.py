#!/usr/bin/env python3
"""Power cuts on a real file system, a few of them: see tests/faults/power_cuts.py."""

import pathlib
import random
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "faults"))

from power_cuts import control, honest  # noqa: E402
from volatile_disk import need_disk  # noqa: E402

need_disk()
SEED = random.randrange(1 << 32)
print(f"seed {SEED}")
honest(3, "ext4", SEED, "together")
honest(3, "xfs", SEED, "dsync")
control("ext4", SEED, "fdatasync")
