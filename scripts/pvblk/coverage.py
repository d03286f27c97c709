# SPDX-License-Identifier: MIT
"""How much of the core the unit tests run, held to the numbers of tests/coverage.toml."""

import json
import math
import re
import tomllib

from . import buildtools, core, host, paths, ui

NUMBERS = paths.ROOT / "tests" / "coverage.toml"
UPDATE = "./pvblk coverage --update"
# No number in the file may be lower, in percent.
FLOOR = {"lines": 95.0, "branches": 90.0}
# Above the file's number by more than this, in points: it is time to update.
SLACK = 1.0
CORE = "hw/xen-pvblk/core/"
HEADERS = "include/pvblk/"


def ensure():
    """The set-up step."""
    host.ensure(host.COVERAGE)
    core.ensure_coverage()


def measure():
    """Runs the unit tests, and says what they ran of each file; percentages of all. No marker excludes anything."""
    for old in paths.CORE_COVERAGE.rglob("*.gcda"):
        old.unlink()
    core.run_tests(paths.CORE_COVERAGE, "unit")
    log, report = paths.LOGS / "coverage.log", paths.CORE_COVERAGE / "coverage.json"
    log.unlink(missing_ok=True)
    report.unlink(missing_ok=True)
    ui.run(["gcovr", "--root", paths.ROOT, "--filter", CORE, "--filter", HEADERS, "--no-markers",
            "--json-summary", report, paths.CORE_COVERAGE], log, "gcovr", cwd=paths.ROOT, env=buildtools.environment())
    summary = json.loads(report.read_text())
    seen = {row["filename"] for row in summary["files"]}
    sources = [path.relative_to(paths.ROOT).as_posix() for path in (paths.ROOT / CORE).rglob("*.cc")]
    absent = [name for name in sources if name not in seen]
    if absent:
        raise ui.Problem(f"gcovr measured nothing of {', '.join(absent)}", log)
    for row in sorted(summary["files"], key=lambda row: row["filename"]):
        if row["line_total"]:
            branches = row["branch_percent"] if row["branch_total"] else 100.0
            ui.say(f"{row['filename']:<40} lines {row['line_percent']:5} %, branches {branches:5} %")
    percent = {what: 100 * summary[f"{name}_covered"] / summary[f"{name}_total"]
               for what, name in (("lines", "line"), ("branches", "branch"))}
    ui.say(f"{'all':<40} " + ", ".join(f"{what} {value:.2f} %" for what, value in percent.items()))
    return percent


def compare():
    """Held to the numbers of the file; a Problem where it is less."""
    numbers = tomllib.loads(NUMBERS.read_text())
    measured = measure()
    for what, floor in FLOOR.items():
        if numbers[what] < floor:
            raise ui.Problem(f"{paths.shown(NUMBERS)} says {numbers[what]} % of {what}; it must say at least {floor} %")
    low = [f"{measured[what]:.2f} % of {what}, not {numbers[what]} %" for what in FLOOR
           if measured[what] < numbers[what]]
    if low:
        raise ui.Problem(f"the unit tests run {'; '.join(low)}. Add tests for the new code")
    if any(measured[what] > numbers[what] + SLACK for what in FLOOR):
        ui.say(f"the coverage is higher than {paths.shown(NUMBERS)} says; write it there with `{UPDATE}`")


def update():
    """Writes what is measured into the file, rounded down; never below the floor."""
    text = NUMBERS.read_text()
    measured = measure()
    for what, floor in FLOOR.items():
        if measured[what] < floor:
            raise ui.Problem(f"the unit tests run {measured[what]:.2f} % of {what}, not {floor} %; nothing was written")
        text = re.sub(rf"^{what} = .*$", f"{what} = {math.floor(10 * measured[what]) / 10}", text, flags=re.M)
    NUMBERS.write_text(text)
    ui.say(f"written: {paths.shown(NUMBERS)}")
