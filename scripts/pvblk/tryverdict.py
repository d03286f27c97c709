# SPDX-License-Identifier: MIT
"""What `pvblk try` says of a frontend, and its exit status, from what was seen of one boot."""

import re
from dataclasses import dataclass

from . import contract, paths, ui
from .trymachine import ENDED_ITSELF, FLOODED

# Exit statuses, as those of ./pvblk conformance.
GOOD, BROKEN, UNDECIDED, CRASHED = 0, 1, 3, 4
BROKEN_TEXT = re.compile(r"BROKEN (\d+)(?: of \d+)?(?: \((\w+)\))?: (.*)")
# Faults that change the data of a request: no frontend can tell.
LIES = re.compile(r"data/|response/rewritten$|grants/map-late$|grants/unmap-early$")
# Where work() of tryguest.py leaves its last data: sector, count, seed.
LAST_WRITTEN = (2048, 8, 2)


@dataclass(frozen=True)
class Clause:
    """One of docs/protocol.rst; `times` it was broken, and how the first time. `level` is empty for a MUST."""

    name: str
    times: int
    level: str = ""
    how: str = ""


def clauses(facts):
    """The judge's; (clauses, numbers), of the property `judgement`."""
    found, numbers = [], {}
    for name, text in facts.get("judgement", {}).items():
        if isinstance(text, int):
            numbers[name] = text
            continue
        match = BROKEN_TEXT.match(text)
        if match or text.startswith("kept"):
            found.append(Clause(name, int(match[1]), match[2] or "", match[3]) if match else Clause(name, 0))
    return found, numbers


class Verdict:
    """`status` is the exit status, and `sentence` the reason."""

    def __init__(self, machine, answers, wanted):
        if not machine.end:
            machine.ask_backend()
        self.facts, self.crash, self.end = machine.facts, machine.crash, machine.end
        self.seconds, self.console = machine.seconds, machine.console
        self.answers, self.ready, self.wanted = answers, machine.said_ready, wanted
        self.gave_up, self.waited = machine.gave_up, machine.waited
        self.clauses, self.numbers = clauses(machine.facts)
        self.broken = [clause for clause in self.clauses if clause.times]
        self.connected = bool(self.numbers.get("connections"))
        self.found_xen = self.connected or machine.found_xen()
        self.hang_log = None
        self.status, self.sentence = self._decide()

    def look_into_hang(self, machine):
        if self.hung and not machine.end:
            self.hang_log = machine.examine()

    @property
    def fired(self):
        """Names of the faults that happened."""
        return frozenset(rule.rpartition(": ")[2].split()[0] for rule, times in self.facts.get("fault-counters", {}).items()
                         if times)

    @property
    def unanswered(self):
        """The command that the guest did not answer; after `end` it need not."""
        return next((line for line, answer in self.answers if answer is None and line != "end"), None)

    @property
    def hung(self):
        """It lives, the backend owes it nothing, and yet a command has no answer."""
        return self.unanswered is not None and not self.end and not self.owed

    @property
    def owed(self):
        """Requests that the backend, bent by a plan, never answered."""
        counters = self.facts.get("counters", {})
        return counters.get("requests", 0) - counters.get("responses", 0)

    @property
    def signature(self):
        """The same for the same finding with another plan."""
        if self.crash:
            return self.crash.signature
        return "hang" if self.hung else " ".join(clause.name for clause in self.broken)

    def _decide(self):
        if self.crash:
            return CRASHED, f"the guest crashed: {self.crash}"
        if self.hung:
            return CRASHED, f"the guest hangs: no answer to '{self.unanswered}'"
        if self.unanswered and self.end == ENDED_ITSELF:
            return CRASHED, f"the guest {self.end} before it answered '{self.unanswered}'"
        if self.broken:
            return BROKEN, f"the frontend broke {_count(len(self.broken), 'clause')}"
        if self.end == FLOODED:
            return UNDECIDED, "the guest flooded its console and was ended; make it quieter, as Linux's word quiet does"
        if not self.connected:
            return self._unconnected()
        if self.gave_up:
            return BROKEN, self.gave_up
        if wrong := self._wrong():
            return BROKEN, f"the guest's disk went wrong: {wrong}"
        return GOOD, f"the frontend kept {_count(len(self.clauses), 'clause')}"

    def _wrong(self):
        """The first answer that this backend does not excuse, or None. What could not be written need not be there."""
        for line, answer in self.answers:
            if answer is None:
                continue
            if answer.verdict == contract.WRONG and not any(map(LIES.match, self.fired)) or \
                    answer.verdict == contract.ERROR and not self.wanted.bent:
                return f"'{line}': {answer}"
            if answer.verdict == contract.ERROR:
                return None
        return None

    def _unconnected(self):
        if self.fired and self.found_xen and not self.gave_up:
            return GOOD, "no frontend connected to this backend, and the guest lives"
        error = self.facts.get("last-error")
        if error:
            return UNDECIDED, f"the backend refused the frontend: {error}"
        if not self.found_xen:
            return UNDECIDED, ("the guest never looked for Xen; does its kernel have Xen's HVM support (Linux: "
                               "CONFIG_XEN_PVHVM_GUEST), and did it boot at all? See its console")
        said = f"; {self.gave_up}" if self.gave_up else ""
        return UNDECIDED, (f"the guest found Xen, but no frontend connected to {self.wanted.vdev}{said}; does it have a block "
                           "frontend (Linux: CONFIG_XEN_BLKDEV_FRONTEND, or the module in /lib/modules), and was --seconds "
                           "long enough? See its console")

    def complain_of_image(self, disk):
        """The frontend said ok; is the data on the disk?"""
        sector, count, seed = LAST_WRITTEN
        if (contract.write(sector, 2048, seed), contract.OK) not in self.answers:
            return
        with open(disk, "rb") as file:
            file.seek(sector * contract.SECTOR)
            if file.read(count * contract.SECTOR) != contract.pattern(sector, count, seed):
                self.status = BROKEN
                self.sentence = f"the guest wrote and flushed sector {sector}, and the disk has other data there"


