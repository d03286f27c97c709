# SPDX-License-Identifier: MIT
"""Subjects of the conformance suite: frontends, each in the guest that it drives.

The guest meets our backend, once for each scenario: plugged with the scenario's properties and plan, used, closed, used
again, unplugged. What came of it are facts, and the suite makes verdicts of them. If a scenario takes the guest along,
another guest plays the rest.
"""

import json
import re
import subprocess
import time
from dataclasses import dataclass

from . import contract, driverfront, guest, guesttools, images, initramfs, kernel, ui, xenguest
from .subjects import Journal, Subject, program

VBD, DISK, DEVICE = 51728, "xvdb", "judged"
SIZE = 4 * images.MIB
# Of one call: in pages, so that disks with sectors of any size can have them.
PAGES = (1, 8, 32, 100)
PER_PAGE = 8
# For an answer, where the scenario lets the frontend wait: then the backend behaves, and the frontend has a chance more.
SHORT, LONG = 4, 20
# Linux ends grants that are still mapped later, ten a second.
NOT_SEEN = ("frontend-state", "grant:lifetime")
MOST_GUESTS = 60
CRASH = re.compile(r"BUG:|kernel BUG|Oops:|Kernel panic|general protection fault|KASAN:|UBSAN:|WARNING: CPU")
BACKEND = f"/machine/peripheral/{DEVICE}"


def ask(*words):
    said = subprocess.run([str(program()), "--frontend", *map(str, words)], capture_output=True, text=True)
    if said.returncode and said.stderr:
        raise ui.Problem(said.stderr.strip().splitlines()[0].removeprefix("blkif-conformance: "))
    return said.stdout


class Lost(Exception):
    """The guest does as it is told no more."""


