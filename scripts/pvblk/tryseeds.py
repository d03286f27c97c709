# SPDX-License-Identifier: MIT
"""`pvblk try --seed`: made-up fault plans, one after the other. A crash or a hang is shrunk to the fewest rules.

In a guest that keeps the contract, the disk is unplugged and plugged in again for the next plan. That takes a second, and
not a boot. A guest that crashed or hangs is replaced.
"""

import collections
import subprocess
import time
from dataclasses import dataclass, replace

from . import contract, core, images, paths, tryguest, ui
from .trymachine import Machine, arguments
from .tryverdict import BROKEN, CRASHED, GOOD, UNDECIDED, Verdict, report

FOLDER = paths.BUILD / "try"
# Boots that shrinking one plan may take.
MOST_BOOTS = 12


def plan_of(seed):
    """The simulator's."""
    return subprocess.run([paths.CORE / core.SIM, "--plan", str(seed)], capture_output=True, text=True,
                          check=True).stdout


def command(wanted, name):
    """The exit status: the worst of all plans."""
    if wanted.adds_initrd:
        wanted = replace(wanted, hot=True)
    bench = Bench(wanted, name)
    try:
        if wanted.minutes is None:
            return _one(bench, wanted.seed)
        return Campaign(bench).run()
    finally:
        bench.close()


def _one(bench, seed):
    plan = plan_of(seed)
    ui.say(f"try: seed {seed}\n" + _indented(plan))
    verdict = bench.play(plan)
    report(verdict)
    return verdict.status


class Bench:
    """A guest that is ready for the next plan; booted where there is none."""

    def __init__(self, wanted, name):
        self.wanted, self.machine, self.boots = wanted, None, 0
        self._name, self._folder = name, images.folder(name)

    def close(self):
        if self.machine:
            self.machine.__exit__()
            self.machine = None

    def play(self, plan):
        """The Verdict on one plan."""
        file = self._folder / "plan.faults"
        file.write_text(plan)
        wanted = replace(self.wanted, faults=file)
        machine = self.machine or self._boot(wanted)
        answers = tryguest.follow_plan(machine, wanted) if wanted.hot else tryguest.follow(machine, wanted)
        verdict = Verdict(machine, answers, wanted)
        over = verdict.status == CRASHED or machine.end or machine.gave_up
        if not wanted.hot or over or not tryguest.give_back(machine):
            self.close()
        return verdict

    def _boot(self, wanted):
        self.boots += 1
        self.machine = Machine(self._name, arguments(wanted, self._folder, wanted.faults, "quiet")).__enter__()
        return self.machine


@dataclass
class Finding:
    """`faults` alone suffice to make it happen."""

    seed: int
    signature: str
    faults: frozenset

    def explains(self, verdict):
        return self.signature == verdict.signature and (not verdict.hung or self.faults <= verdict.fired)


class Campaign:
    """Plans by seed until the time is over."""

    def __init__(self, bench):
        self.bench, self.wanted = bench, bench.wanted
        self.outcomes, self.findings = collections.Counter(), []
        self.begin = time.monotonic()

    def _passed(self):
        return time.monotonic() - self.begin

    def _has_time(self):
        return self._passed() < self.wanted.minutes * 60

    def run(self):
        seed = self.wanted.seed
        while self._has_time():
            plan = plan_of(seed)
            verdict = self.bench.play(plan)
            self.outcomes[verdict.status] += 1
            ui.say(f"seed {seed}: {verdict.sentence}\n" + _indented(plan))
            if verdict.status in (BROKEN, CRASHED):
                self._note(seed, plan, verdict)
            seed += 1
        self._sum_up(seed)
        return next((status for status in (CRASHED, BROKEN, GOOD) if self.outcomes[status]), UNDECIDED)

    def _note(self, seed, plan, verdict):
        """What nothing before explains is looked into."""
        known = next((finding for finding in self.findings if finding.explains(verdict)), None)
        if known:
            what = ", ".join(sorted(known.faults)) if verdict.hung else verdict.signature
            ui.say(f"  as seed {known.seed}: {what or verdict.signature}")
            return
        ui.say(f"  again: {self.wanted.command(seed=seed, minutes=None, hot=False)}")
        faults = self._shrink(seed, plan, verdict) if verdict.status == CRASHED else frozenset()
        self.findings.append(Finding(seed, verdict.signature, faults))

    def _shrink(self, seed, plan, verdict):
        """Leaves a plan of the fewest rules; the faults of that."""
        before, faults, repeats = self.bench.boots, verdict.fired, False
        if not self._has_time():
            ui.say("  no time is left to shrink it; give more --minutes")
            return faults

        def happens(lines):
            nonlocal faults, repeats
            if self.bench.boots - before >= MOST_BOOTS or (repeats and not self._has_time()):
                return False
            self.bench.close()
            again = self.bench.play("".join(lines))
            if again.signature == verdict.signature:
                faults, repeats = again.fired, True
            return again.signature == verdict.signature

        lines = plan.splitlines(keepends=True)
        if not happens(lines):
            ui.say("  in a new guest this plan alone does not do it: earlier plans, or chance, have a part in it")
            return faults
        FOLDER.mkdir(parents=True, exist_ok=True)
        file = FOLDER / f"seed-{seed}.faults"
        file.write_text("".join(shrink(lines, happens)))
        ui.say(f"  the fewest rules that do it:\n{_indented(file.read_text())}\n  again: "
               + self.wanted.command(seed=None, minutes=None, faults=file))
        return faults

    def _sum_up(self, end):
        names = {GOOD: "all well", BROKEN: "a clause broken", UNDECIDED: "not connected", CRASHED: "crash or hang"}
        ui.say(f"try: seeds {self.wanted.seed} to {end - 1} in {self._passed():.0f} s and {self.bench.boots} boots: "
               + ", ".join(f"{self.outcomes[status]} {name}" for status, name in names.items() if self.outcomes[status]))
        for finding in self.findings:
            ui.say(f"  seed {finding.seed}: {finding.signature}: {', '.join(sorted(finding.faults)) or 'no fault'}")


def shrink(lines, happens):
    """The rules without which it does not happen; a plan's seed stays."""
    for index in reversed(range(len(lines))):
        fewer = lines[:index] + lines[index + 1:]
        if not lines[index].startswith("seed ") and any(line.startswith("at ") for line in fewer) and happens(fewer):
            lines = fewer
    return lines


def _indented(plan):
    return "\n".join(f"    {line}" for line in plan.splitlines())
