#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Proofs of the ring: its templates under Relacy, a model with time under Spin, and defects that both have to find.

    prove.py relacy WORK RING_PROOF          each search of the ring as it is
    prove.py mutants-ring WORK RING_PROOF    each defect of mutants.toml is found in the way that stands there
    prove.py spin WORK                       the model as it is
    prove.py mutants-spin WORK               ... and with each defect

WORK is a folder for logs, copies and verifiers; RING_PROOF is the program of relacy/ring_proof.cc. Meson calls this.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SOURCES = Path(__file__).resolve().parent
ROOT = SOURCES.parents[1]
RELACY = SOURCES / "relacy" / "ring_proof.cc"
SPIN = SOURCES / "spin" / "ring.pml"
MUTANTS = SOURCES / "mutants.toml"
CORE = ROOT / "hw" / "xen-pvblk" / "core"
RING = CORE / "proto" / "ring.h"

# All interleavings of small sizes; above that all with so many preemptions, and as many at random. The longest first.
SEARCHES = [
    ("round-trip", "full"),
    ("round-trip-2-slots", "bound", "2"),
    ("requests-2", "full"),
    ("requests-3", "full"),
    ("responses-2", "full"),
    ("responses-3", "full"),
    ("round-trip-1-slot", "bound", "4"),
    ("round-trip-1-slot", "random", "200000"),
    ("round-trip-2-slots", "random", "200000"),
    ("requests-4", "random", "500000"),
    ("responses-4", "random", "500000"),
]
# What finds a mutant is found within the first hundred.
MUTANT_SEARCH = ("random", "20000")
SECONDS = 1800
# Spin's verifiers: (flags of the compiler, of the program). A claim hides dead ends, hence two.
SAFETY = (["-DSAFETY", "-DNOCLAIM"], [])
LIVENESS = ([], ["-a", "-f"])
DEPTH = "-m100000"


class Problem(Exception):
    """What is wrong, and in which log more of it is."""

    def __init__(self, message, log=None):
        super().__init__(f"{message} (log: {log})" if log else message)


def _run(command, log, cwd=None):
    """Runs a command with its output in a log; (status, output)."""
    words = [str(word) for word in command]
    with open(log, "w") as out:
        try:
            status = subprocess.run(["nice", *words], stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                    cwd=cwd, timeout=SECONDS).returncode
        except subprocess.TimeoutExpired:
            raise Problem(f"no end after {SECONDS} s: {' '.join(words)}", log) from None
    return status, log.read_text(errors="replace")


def _must(command, log, cwd=None):
    if _run(command, log, cwd)[0]:
        raise Problem(f"failed: {' '.join(map(str, command))}", log)


def _log(name):
    return WORK / f"{name}.log"


