# SPDX-License-Identifier: MIT
"""Crashes in a guest's console: which line says so, and which place in the kernel it names."""

import re
from dataclasses import dataclass

from . import ui

# By kind, the first pattern that fits a line names it. Linux's own words come first, then those of other systems.
KINDS = (
    ("sanitizer", r"BUG: K(ASAN|MSAN|CSAN|FENCE): .*|UBSAN: .*"),
    ("lockup", r"watchdog: BUG: soft lockup.*|NMI watchdog: .*hard LOCKUP.*|rcu: INFO: .*stall.*"),
    ("hung task", r"INFO: task .* blocked for more than .*"),
    ("panic", r"Kernel panic - not syncing: .*"),
    ("bug", r"kernel BUG at .*|BUG: .*"),
    ("oops", r"Oops: .*|general protection fault.*|Unable to handle kernel .*|invalid opcode: .*|stack segment: .*"),
    # FreeBSD, NetBSD, OpenBSD, Windows on a serial line, Mini-OS, Unikraft, GRUB, EDK II, our own guests.
    ("panic", r"panic: .*|panic\[.*|Fatal trap .*|fatal .* in (supervisor|kernel) mode.*|\*\*\* STOP: .*|GPF rip.*"
              r"|Page fault at linear address .*|CRIT: .*[Cc]rash.*|!!!! X64 Exception Type .*|.*: exception \d+ at .*"),
)
PATTERNS = [(kind, re.compile(pattern)) for kind, pattern in KINDS]
# A serial line's prefix: printk's time, a level, a CPU or task.
PREFIX = re.compile(r"^(<\d+>)?(\[ *[\d.]+\](\[ *[TC]\d+\])? *)?")
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")
WHERE = re.compile(r"\bRIP: (?:0010:)?([\w.]+)\+0x|\bEIP: ([\w.]+)\+0x|\bpc : ([\w.]+)\+0x")
# After a crash's first line, so many lines may name its place.
NEAR = 40
# One crash makes Linux print several of these: a BUG is an oops, and then perhaps a panic.
ORDER = ("sanitizer", "bug", "oops", "panic", "lockup", "hung task")


@dataclass(frozen=True)
class Crash:
    """`line` is the console's; `where` the function that it happened in, or ""."""

    kind: str
    line: str
    where: str = ""

    @property
    def signature(self):
        """The same for the same crash in another boot: without addresses, numbers of tasks and of CPUs."""
        line = re.sub(r"0x[0-9a-f]+|\b[0-9a-f]{8,16}\b|#\d+|\b\d+s\b|PID: \d+|CPU[ #:]*\d+|:\d+", "", self.line)
        return f"{self.kind}: {self.where or line.strip()}"

    def __str__(self):
        return f"{self.kind}: {self.line}" + (f" (in {self.where})" if self.where and self.where not in self.line
                                               else "")


def plain(line):
    return PREFIX.sub("", ESCAPES.sub("", line)).strip()


def crashes(text):
    """All of a console's, in its order."""
    lines = [plain(line) for line in text.splitlines()]
    found = []
    for number, line in enumerate(lines):
        kind = _kind(line)
        if kind:
            found.append(Crash(kind, ui.printable(line), _where(lines[number:number + NEAR])))
    return found


def worst(text):
    """The crash that tells the most, or None."""
    found = crashes(text)
    return min(found, key=lambda crash: ORDER.index(crash.kind)) if found else None


def _kind(line):
    for kind, pattern in PATTERNS:
        if pattern.match(line):
            return kind
    return None


def _where(lines):
    for line in lines:
        match = WHERE.search(line)
        if match:
            return next(name for name in match.groups() if name)
    return ""
