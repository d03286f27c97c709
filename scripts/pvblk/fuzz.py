# SPDX-License-Identifier: MIT
"""`pvblk fuzz`: libFuzzer on the C++ core for longer than the tests do, or one input step by step."""

import subprocess
import sys

from . import buildtools, paths, ui

TARGETS = ("front", "back", "store", "faults", "virtio")
PROGRAMS = paths.FUZZ / "tests" / "fuzz"
CAMPAIGN = paths.ROOT / "tests" / "fuzz" / "campaign.py"


def _environment():
    env = buildtools.environment()
    env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
    return env


def campaign(target, minutes):
    """Begins with what was found before; returns a sentence with what was done."""
    log = paths.LOGS / f"fuzz-{target}.log"
    log.unlink(missing_ok=True)
    command = [sys.executable, CAMPAIGN, PROGRAMS, target, "--minutes", minutes, "--work", paths.FUZZ_SEEDS / target,
               "--found", paths.FUZZ_FOUND / target, "--failed", paths.FUZZ_FAILED / target]
    try:
        ui.run(command, log, f"fuzz {target}", env=_environment())
    except ui.Problem as problem:
        raise ui.Problem(log.read_text(errors="replace").strip().splitlines()[-1], log) from problem
    return log.read_text(errors="replace").strip().splitlines()[-1]


def replay(target, files):
    """Plays inputs step by step on the terminal; the exit status is the last one's that failed."""
    status = 0
    for file in files:
        ui.say(f"{target}: {file}")
        status = subprocess.run([PROGRAMS / f"fuzz_{target}", "-timeout=10", "-rss_limit_mb=2048", file],
                                env={**_environment(), "PVBLK_FUZZ_SHOW": "1"}).returncode or status
    return 1 if status else 0
