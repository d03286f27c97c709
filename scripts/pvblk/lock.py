# SPDX-License-Identifier: MIT
"""Locks between processes: on the build folder, and on the machine's time."""

import fcntl
from contextlib import contextmanager

from . import paths, ui


def _open(name):
    try:
        paths.BUILD.mkdir(parents=True, exist_ok=True)
        return open(paths.BUILD / name, "w")
    except OSError as error:
        raise ui.Problem(f"cannot write to {paths.BUILD}: {error.strerror}. Another folder may be named by "
                         "PVBLK_CACHE") from error


@contextmanager
def build_folder():
    """One command at a time works in build/; a second one waits and says so."""
    with _open(".lock") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            ui.say(f"another pvblk is at work in {paths.BUILD}; waiting for it to end")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def machine(alone):
    """Held while a test runs: by one that has to be alone, or by any others together."""
    with _open(".machine.lock") as file:
        fcntl.flock(file, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield
