# SPDX-License-Identifier: MIT
"""The simulator: a frontend, a backend and everything between them, by seed. Tests, and `pvblk sim`."""

import os
import re
import subprocess

import core
import paths
import ui
from registry import Test

TARGET = "tests/sim/pvblk-sim"
# Enough for each cell of the table; 10 000 leave some with two or three.
SEEDS = 20000
ASAN_SEEDS = 1000
AGAIN_SEEDS = 300
CANARY_SEEDS = 200
# Lies that the oracles are not told of, and what one of them has to say.
CANARIES = {
    "data": "a read shows what",
    "memory": "memory changes after its request has ended",
    "twice": "a request is completed twice",
    "lost": "accepted() is not what waits",
    "slot": "a slot of a ring is loaded twice",
}


def tests():
    return [
        Test("sim/seeds", f"{SEEDS} runs by seed, half with faults to the end, half where all has to recover: all oracles "
             "hold, and every fault and every rare state was met", _seeds, ("sim",)),
        Test("sim/asan", "... and some of them under AddressSanitizer and UndefinedBehaviorSanitizer", _asan,
             ("sim-asan",)),
        Test("sim/again", "the same seeds are the same runs, in one process or in several", _again, ("sim",)),
        Test("sim/canaries", "each oracle finds the lie that is meant for it", _canaries, ("sim",)),
    ]


def ensure():
    core.build(paths.CORE, [], targets=[TARGET])


def ensure_asan():
    core.build(paths.CORE_ASAN, core.SANITIZERS, targets=[TARGET])


def _progress(line):
    """What the status line shows: the simulator tells how far it is."""
    found = re.fullmatch(r"progress (\d+)/(\d+)", line)
    return ui.bar(int(found[1]), int(found[2])) if found else None


def run(words, builddir=None, name="sim"):
    """Runs the simulator and returns what it printed; what an oracle says is the Problem's text."""
    log = paths.LOGS / f"{name}.log"
    log.unlink(missing_ok=True)
    command = [(builddir or paths.CORE) / TARGET, "--jobs", os.cpu_count() or 1, *words]
    env = {**os.environ, "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"}
    try:
        ui.run(command, log, name, parse=_progress, env=env)
    except ui.Problem as problem:
        text = log.read_text(errors="replace")
        said = re.search(r"^FAILED (.*)$", text, re.MULTILINE)
        seed = re.search(r"^  seed (\d+),", text, re.MULTILINE)
        if said and seed:
            raise ui.Problem(f"sim: {said[1]}. To see it again: ./pvblk sim --seed {seed[1]} --show", log) from problem
        missed = re.findall(r"^MISSED (.*)$", text, re.MULTILINE)
        if missed:
            raise ui.Problem(f"sim: these seeds never met: {'; '.join(missed)}", log) from problem
        raise
    return log.read_text()


def _summary(text):
    """The table, and the line of sums."""
    return text[text.index("\nfaults, by group"):].strip().splitlines()


def _seeds():
    text = run(["--seeds", SEEDS, "--all"])
    for line in _summary(text):
        ui.say("    " + line)


def _asan():
    run(["--seeds", ASAN_SEEDS], paths.CORE_ASAN, "sim-asan")


def _again():
    sums = []
    for number in range(2):
        sums.append(_summary(run(["--seeds", AGAIN_SEEDS], name=f"sim-again-{number}"))[-1])
    if sums[0] != sums[1]:
        raise ui.Problem(f"the same seeds, and other runs: {sums[0]} and {sums[1]}")
    # The hash is put together from those of the processes.
    alone = _summary(run(["--seeds", AGAIN_SEEDS, "--jobs", 1], name="sim-again-alone"))[-1]
    if sums[0].rpartition(";")[0] != alone.rpartition(";")[0]:
        raise ui.Problem(f"runs depend on their processes: {sums[0]} and {alone}")


def _canaries():
    for canary, sentence in CANARIES.items():
        try:
            run(["--seeds", CANARY_SEEDS, "--canary", canary], name=f"sim-canary-{canary}")
        except ui.Problem as problem:
            if sentence in str(problem):
                continue
            raise ui.Problem(f"the canary '{canary}' was found, but not as '{sentence}': {problem}", problem.log) from problem
        raise ui.Problem(f"no oracle found the canary '{canary}'", paths.LOGS / f"sim-canary-{canary}.log")


def command(words):
    """`pvblk sim WORDS`: the simulator's own output; returns its exit status."""
    if "--jobs" not in words and "--show" not in words:
        words = ["--jobs", str(os.cpu_count() or 1), *words]
    return subprocess.run([paths.CORE / TARGET, *words]).returncode