class Play:
    """One scenario in a running guest."""

    def __init__(self, machine, scenario, folder):
        self.machine, self.scenario = machine, scenario
        self.facts = {"id": scenario["id"]}
        self.counts = {"ok": 0, "errors": 0, "wrong": 0}
        self.bent = bool(scenario["plan"])
        self.plan = folder / "plan"
        self.config = dict(word.split("=") for word in scenario["config"].split(",") if word)
        self.console_at = machine.console.stat().st_size

    def run(self):
        """The facts, and whether the guest is fit for another scenario."""
        begin = time.monotonic()
        fit = False
        try:
            self._plug()
            self._use_and_close()
            fit = self._unplug()
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

    def _plug(self):
        self.plan.write_text(self.scenario["plan"] + "\n")
        read_only = self.config.pop("read-only", "off") == "on"
        drive = "fixed" if read_only or self.config.get("cdrom") == "on" else "disk"
        self.read_only = drive == "fixed"
        options = {name: value == "on" if value in ("on", "off") else int(value) for name, value in self.config.items()}
        self._qmp("device_add", driver=xenguest.OURS, id=DEVICE, vdev=DISK, drive=drive, judge=True,
                  faults=str(self.plan), **options)

    def _qmp(self, command, **arguments):
        # Names of properties may have an underscore; QMP's own have none.
        return self.machine.qmp_in_a_row((command, arguments), seconds=20)[0]

    def _property(self, name):
        return self._qmp("qom-get", path=BACKEND, property=name)

    def _behave(self):
        """The backend is honest from now on."""
        self.facts["fired"] = sum(self._property("fault-counters").values())
        self._qmp("qom-set", path=BACKEND, property="fault-plan", value="")
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
        if said == "hung" and self._crashes():
            raise Lost("its kernel crashed")
        if said == "hung" and self.bent:
            self._behave()
            said = self._tell("late", SHORT, seconds=SHORT)
            if said == "hung" and self._crashes():
                raise Lost("its kernel crashed")
            said = said if said != "hung" else self._tell("late", LONG, seconds=LONG)
            self.facts["waited"] = said != "hung"
        return None if said == "hung" else said

    def _do(self, *words):
        """I/O on the disk; False if it hangs for good."""
        said = self._patiently("pattern", f"/dev/{DISK}", *words)
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
        return self._do("discard", SIZE // 1024 // PER_PAGE * PER_PAGE, PER_PAGE)

    def _disk(self):
        """Whether the disk comes; a backend that lies gets a second chance."""
        patience = SHORT if self.bent else LONG
        said = self._tell("disk", DISK, patience, seconds=patience)
        if said == "none" and self.bent and not self._closed():
            self._behave()
            said = self._tell("disk", DISK, SHORT, seconds=SHORT)
            self.facts["waited"] = said != "none"
        return said != "none"

    def _state(self):
        return self._property("judgement").get("frontend-state")

    def _closed(self):
        return self._state() in ("Closing", "Closed", "Unknown")

    def _use_and_close(self):
        facts = self.facts
        there = self._disk()
        if there and self._round(1):
            self._act()
            self._round(2, PAGES[:3:2])
        judgement = self._property("judgement")
        facts["connected"] = judgement["connections"] > 0
        facts["gave-up"] = facts["connected"] and not facts.get("hung") and \
            judgement["frontend-state"] not in ("Connected", "Initialised")
        if self.bent:
            facts["fired"] = sum(self._property("fault-counters").values())
        if not facts.get("hung") and self.scenario["act"] != "close":
            self._close()
        judgement = self._property("judgement")
        facts["judgement"] = {name: text for name, text in judgement.items()
                              if isinstance(text, str) and name not in NOT_SEEN}

    def _act(self):
        act = self.scenario["act"]
        if act in ("grow", "shrink"):
            self._qmp("block_resize", **{"node-name": "disk", "size": SIZE * 2 if act == "grow" else SIZE // 2})
            time.sleep(0.3)

    def _close(self):
        said = self._patiently("driver", "unbind", VBD)
        if said is None:
            self.facts["closed"] = False
            return
        for _ in range(50):
            if self._closed() or self._state() == "Initialising":
                break
            time.sleep(0.1)
        self.facts["closed"] = self._state() in ("Closed", "Unknown", "Initialising")

    def _unplug(self):
        """Whether the guest let the device go."""
        if self.facts.get("hung"):
            return False
        if self.scenario["act"] in ("grow", "shrink"):
            self._qmp("block_resize", **{"node-name": "disk", "size": SIZE})
        self._qmp("device_del", id=DEVICE)
        try:
            self.machine.wait_event("DEVICE_DELETED", 10)
        except ui.Problem:
            if self.machine.process.poll() is not None:
                raise
            return False
        if self.scenario["act"] == "close":
            self.facts["gave-up"] = True
        return True

    def _console(self):
        with open(self.machine.console, "rb") as console:
            console.seek(self.console_at)
            return console.read(1 << 20).decode(errors="replace")

    def _crashes(self):
        return [line.strip()[:200] for line in self._console().splitlines() if CRASH.search(line)]

    def _look_for_crash(self):
        text, bad = self._console(), self._crashes()
        if bad:
            self.facts["died"] = bad[0]
        if bad or self.facts.get("hung") or self.counts["errors"]:
            told = [line.strip()[:200] for line in text.splitlines() if line.strip()]
            self.facts["happened"] = told[-40:]


@dataclass(frozen=True)
class LinuxFrontend(Subject):
    """Linux's xen-blkfront in a Xen guest under TCG."""

    which: kernel.Kernel = kernel.CLOUD
    role = "frontend"

    def _machine(self, folder):
        image = initramfs.linux("xen-frontend.sh", ["xen_blkfront"], fio=False, kernel=self.which,
                                libraries=["commands.sh"])
        image.add_file("bin/pattern", guesttools.pattern(self.which.architecture))
        words = [*xenguest.ACCEL, "-smp", "2", "-m", "384"]
        words += guest.raw_disk("disk", make_disk(folder / "disk.raw", False))
        fixed = guest.escaped(make_disk(folder / "fixed.raw", True))
        words += ["-blockdev", f"driver=file,node-name=fixed,filename={fixed},read-only=on"]
        words += guest.linux(image.write(folder / "initrd"), f"{xenguest.CLOCK} xen_blkfront.max_ring_page_order=4",
                             self.which)
        return guest.Shell(folder.name, words)

    def play(self, words, on_result):
        folder = images.folder(f"conformance-{self.file_name}")
        scenarios = [json.loads(line) for line in ask("--scenarios", *words).splitlines()]
        journal, facts, guests = Journal(), [], 0
        while len(facts) < len(scenarios) and guests < MOST_GUESTS:
            guests += 1
            try:
                with self._machine(folder) as machine:
                    journal.versions = machine.versions
                    fit = True
                    while fit and len(facts) < len(scenarios):
                        fact, fit = Play(machine, scenarios[len(facts)], folder).run()
                        facts.append(fact)
                        on_result(json.dumps(fact))
            except (ui.Problem, OSError) as problem:
                if len(facts) == len(scenarios):
                    break
                facts.append({"id": scenarios[len(facts)]["id"], "trouble": str(problem)[:300]})
                on_result("")
        return judged(self, facts, folder, journal)


def judged(subject, facts, folder, journal):
    """A journal with the suite's verdicts."""
    file = folder / "facts.jsonl"
    file.write_text("".join(json.dumps(fact) + "\n" for fact in facts))
    head, *results = ask("--facts", file, "--format", "jsonl", "--subject", subject.name).splitlines()
    journal.head, journal.results = head, results
    journal.ids = {json.loads(line)["id"] for line in results}
    return journal


def make_disk(path, filled):
    """An image; `filled`: with the pattern of seed 0 where a frontend reads."""
    images.raw(path, SIZE)
    if filled:
        with open(path, "r+b") as out:
            out.write(contract.pattern(0, sum(PAGES) * PER_PAGE, 0))
    return path


@dataclass(frozen=True)
class Ours(Subject):
    """BlockFront, in the suite's own process."""

    role = "frontend"

    def play(self, words, on_result):
        journal = Journal()
        journal.head, *journal.results = ask("--loopback", "--format", "jsonl", *words).splitlines()
        for line in journal.results:
            on_result(line)
        return journal


NEEDS = ("qemu", "guest", "core")
OURS = Ours("frontend:ours", "our frontend, in the suite's process", "", ("core",))
LINUXES = (LinuxFrontend("frontend:linux-6.12", "Linux 6.12's xen-blkfront, in Debian 13's cloud kernel", "", NEEDS),
           LinuxFrontend("frontend:linux-6.1", "Linux 6.1's xen-blkfront, in Debian 12's kernel", "",
                         ("guest-kernels", *NEEDS), which=kernel.DEBIAN12),
           LinuxFrontend("frontend:linux-6.1-pae", "Linux 6.1's xen-blkfront, with 32 bits", "",
                         ("guest-kernels", *NEEDS), which=kernel.DEBIAN12_PAE))
ALL = {subject.name: subject for subject in (OURS, *driverfront.ALL, *LINUXES)}
