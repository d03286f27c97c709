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
        raise ui.Problem(f"cannot write to {paths.BUILD}: {error.strerror}. Name another folder with "
                         "PVBLK_CACHE=DIR") from error


def _try(file, how):
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
        return True
    except OSError:
        return False


@contextmanager
def build_folder():
    """One command at a time works in build/; a second one waits and says so.

    Yields a function. A command that has built all that it needs may call it: others may run what is built from then on.
    """
    with _open(".lock") as whole, _open(".set-up.lock") as set_up:
        if not _try(whole, fcntl.LOCK_EX):
            ui.say(f"another pvblk is at work in {paths.BUILD}; waiting for it to end")
            fcntl.flock(whole, fcntl.LOCK_EX)
        fcntl.flock(set_up, fcntl.LOCK_EX)
        yield lambda: fcntl.flock(set_up, fcntl.LOCK_UN)


@contextmanager
def build_folder_or_results():
    """For a command that only runs what is built: it waits for another one's set-up, and not for its end.

    Yields whether it may build. If not, another command works in build/, and what that has set up is there.
    """
    with _open(".lock") as whole, _open(".set-up.lock") as set_up:
        mine = _try(whole, fcntl.LOCK_EX)
        if not _try(set_up, fcntl.LOCK_EX):
            ui.say(f"another pvblk builds in {paths.BUILD}; waiting for it to end")
            fcntl.flock(set_up, fcntl.LOCK_EX)
        yield mine


@contextmanager
def machine(alone):
    """Held while a test runs: by one that has to be alone, or by any others together."""
    with _open(".machine.lock") as file:
        fcntl.flock(file, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield
