# SPDX-License-Identifier: MIT
"""`pvblk test`: all tests, one line each, and a summary."""

import os
import sys
import time
import traceback

import core
import coverage
import fuzztests
import guesttests
import ovmftests
import paths
import prooftests
import qtests
import setup
import simtests
import styletests
import ui
import upstreamtests
from registry import Family, Skip, Test, family_matches, matches


def catalogue():
    """Everything there is, the quick ones first."""
    return [
        *styletests.tests(),
        Test("unit", "the C++ core keeps every clause", lambda: core.run_tests(paths.CORE), ("core",)),
        Test("unit-asan", "... and so it does under AddressSanitizer and UndefinedBehaviorSanitizer",
             lambda: core.run_tests(paths.CORE_ASAN), ("core-asan",)),
        *ovmftests.tests(),
        *coverage.tests(),
        *prooftests.tests(),
        *simtests.tests(),
        *fuzztests.tests(),
        *qtests.qos_tests(),
        qtests.ours(),
        *upstreamtests.tests(),
        *guesttests.tests(),
    ]


def show(patterns):
    """`--list`: name and claim."""
    for entry in catalogue():
        if isinstance(entry, Family):
            for test in _listed(entry, patterns):
                print(f"{test.name:<28} {test.claim}")
        elif matches(entry.name, patterns):
            print(f"{entry.name:<28} {entry.claim}")
    return 0


def _listed(family, patterns):
    """The family's tests, or where it is not built yet a line for all of them."""
    if not family_matches(family, patterns):
        return []
    try:
        return [test for test in family.expand() if matches(test.name, patterns)]
    except ui.Problem:
        return [Test(f"{family.name}/*", f"{family.claim} (listed singly once built)", None)]


class Summary:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def line(self):
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def command(patterns):
    """Runs the chosen tests; the exit status. The summary is the last line."""
    summary = Summary()
    try:
        chosen = _choose(patterns)
        _set_up(chosen)
        for test in _expanded(chosen, patterns, summary):
            _run(test, summary)
    except KeyboardInterrupt:
        ui.clear_status()
        print("interrupted")
        summary.failed += 1
    if not summary.passed + summary.failed + summary.skipped:
        print("no test has such a name: " + " ".join(patterns) + " (./pvblk test --list shows them)")
    sys.stdout.flush()
    print(summary.line(), flush=True)
    return 1 if summary.failed or not summary.passed else 0


def _choose(patterns):
    return [entry for entry in catalogue()
            if (family_matches(entry, patterns) if isinstance(entry, Family) else matches(entry.name, patterns))]


def _set_up(chosen):
    """All steps that the chosen tests need, before the first test; one that fails fails its tests later."""
    needs = list(dict.fromkeys(need for entry in chosen for need in entry.needs))
    if needs:
        ui.say("set-up")
    for need in needs:
        try:
            setup.ensure(need)
        except ui.Problem as problem:
            ui.explain(problem)
    ui.say("tests")


def _expanded(chosen, patterns, summary):
    for entry in chosen:
        if isinstance(entry, Test):
            yield entry
            continue
        try:
            setup.ensure(*entry.needs)
            yield from (test for test in entry.expand() if matches(test.name, patterns))
        except ui.Problem as problem:
            _failed(entry.name, problem, summary)


def _run(test, summary):
    ui.status(f"running {test.name}")
    begin = time.monotonic()
    try:
        try:
            setup.ensure(*test.needs)
        except ui.Problem as problem:
            raise ui.Problem(f"set-up: {problem}", problem.log) from problem
        test.run()
    except Skip as skip:
        _skipped(test.name, str(skip), summary)
    except ui.Problem as problem:
        _failed(test.name, problem, summary)
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        # A mistake in a test must not hide the tests after it.
        log = paths.LOGS / "harness-error.log"
        log.write_text(traceback.format_exc())
        _failed(test.name, ui.Problem(f"{type(error).__name__}: {error}", log), summary)
    else:
        summary.passed += 1
        ui.say(f"ok {test.name} ({time.monotonic() - begin:.1f} s)")


def _skipped(name, reason, summary):
    """Where CI says that it is CI, everything should have been there."""
    if os.environ.get("CI") == "true":
        _failed(name, ui.Problem(f"skipped, which CI does not accept: {reason}"), summary)
        return
    summary.skipped += 1
    ui.say(f"skip {name}: {reason}")


def _failed(name, problem, summary):
    summary.failed += 1
    ui.say(f"FAILED {name}: {problem}")
    if problem.log:
        end = ui.tail(problem.log)
        if end:
            ui.say(end)
        ui.say(f"    log: {paths.shown(problem.log)}")
