# SPDX-License-Identifier: MIT
"""How much of the core the unit tests run, held to the numbers of tests/coverage.toml."""

import json
import math
import re
import tomllib
from dataclasses import dataclass
from fnmatch import fnmatchcase

import buildtools
import core
import host
import paths
import ui
from registry import Test

NUMBERS = paths.ROOT / "tests" / "coverage.toml"
UPDATE = "./pvblk coverage --update"
# No number in the file may be lower, in percent.
FLOOR = {"lines": 95.0, "branches": 90.0}
# Above the file's number by more than this, in points: it is time to update.
SLACK = 1.0
CORE = "hw/xen-pvblk/core/"
HEADERS = "include/pvblk/"


@dataclass
class Count:
    lines: int = 0
    lines_run: int = 0
    branches: int = 0
    branches_taken: int = 0

    def add(self, row):
        self.lines += row["line_total"]
        self.lines_run += row["line_covered"]
        self.branches += row["branch_total"]
        self.branches_taken += row["branch_covered"]

    def percent(self):
        return {"lines": 100 * self.lines_run / self.lines if self.lines else 100.0,
                "branches": 100 * self.branches_taken / self.branches if self.branches else 100.0}

    def text(self):
        percent = self.percent()
        return (f"lines {percent['lines']:6.2f} % ({self.lines_run}/{self.lines}), "
                f"branches {percent['branches']:6.2f} % ({self.branches_taken}/{self.branches})")


def tests():
    return [Test("coverage", "the unit tests run what tests/coverage.toml says of the core, and no less", _test,
                 ("coverage",))]


def ensure():
    """The set-up step."""
    host.ensure(host.COVERAGE)
    core.ensure_coverage()


def measure():
    """Runs the unit tests; gcovr's rows, one a file. Markers in a source exclude nothing."""
    for old in paths.CORE_COVERAGE.rglob("*.gcda"):
        old.unlink()
    core.run_tests(paths.CORE_COVERAGE)
    log, report = paths.LOGS / "coverage.log", paths.CORE_COVERAGE / "coverage.json"
    log.unlink(missing_ok=True)
    report.unlink(missing_ok=True)
    ui.run(["gcovr", "--root", paths.ROOT, "--filter", CORE, "--filter", HEADERS, "--no-markers",
            "--json-summary", report, paths.CORE_COVERAGE], log, "gcovr", cwd=paths.ROOT, env=buildtools.environment())
    rows = json.loads(report.read_text())["files"]
    seen = {row["filename"] for row in rows}
    sources = [path.relative_to(paths.ROOT).as_posix() for path in (paths.ROOT / CORE).rglob("*.cc")]
    absent = [name for name in sources if name not in seen]
    if absent:
        raise ui.Problem(f"not measured: {', '.join(absent)}", log)
    return rows


def _report(rows, apart):
    """Says all of it; the sum of what is held to the numbers."""
    held, others = Count(), Count()
    for row in sorted(rows, key=lambda row: row["filename"]):
        one = Count()
        one.add(row)
        outside = any(fnmatchcase(row["filename"], pattern) for pattern in apart)
        (others if outside else held).add(row)
        if one.lines:
            ui.say(f"    {row['filename']:<40} {one.text()}{'  (apart)' if outside else ''}")
    if apart:
        ui.say(f"    {'apart':<40} {others.text()}")
    ui.say(f"    {'held to the numbers':<40} {held.text()}")
    return held.percent()


def _test():
    numbers = tomllib.loads(NUMBERS.read_text())
    measured = _report(measure(), numbers["apart"])
    for what, floor in FLOOR.items():
        if numbers[what] < floor:
            raise ui.Problem(f"{paths.shown(NUMBERS)} says {numbers[what]} % of {what}; the least is {floor} %")
    low = [f"{measured[what]:.2f} % of {what}, not {numbers[what]} %" for what in FLOOR
           if measured[what] < numbers[what]]
    if low:
        raise ui.Problem(f"{'; '.join(low)}. A test is missing for what is new")
    if any(measured[what] > numbers[what] + SLACK for what in FLOOR):
        ui.say(f"    more than {paths.shown(NUMBERS)} says; `{UPDATE}` writes it there")


def update():
    """Writes what is measured into the file, rounded down; never below the floor."""
    text = NUMBERS.read_text()
    measured = _report(measure(), tomllib.loads(text)["apart"])
    for what, floor in FLOOR.items():
        if measured[what] < floor:
            raise ui.Problem(f"{measured[what]:.2f} % of {what} are less than {floor} %: nothing written")
        text = re.sub(rf"^{what} = .*$", f"{what} = {math.floor(10 * measured[what]) / 10}", text, flags=re.M)
    NUMBERS.write_text(text)
    ui.say(f"written: {paths.shown(NUMBERS)}")
