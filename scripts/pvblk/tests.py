# SPDX-License-Identifier: MIT
"""`pvblk test`: chooses tests by name, sets up what they need, has pytest run them, and sums up.

pytest runs Meson's tests as well (tests/test_core.py), so that its options mean the same for all. It is imported where
it is used: on a new machine it is installed first.
"""

import importlib.util
import io
import sys
from contextlib import redirect_stdout

from . import host, paths, setup, ui

# Tests that are known only after a build: one stands for all of them until then, and its name ends so.
NOT_BUILT = "/*"


class Catalogue:
    """A plugin of pytest's: the tests that are chosen."""

    def __init__(self):
        self.items = []
        self.errors = []
        self.processes = None

    def pytest_collection_finish(self, session):
        self.items = session.items
        self.processes = session.config.getoption("numprocesses", default=None)

    def pytest_collectreport(self, report):
        if report.failed:
            self.errors.append(report.longreprtext)

    def needs(self):
        markers = [marker for item in self.items for marker in item.iter_markers("needs")]
        return list(dict.fromkeys(step for marker in markers for step in marker.args))

    def names(self):
        return {item.nodeid: item.name_and_claim[0] for item in self.items}


class Reporter:
    """A plugin of pytest's: a line a test, and what a failure says as soon as it is there.

    It is in the process that the user started; where xdist has others, these run the tests.
    """

    def __init__(self, names):
        self.names = names
        self.counts = {"passed": 0, "failed": 0, "skipped": 0}
        self.running = {}

    def pytest_configure_node(self, node):
        node.workerinput["set-up"] = setup.outcome()

    def pytest_internalerror(self, excrepr):
        self.failed(str(excrepr))

    def pytest_runtest_logstart(self, nodeid):
        self.running[nodeid] = self.names.get(nodeid, nodeid)
        self._show_running()

    def pytest_runtest_logfinish(self, nodeid):
        self.running.pop(nodeid, None)
        self._show_running()

    def _show_running(self):
        if self.running:
            done = sum(self.counts.values())
            ui.status(f"{ui.bar(done, len(self.names))} {', '.join(self.running.values())}")

    def pytest_runtest_logreport(self, report):
        if report.passed and report.when != "call":
            return
        self.counts[report.outcome] += 1
        name = dict(report.user_properties).get("name", report.nodeid)
        if report.passed:
            ui.say(f"ok {name} ({report.duration:.1f} s)")
            for line in report.capstdout.splitlines():
                ui.say(f"    {line}")
        elif report.skipped:
            ui.say(f"skip {name}: {report.longrepr[-1].removeprefix('Skipped: ')}")
        else:
            # A sentence of tests/conftest.py's; else what pytest or xdist have to say.
            text = report.longrepr if isinstance(report.longrepr, str) else report.longreprtext
            ui.say(f"FAILED {name}: {text}")

    def pytest_collectreport(self, report):
        if report.failed:
            self.failed(report.longreprtext)

    def failed(self, text):
        self.counts["failed"] += 1
        ui.say(f"FAILED {text}")

    def summary(self):
        return ", ".join(f"{count} {outcome}" for outcome, count in self.counts.items())


def _pytest(words, plugin):
    """One run of pytest in this process; its exit status."""
    try:
        import pytest
    except ImportError as error:
        raise ui.Problem(f"{sys.executable} has no pytest. On Debian, install python3-pytest") from error
    options = ["-p", "pvblk.testnames", "--rootdir", str(paths.ROOT), "-c", str(paths.ROOT / "pytest.ini"),
               "-o", f"cache_dir={paths.BUILD / 'pytest'}"]
    return pytest.main([*options, *words], plugins=[plugin])


def _collect(words):
    """What is chosen; what pytest prints is of use only where there is an error in the words or the tests."""
    catalogue = Catalogue()
    output = io.StringIO()
    with redirect_stdout(output):
        status = _pytest(["--collect-only", *words], catalogue)
    if catalogue.errors:
        raise ui.Problem("pytest cannot collect the tests: " + "\n".join(catalogue.errors))
    if status not in (0, 5):
        raise ui.Problem(output.getvalue().strip() or f"pytest ended with status {int(status)}")
    return catalogue


def _collect_here(words):
    if not all(map(importlib.util.find_spec, ("pytest", "xdist"))):
        host.ensure(host.TEST)
        importlib.invalidate_caches()
    return _collect(words)


def show(words):
    """`--list`: name and claim."""
    for item in _collect_here(words).items:
        name, claim = item.name_and_claim
        print(f"{name:<28} {claim}")
    return 0


def command(words, all_is_built):
    """Runs the chosen tests; the exit status. The summary is the last line."""
    reporter = Reporter({})
    try:
        catalogue = _collect_here(words)
        if catalogue.items:
            _set_up(catalogue.needs())
            if any(name.endswith(NOT_BUILT) for name in catalogue.names().values()):
                catalogue = _collect(words)
            all_is_built()
            reporter.names = catalogue.names()
            _run(words, catalogue, reporter)
        else:
            print("no test has such a name; ./pvblk test --list shows them")
    except ui.Problem as problem:
        ui.explain(problem)
        reporter.counts["failed"] += 1
    except KeyboardInterrupt:
        ui.clear_status()
        print("interrupted")
        reporter.counts["failed"] += 1
    ui.clear_status()
    sys.stdout.flush()
    print(reporter.summary(), flush=True)
    return 0 if reporter.counts["passed"] and not reporter.counts["failed"] else 1


def _set_up(needs):
    """All steps that the chosen tests need, before the first test; one that fails fails its tests later."""
    if needs:
        ui.say("set-up")
    for need in needs:
        try:
            setup.ensure(need)
        except ui.Problem as problem:
            ui.explain(problem)
    ui.say("tests")


def _run(words, catalogue, reporter):
    processes = []
    if catalogue.processes is None and len(catalogue.items) > 1 and host.processors() > 1:
        # Guests have up to four vCPUs: more than two at a time would need a much larger machine.
        processes = ["-n", "2"]
    status = _pytest([*processes, *words], reporter)
    if status and not reporter.counts["failed"]:
        reporter.failed("interrupted" if status == 2 else f"pytest ended with status {int(status)}")
