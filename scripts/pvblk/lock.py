# SPDX-License-Identifier: MIT
"""One command at a time works in build/; a second one waits and says so."""

import fcntl
from contextlib import contextmanager

import paths
import ui


@contextmanager
def build_folder():
    try:
        paths.BUILD.mkdir(parents=True, exist_ok=True)
        file = open(paths.BUILD / ".lock", "w")
    except OSError as error:
        raise ui.Problem(f"cannot write to {paths.BUILD}: {error.strerror}. Another folder may be named by "
                         "PVBLK_CACHE") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            ui.say(f"another pvblk is at work in {paths.BUILD}; waiting for it to end")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
