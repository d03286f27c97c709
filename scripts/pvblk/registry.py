# SPDX-License-Identifier: MIT
"""What a test is, and how tests are chosen by name."""

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Callable


class Skip(Exception):
    """Raised by a test that cannot run here; its text is the reason."""


@dataclass
class Test:
    name: str
    claim: str
    run: Callable
    # Steps of setup.py.
    needs: tuple = ()


@dataclass
class Family:
    """Tests that are known only after a build: `expand()` lists them."""
    name: str
    claim: str
    expand: Callable
    needs: tuple = field(default=())


def matches(name, patterns):
    """A pattern is a glob, or the name of a group."""
    return not patterns or any(fnmatchcase(name, pattern) or fnmatchcase(name, pattern.rstrip("/") + "/*")
                               for pattern in patterns)


def family_matches(family, patterns):
    """Whether a pattern may mean one of the family's tests."""
    return not patterns or any(fnmatchcase(family.name, pattern.split("/")[0]) for pattern in patterns)
