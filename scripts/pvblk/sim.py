# SPDX-License-Identifier: MIT
"""`pvblk sim`: the simulator, a frontend, a backend and everything between them, by seed."""

import os
import subprocess

from . import core, paths


def command(words):
    """The simulator's own output; returns its exit status."""
    if "--jobs" not in words and "--show" not in words:
        words = ["--jobs", str(os.cpu_count() or 1), *words]
    return subprocess.run([paths.CORE / core.SIM, *words]).returncode
