# SPDX-License-Identifier: MIT
"""A scenario of the conformance suite with a frontend in a running guest: our backend is plugged with the scenario's
properties and plan, used, closed and unplugged. What came of it are facts.
"""

import re
import time
from collections import deque

from . import contract, guest, images, ui
from .pluggedback import DISK, SIZE, Gone, Plugged
from .scenarios import config_of, read_only
from .servedback import Served

# Of one call: in pages, so that disks with sectors of any size can have them.
PAGES = (1, 8, 32, 100)
PER_PAGE = 8
# For an answer, where the scenario lets the frontend wait: then the backend behaves, and the frontend has a chance more.
SHORT, LONG = 4, 20
# Of a console: what is kept, and how much of a line is read at once.
LAST_LINES, LONGEST_LINE = 40, 4096
CRASH = re.compile(r"BUG:|kernel BUG|Oops:|Kernel panic|general protection fault|KASAN:|UBSAN:|WARNING: CPU")


class Lost(Exception):
    """The guest does as it is told no more."""


class Play:
    """One scenario in a running guest. Who inherits says how the frontend gets and leaves the disk."""

    disk = ""  # as the guest calls it
    back_of = Plugged
    # Clauses that this guest does not let the backend see.
    not_seen = ("frontend-state",)

    def __init__(self, machine, scenario, folder):
        self.machine, self.scenario = machine, scenario
        self.back = self.back_of(machine, folder)
        self.facts = {"id": scenario["id"]}
        self.counts = dict.fromkeys(("ok", "errors", "wrong"), 0)
        self.bent = bool(scenario["plan"])
        self.read_only = read_only(config_of(scenario))
        self.console_at = machine.console.stat().st_size

    def run(self):
        """The facts, and whether the guest is fit for another scenario."""
        begin = time.monotonic()
        fit = False
        try:
            self.back.plug(self.scenario, self.scenario["plan"])
            self._use_and_close()
            fit = self._unplug()
        except Gone:
            # A hang was seen in the guest itself. The rest only the backend could tell.
            if self.facts.get("hung"):
                self.facts.update({"connected": True, "fired": 1})
            else:
                self.facts["skip"] = "the backend has gone, and with it what it saw of the frontend"
            self.back.forget()
            fit = not self.facts.get("hung") and self._part()
        except Lost as lost:
            self.facts.update({"answers": False, "said": str(lost)})
        except ui.Problem as problem:
            if self.machine.process.poll() is not None:
                raise
            self.facts["trouble"] = str(problem)
        self._look_for_crash()
        self.facts.update(self.counts, ms=int(1000 * (time.monotonic() - begin)))
        return self.facts, fit and "died" not in self.facts

    # ---- the backend

    def _connect(self):
        """Has the frontend meet the backend that was plugged; False if the guest gets no disk."""
        return True

    def _part(self):
        """Whether the guest is fit for another disk after its backend has gone."""
        return True

    def _stop(self):
        """Has the frontend leave the disk; False if that hangs for good."""
        raise NotImplementedError

    def _behave(self):
        """The backend is honest from now on."""
        self.facts["fired"] = self.back.faults()
        self.back.make_honest()
        self.bent = False

    # ---- the guest

    def _tell(self, *words, seconds):
        try:
            return " ".join(self.machine.run(*words, seconds=seconds + 30)[1])
        except ui.Problem as problem:
            if self.machine.process.poll() is not None:
                raise
            raise Lost(str(problem)) from problem

    def _patiently(self, *words):
        """A command's answer; None if it hangs for good."""
        patience = SHORT if self.bent else LONG
        said = self._tell("within", patience, *words, seconds=patience)
        if said == "hung" and self.bent and not self._crash():
            self._behave()
            said = self._late()
            self.facts["waited"] = said != "hung"
        return None if said == "hung" else said

    def _late(self):
        """The answer that did not come in time. A guest that crashed meanwhile gives none."""
        for _ in range(LONG // SHORT):
            said = self._tell("late", SHORT, seconds=SHORT)
            if said != "hung" or self._crash():
                break
        return said

    def _do(self, *words):
        """I/O on the disk; False if it hangs for good."""
        said = self._patiently("pattern", f"/dev/{self.disk}", *words)
        if said is None:
            self.facts["hung"] = True
            return False
        verdict = said.partition(" ")[0]
        expected = self.read_only and words[0] == "write"
        kind = {contract.OK: "ok", contract.WRONG: "wrong", contract.UNSUPPORTED: "ok"}.get(verdict, "errors")
        if expected:
            kind = {"errors": "ok", "ok": "wrong"}.get(kind, kind)
        self.counts[kind] += 1
        if kind == "errors" and "said" not in self.facts:
            self.facts["said"] = said
        return True

    def _round(self, number, sizes=PAGES):
        sector = 0
        for pages in sizes:
            count = pages * PER_PAGE
            errors = self.counts["errors"]
            steps = [contract.write(sector, count, number)] + ([] if self.read_only else ["flush"])
            if not all(self._do(*step.split()) for step in steps):
                return False
            # What could not be written need not be there.
            if self.counts["errors"] == errors:
                seed = 0 if self.read_only else number
                if not self._do(*contract.read(sector, count, seed).split()):
                    return False
            sector += count
        if self.read_only:
            return True
        # Behind all that is read, and on a disk that shrank, too.
        return self._do("discard", sum(PAGES) * PER_PAGE, PER_PAGE)

    def _disk(self):
        """Whether the disk comes; a backend that lies gets a second chance."""
        patience = SHORT if self.bent else LONG
        said = self._tell("disk", self.disk, patience, seconds=patience)
        if said == "none" and self.bent and not self._closed():
            self._behave()
            said = self._tell("disk", self.disk, SHORT, seconds=SHORT)
            self.facts["waited"] = said != "none"
        return said != "none"

    def _state(self):
        return self.back.judgement().get("frontend-state")

    def _closed(self):
        return self._state() in ("Closing", "Closed", "Unknown")

    def _use_and_close(self):
        facts = self.facts
        there = self._connect() and self._disk()
        if there and self._round(1):
            self._act()
            self._round(2, PAGES[:3:2])
        judgement = self.back.judgement()
        facts["connected"] = judgement["connections"] > 0
        facts["gave-up"] = facts["connected"] and not facts.get("hung") and \
            judgement["frontend-state"] not in ("Connected", "Initialised")
        if self.bent:
            facts["fired"] = self.back.faults()
        if not facts.get("hung") and self.scenario["act"] != "close":
            self._close()
        judgement = self.back.judgement()
        facts["judgement"] = {name: text for name, text in judgement.items()
                              if isinstance(text, str) and name not in self.not_seen}
        if facts.get("closed"):
            self._after_close(judgement)

    def _act(self):
        act = self.scenario["act"]
        if act in ("grow", "shrink"):
            self.back.resize(SIZE * 2 if act == "grow" else SIZE // 2)
            time.sleep(0.3)

    def _close(self):
        if not self._stop():
            self.facts["closed"] = False
            return
        for _ in range(50):
            if self._closed() or self._state() == "Initialising":
                break
            time.sleep(0.1)
        self.facts["closed"] = self._state() in ("Closed", "Unknown", "Initialising")

    def _after_close(self, judgement):
        """Of a frontend that closed as it was told."""

    def _unplug(self):
        """Whether the guest let the backend go."""
        if self.facts.get("hung"):
            return False
        if not self.back.unplug():
            return False
        if self.scenario["act"] == "close":
            self.facts["gave-up"] = True
        return True

    # ---- the guest's end

    def _told(self):
        """Lines of the guest's console since the scenario began. A guest may say very much."""
        with open(self.machine.console, "rb") as console:
            console.seek(self.console_at)
            while line := console.readline(LONGEST_LINE):
                if text := line.decode(errors="replace").strip():
                    yield text[:200]

    def _crash(self):
        return next(filter(CRASH.search, self._told()), None)

    def _look_for_crash(self):
        crash = self._crash()
        if crash:
            self.facts["died"] = crash
        if crash or self.facts.get("hung") or self.counts["errors"]:
            self.facts["happened"] = list(deque(self._told(), LAST_LINES))


class LinuxPlay(Play):
    """With Linux's own xen-blkfront in a Xen guest."""

    disk, vbd = DISK, 51728
    # Linux ends grants that are still mapped later, ten a second: it leaves some at Closed, and none in the end.
    not_seen = (*Play.not_seen, "grant:lifetime")

    def _stop(self):
        return self._patiently("driver", "unbind", self.vbd) is not None

    def _part(self):
        # For a request in flight it waits for ever.
        return self._tell("left", self.vbd, seconds=SHORT) == "ok"


class DomainPlay(LinuxPlay):
    """With Linux's own xen-blkfront in domain 0 of a real Xen."""

    disk, vbd = "xvda", 51712
    back_of = Served


def make_disk(path, filled):
    """An image; `filled`: with the pattern of seed 0 where a frontend reads."""
    images.raw(path, SIZE)
    if filled:
        with open(path, "r+b") as out:
            out.write(fixed_data())
    return path


def fixed_data():
    """Of a disk that nobody can write."""
    return contract.pattern(0, sum(PAGES) * PER_PAGE, 0)


def disks(folder):
    """QEMU's words for the nodes that a play gives to its backends."""
    fixed = guest.escaped(make_disk(folder / "fixed.raw", True))
    return [*guest.raw_disk("disk", make_disk(folder / "disk.raw", False)),
            "-blockdev", f"driver=file,node-name=fixed,filename={fixed},read-only=on"]