def report(verdict):
    for clause in verdict.broken:
        level = f" ({clause.level})" if clause.level else ""
        ui.say(f"  BROKEN {clause.name}{level}, {_count(clause.times, 'time')}: {clause.how}")
    for title, names in (("kept", [clause.name for clause in verdict.clauses if not clause.times]),
                         ("plan", _pairs(verdict.facts.get("plan"))), ("counters", _pairs(verdict.facts.get("counters")))):
        if names:
            say_list(title, names)
    for rule, times in verdict.facts.get("fault-counters", {}).items():
        ui.say(f"  fault {rule}: {_count(times, 'time')}")
    if verdict.facts.get("last-error"):
        ui.say(f"  last error: {verdict.facts['last-error']}")
    _report_guest(verdict)
    ui.say(f"try: {verdict.sentence}")


def _report_guest(verdict):
    if verdict.ready is None:
        ui.say("  contract: the guest does not keep it, so only its own I/O was judged")
    for line, answer in verdict.answers:
        if answer is None or answer.verdict != contract.OK:
            ui.say(f"  {line}: {answer or 'no answer'}")
    done = sum(answer is not None and answer.verdict == contract.OK for _, answer in verdict.answers)
    if done:
        ui.say(f"  contract: {_count(done, 'command')} ok")
    if verdict.waited:
        ui.say("  a command was answered only when the backend had become honest")
    if verdict.owed:
        ui.say(f"  the backend never answered {_count(verdict.owed, 'request')}")
    ui.say(f"  the guest {verdict.end or 'was ended'} after {verdict.seconds:.0f} s; console: "
           + paths.shown(verdict.console))
    if verdict.hang_log:
        ui.say(f"  where the guest waits: {paths.shown(verdict.hang_log)}")


def say_list(title, names):
    """Names after a title, in lines of 100 characters."""
    line = f"  {title}:"
    for index, name in enumerate(names):
        word = f" {name}" + ("," if index + 1 < len(names) else "")
        if len(line) + len(word) > 100:
            ui.say(line)
            line = "   "
        line += word
    ui.say(line)


def _pairs(facts):
    return [f"{name} {_shown(value)}" for name, value in sorted((facts or {}).items())]


def _shown(value):
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _count(number, noun):
    return f"{number} {noun}" + ("" if number == 1 else "s")
