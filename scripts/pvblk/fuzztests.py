# SPDX-License-Identifier: MIT
"""libFuzzer on the C++ core: a minute of each target as a test, longer and single inputs by `pvblk fuzz`."""

import os
import re
import shutil
import subprocess

import buildtools
import paths
import ui
from registry import Test

TARGETS = {
    "front": "a hostile backend: no crash, each request ends once, nothing leaks, bounded work",
    "back": "a hostile frontend: no crash, the disk's limits hold, one answer a request, no page stays mapped",
    "store": "any XenStore contents: refused with a clause, or a plan that the rest can compute with",
    "faults": "any text as a fault plan: refused in a sentence, or its own text means the same",
    "virtio": "a hostile virtio-blk driver: each element comes back once, with the right length, memory and status",
}
MAX_BYTES = 2048
# A loaded machine does several times as many in a minute; a run that is stuck does not.
MINIMUM_EXECUTIONS = 2000
LIMITS = [f"-max_len={MAX_BYTES}", "-timeout=10", "-rss_limit_mb=2048"]


def tests():
    return [Test("fuzz/seeds", "each seed of the fuzz targets means what its name says", _seeds, ("fuzz",)),
            *(Test(f"fuzz/{target}", f"a minute of fuzzing by {claim}", lambda target=target: _minute(target), ("fuzz",))
              for target, claim in TARGETS.items())]


def _program(name):
    return paths.FUZZ / "tests" / "fuzz" / f"fuzz_{name}"


def _environment():
    env = buildtools.environment()
    env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
    return env


def _seeds():
    """Plays and asserts all seeds, and leaves them in folders, one a target."""
    log = paths.LOGS / "fuzz-seeds.log"
    log.unlink(missing_ok=True)
    buildtools.reset(paths.FUZZ_SEEDS)
    # What makes a target loop makes its seed loop, and no libFuzzer watches here.
    ui.run(["timeout", "120", _program("corpus"), paths.FUZZ_SEEDS], log, "fuzz seeds", env=_environment())
    for target in TARGETS:
        files = list((paths.FUZZ_SEEDS / target).glob("*"))
        if not files or max(path.stat().st_size for path in files) > MAX_BYTES:
            raise ui.Problem(f"the target {target} has no seeds, or one that is longer than {MAX_BYTES} bytes", log)


def _minute(target):
    """From the seeds alone, so that a run on one machine is like that on another."""
    shutil.rmtree(paths.FUZZ_FOUND / f"{target}-test", ignore_errors=True)
    ui.say("    " + campaign(target, 1, f"{target}-test"))


def campaign(target, minutes, found=None):
    """Fuzzes; returns a sentence with what was done, or raises with the command that repeats the failure."""
    _seeds()
    name = found or target
    corpus, failed = paths.FUZZ_FOUND / name, paths.FUZZ_FAILED / target
    corpus.mkdir(parents=True, exist_ok=True)
    failed.mkdir(parents=True, exist_ok=True)
    before = set(failed.iterdir())
    log = paths.LOGS / f"fuzz-{name}.log"
    log.unlink(missing_ok=True)
    command = [_program(target), f"-max_total_time={60 * minutes}", "-print_final_stats=1", *LIMITS,
               f"-artifact_prefix={failed}/", corpus, paths.FUZZ_SEEDS / target]
    try:
        ui.run(command, log, f"fuzz {target}", env=_environment())
    except ui.Problem as problem:
        inputs = sorted(set(failed.iterdir()) - before)
        if not inputs:
            raise
        said = re.search(r"^ORACLE: (.*)$", log.read_text(errors="replace"), re.MULTILINE)
        raise ui.Problem(f"fuzz {target}: {said[1] if said else 'see the report'}. To repeat it: ./pvblk fuzz {target} "
                         f"{paths.shown(inputs[0])}", log) from problem
    return _judge(target, log)


def _judge(target, log):
    """That it ran, and that it began with every seed."""
    text = log.read_text(errors="replace")
    seeds = len(list((paths.FUZZ_SEEDS / target).iterdir()))
    loaded = re.search(r"^INFO: seed corpus: files: (\d+)", text, re.MULTILINE)
    begun = re.search(r"^#(\d+)\s+INITED cov: (\d+)", text, re.MULTILINE)
    end = re.search(r"^#\d+\s+DONE\s+cov: (\d+)", text, re.MULTILINE)
    executed = re.search(r"^stat::number_of_executed_units: (\d+)", text, re.MULTILINE)
    if not (loaded and begun and end and executed):
        raise ui.Problem(f"fuzz {target}: libFuzzer did not say what it did", log)
    # libFuzzer runs an empty input first, then every seed, before it says INITED.
    if int(loaded[1]) < seeds or int(begun[1]) <= seeds:
        raise ui.Problem(f"fuzz {target}: began with {begun[1]} inputs, and there are {seeds} seeds", log)
    if int(executed[1]) < MINIMUM_EXECUTIONS or int(end[1]) < int(begun[2]):
        raise ui.Problem(f"fuzz {target}: {executed[1]} executions, {begun[2]} and then {end[1]} edges: it hardly ran",
                         log)
    return (f"{target}: {executed[1]} executions, {end[1]} edges, of which {begun[2]} by {loaded[1]} inputs that it "
            "began with")


def replay(target, files):
    """Plays inputs step by step on the terminal; the exit status is the last one's that failed."""
    status = 0
    for file in files:
        ui.say(f"{target}: {file}")
        status = subprocess.run([str(_program(target)), *LIMITS, file],
                                env={**_environment(), "PVBLK_FUZZ_SHOW": "1"}).returncode or status
    return 1 if status else 0
