# SPDX-License-Identifier: MIT
"""A plugin of pytest's, for `pvblk test`: words that are no options are names of tests, and not files as pytest has it;
and its reporter is quiet.

A pattern is a glob, or the name of a group. Each process of xdist's gets the same words, and this plugin with them.
"""

import os
from fnmatch import fnmatchcase

import pytest
from _pytest.terminal import TerminalReporter

from . import paths, tests

@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    config.option.names, config.option.file_or_dir = config.option.file_or_dir, []
    config.args = [str(paths.ROOT / "tests")]
    if not config.getoption("collectonly"):
        # tests.Reporter says all of it. Not without one, which pytest asks how to compare things in assertions.
        config.pluginmanager.unregister(name="terminalreporter")
        config.pluginmanager.register(TerminalReporter(config, open(os.devnull, "w")), "terminalreporter")


def matches(name, patterns):
    if name.endswith(tests.NOT_BUILT):
        return any(fnmatchcase(name.removesuffix(tests.NOT_BUILT), pattern.split("/")[0]) for pattern in patterns)
    return any(fnmatchcase(name, pattern) or fnmatchcase(name, pattern.rstrip("/") + "/*") for pattern in patterns)