def _fresh(folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _in_parallel(work, entries):
    """All of them, even where some fail: these are one Problem afterwards."""
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        futures = [pool.submit(work, entry) for entry in entries]
    problems = [future.exception() for future in futures if future.exception()]
    for problem in problems:
        if not isinstance(problem, Problem):
            raise problem
    if problems:
        raise Problem("; ".join(map(str, problems)))
    return [future.result() for future in futures]


# ---- Relacy ----

def _compile_relacy(program, headers, options):
    """In two steps: ccache keeps objects, not programs."""
    log = _log(f"{program.name}-build")
    thing = program.with_suffix(".o")
    _must(["g++", "-std=c++20", *options, f"-I{headers}", f"-I{CORE}", f"-I{ROOT / 'include'}", "-c", RELACY,
           "-o", thing], log)
    _must(["g++", thing, "-o", program], log)


def _search(program, words, name):
    """(interleavings, verdict) of one search."""
    log = _log(name)
    status, text = _run([program, *words], log)
    found = re.search(r"^\S+: .*, (\d+) interleavings, (.+)$", text, re.M)
    if not found or status not in (0, 1) or (status == 0) != (found[2] == "SUCCESS"):
        raise Problem(f"{' '.join(words)}: status {status} and no verdict", log)
    return int(found[1]), found[2], log


def relacy():
    def one(words):
        count, verdict, log = _search(PROGRAM, words, "-".join(words))
        if verdict != "SUCCESS":
            raise Problem(f"{' '.join(words)}: {verdict}, interleaving {count}", log)
        # Anything less means that the threads hardly met.
        if count < 1000:
            raise Problem(f"{' '.join(words)}: only {count} interleavings", log)
        return f"{' '.join(words)}: {count} interleavings"
    for line in _in_parallel(one, SEARCHES):
        print(line)


# ---- Spin ----

def _verify(folder, name, flags, optimise="-O2"):
    """Makes the verifier of folder/ring.pml and runs it; its output and log."""
    compiler, options = flags
    _must(["spin", "-a", "ring.pml"], _log(f"{name}-spin"), folder)
    _must(["gcc", optimise, "-w", *compiler, "-o", "pan", "pan.c"], _log(f"{name}-gcc"), folder)
    status, text = _run(["./pan", DEPTH, *options], _log(name), folder)
    if status or "max search depth too small" in text or not re.search(r"errors: \d", text):
        raise Problem(f"{name}: the search is not complete", _log(name))
    return text, _log(name)


def _model(name, text):
    folder = _fresh(WORK / name)
    (folder / "ring.pml").write_text(text)
    return folder


def spin():
    def one(entry):
        name, flags = entry
        text, log = _verify(_model(f"spin-{name}", SPIN.read_text()), f"spin-{name}", flags)
        if "errors: 0" not in text:
            raise Problem(f"{name}: Spin found an error; `spin -t -p ring.pml` beside the verifier shows it", log)
        # Statements that no run reaches would be claims about nothing. The claim stops where all requests ended.
        unreached = [line for line in re.findall(r"^\t(ring\.pml:.*)$", text, re.M) if '"-end-"' not in line]
        if unreached and flags == SAFETY:
            raise Problem(f"{name}: the model has dead statements: {unreached[0]}", log)
        states = re.search(r"(\S+) states, stored", text)[1]
        return f"{name}: {states} states"
    for line in _in_parallel(one, [("safety", SAFETY), ("liveness", LIVENESS)]):
        print(line)


# ---- mutants ----

def _catalogue(kind):
    entries = tomllib.loads(MUTANTS.read_text()).get(kind, [])
    if not entries:
        raise Problem(f"{MUTANTS} has no [[{kind}]]")
    return entries


def _mutate(source, mutant):
    text = source.read_text()
    count = text.count(mutant["old"])
    if count != 1:
        raise Problem(f"{mutant['name']}: what it replaces is {count} times in {source.name}; mend "
                      f"{MUTANTS}")
    return text.replace(mutant["old"], mutant["new"])


def _kill(label, mutant, program, words):
    count, verdict, log = _search(program, [mutant["scenario"], *MUTANT_SEARCH, *words], label)
    if verdict == "SUCCESS":
        raise Problem(f"{label} survives {mutant['scenario']}: {mutant.get('defect', '')}", log)
    if verdict != mutant["finds"]:
        raise Problem(f"{label}: found as {verdict}, not as {mutant['finds']}", log)


def mutants_ring():
    def fault(mutant):
        words = [mutant["side"], mutant["fault"]]
        _kill("-".join([*words, mutant["scenario"]]), mutant, PROGRAM, words)

    def patch(mutant):
        headers = _fresh(WORK / f"ring-{mutant['name']}")
        (headers / "proto").mkdir()
        (headers / "proto" / RING.name).write_text(_mutate(RING, mutant))
        program = headers / mutant["name"]
        # A mutant's interleavings are few, and compiling takes longer than they do.
        _compile_relacy(program, headers, ["-O0", "-w"])
        _kill(mutant["name"], mutant, program, [])
    faults, patches = _catalogue("fault"), _catalogue("ring")
    found = _in_parallel(lambda mutant: patch(mutant) if "old" in mutant else fault(mutant), faults + patches)
    print(f"{len(found)} of {len(faults) + len(patches)} found")


def mutants_spin():
    def one(mutant):
        name = f"mutant-{mutant['name']}"
        flags = LIVENESS if mutant["finds"] == "acceptance cycle" else SAFETY
        text, log = _verify(_model(name, _mutate(SPIN, mutant)), name, flags, "-O0")
        if "errors: 0" in text:
            raise Problem(f"{mutant['name']} survives: {mutant['defect']}", log)
        if mutant["finds"] not in text:
            raise Problem(f"{mutant['name']}: found, but not as {mutant['finds']}", log)
    mutants = _catalogue("spin")
    found = _in_parallel(one, mutants)
    print(f"{len(found)} of {len(mutants)} found")


def main():
    global WORK, PROGRAM
    what, WORK, PROGRAM = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[-1])
    WORK.mkdir(parents=True, exist_ok=True)
    try:
        {"relacy": relacy, "spin": spin, "mutants-ring": mutants_ring, "mutants-spin": mutants_spin}[what]()
    except Problem as problem:
        sys.exit(str(problem))


main()
