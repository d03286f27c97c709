#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The simulator is itself under test: a seed is always the same run, and each oracle can fail.

    check.py again PVBLK_SIM       the same seeds are the same runs, in one process or in several, and the same plans
    check.py canaries PVBLK_SIM    each oracle finds the lie that is meant for it
"""

import subprocess
import sys

AGAIN_SEEDS = 300
CANARY_SEEDS = 200
# Lies that the oracles are not told of, and what one of them has to say.
CANARIES = {
    "data": "a read shows what",
    "memory": "memory changes after its request has ended",
    "twice": "a request is completed twice",
    "lost": "accepted() is not what waits",
    "slot": "a slot of a ring is loaded twice",
    "cache": "a lost cache takes a sector along that was stable",
}


def play(program, *words):
    """(status, output) of the simulator."""
    answer = subprocess.run([program, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return answer.returncode, answer.stdout


def again(program):
    sums = []
    for jobs in (2, 2, 1):
        status, text = play(program, "--seeds", AGAIN_SEEDS, "--jobs", jobs)
        sums.append(text.strip().splitlines()[-1])
        if status:
            sys.exit(text)
        print(f"{jobs} at a time: {sums[-1]}")
    if sums[0] != sums[1]:
        sys.exit("the same seeds, and other runs")
    # The hash is put together from those of the processes.
    if sums[0].rpartition(";")[0] != sums[2].rpartition(";")[0]:
        sys.exit("runs depend on their processes")
    plans = [play(program, "--plan", seed) for seed in (7, 7, 8)]
    if plans[0] != plans[1] or plans[0] == plans[2] or not plans[0][1].startswith(("seed ", "at ")):
        sys.exit(f"a seed's plan is not its own: {plans}")


def canaries(program):
    for canary, sentence in CANARIES.items():
        status, text = play(program, "--seeds", CANARY_SEEDS, "--canary", canary)
        said = next((line for line in text.splitlines() if line.startswith("FAILED ")), "nothing")
        print(f"{canary}: {said}")
        if not status or sentence not in said:
            sys.exit(f"no oracle found the canary '{canary}' and said '{sentence}'")


{"again": again, "canaries": canaries}[sys.argv[1]](sys.argv[2])
