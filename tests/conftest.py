# SPDX-License-Identifier: MIT
"""What all pytest tests of the project share: names and claims, set-up, what a failure says."""

import os

import pytest

from pvblk import lock, paths, setup, testnames, ui

# The quick ones first.
GROUPS = ("style", "command", "unit", "unit-asan", "examples", "library", "ovmf", "ovmf-asan", "uboot",
          "uboot-asan", "coverage", "proof", "sim", "fuzz", "conformance", "qos", "qtest", "upstream", "guest", "xen", "real-xen", "gdb")


def pytest_configure(config):
    # A worker of xdist gets what the set-up came to; else each test sees to it that what it needs is there.
    setup.remember(getattr(config, "workerinput", {}).get("set-up", {}))


def pytest_collection_modifyitems(config, items):
    for item in items:
        marker = item.get_closest_marker("claim")
        if not marker:
            raise pytest.UsageError(f"{item.nodeid} has no claim")
        values = item.callspec.params if hasattr(item, "callspec") else {}
        item.name_and_claim = tuple(text.format_map(values) for text in marker.args)
        item.extra_keyword_matches.add(item.name_and_claim[0])
        item.user_properties += zip(("name", "claim"), item.name_and_claim)
    # Those that want the machine for themselves come together, at the end.
    items.sort(key=lambda item: (bool(item.get_closest_marker("alone")), _group(item)))
    names = config.getoption("names", default=None)
    if names:
        chosen = [item for item in items if testnames.matches(item.name_and_claim[0], names)]
        config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
        items[:] = chosen


def _group(item):
    group = item.name_and_claim[0].partition("/")[0]
    return GROUPS.index(group) if group in GROUPS else len(GROUPS)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    try:
        setup.ensure(*steps(item))
    except ui.Problem as problem:
        raise ui.Problem(f"set-up: {problem}", problem.log) from problem


def steps(item):
    return [step for marker in item.iter_markers("needs") for step in marker.args]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    with lock.machine(alone=bool(item.get_closest_marker("alone"))):
        yield


@pytest.fixture
def name(request):
    """The test's name as part of a file's: of its logs, of the folder of its images."""
    return request.node.name_and_claim[0].replace("/", "-")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.skipped and os.environ.get("CI") == "true":
        # Where CI says that it is CI, everything should have been there.
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI does not accept: {report.longrepr[-1].removeprefix('Skipped: ')}"
    elif report.failed:
        report.longrepr = _told(item, call.excinfo.value, report)


def _told(item, error, report):
    """A failure's sentence, and the end of the log that tells why."""
    if not isinstance(error, ui.Problem):
        log = paths.LOGS / f"{item.name_and_claim[0].replace('/', '-')}.test.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(f"{report.longreprtext}\n{report.capstdout}")
        error = ui.Problem(f"{type(error).__name__}: {error}", log)
    lines = [str(error)]
    if error.log:
        lines += [ui.tail(error.log), f"    log: {paths.shown(error.log)}"]
    return "\n".join(line for line in lines if line)
