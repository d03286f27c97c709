# SPDX-License-Identifier: MIT
"""The contract between the host and a guest whose frontend is judged: the host's side (docs/bring-your-own-frontend.rst).

The host sends a line on the guest's second serial port, and the guest answers with a line after guest.MARK. tests/guest/
contract.sh is the side of a Linux guest.
"""

import struct
import time

from . import ui

OK, ERROR, WRONG, UNSUPPORTED = "ok", "error", "wrong", "unsupported"
ANSWERS = (OK, ERROR, WRONG, UNSUPPORTED)
SECTOR = 512
GOLDEN = 0x9E3779B97F4A7C15


class Broken(Exception):
    """The guest does not keep to the contract, or it is gone."""


class Answer(str):
    """A guest's line, without the mark. It equals its text; `verdict` is the first word."""

    @property
    def verdict(self):
        return self.partition(" ")[0]

    @property
    def rest(self):
        return self.partition(" ")[2]


class Contract:
    """Talks to a guest by `line` (read(deadline), write(text)), whose lines for us begin with `mark`.

    Other lines, and marks that are no answer, go to on_line(text).
    """

    def __init__(self, line, mark="PVBLK: ", on_line=lambda text: None):
        self._line, self._mark, self._on_line = line, mark, on_line
        # A command whose answer did not come yet.
        self.pending = None

    def ready(self, seconds):
        """The guest's first word: Answer("ok 131072"), with the sectors of its disk; None if it does not come in time."""
        said = self._await(seconds, lambda text: text.startswith("ready"))
        return None if said is None else Answer(said.partition(" ")[2])

    def ask(self, command, seconds):
        """Sends a command; its answer, or None if it does not come in time. Then late() may still get it."""
        if self.pending:
            raise Broken(f"the guest still owes an answer to '{self.pending}'")
        try:
            self._line.write(command)
        except OSError as error:
            raise Broken(f"the guest is gone: {error.strerror}") from None
        self.pending = command
        return self.late(seconds)

    def late(self, seconds):
        """The answer to the pending command, or None if it does not come in time."""
        said = self._await(seconds, lambda text: Answer(text).verdict in ANSWERS)
        if said is None:
            return None
        self.pending = None
        return Answer(said)

    def _await(self, seconds, wanted):
        deadline = time.monotonic() + seconds
        while True:
            try:
                line = self._line.read(deadline)
            except TimeoutError:
                return None
            if line is None:
                raise Broken("the guest is gone")
            text = ui.printable(line.removeprefix(self._mark))
            if text.startswith("FAILED"):
                raise Broken(f"the guest says: {text}")
            if line.startswith(self._mark) and wanted(text):
                return text
            self._on_line(line)


def write(sector, count, seed):
    return f"write {sector} {count} {seed}"


def read(sector, count, seed):
    return f"read {sector} {count} {seed}"


def pattern(sector, count, seed):
    """The bytes that `write` leaves on the disk."""
    return b"".join(struct.pack("<Q", ((seed << 32 | number) ^ index * GOLDEN) & (1 << 64) - 1)
                    for number in range(sector, sector + count) for index in range(SECTOR // 8))
