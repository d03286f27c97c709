# SPDX-License-Identifier: MIT
"""Subjects of the conformance suite: backends, each in the machine that it runs in.

A subject plays cases, and gives the lines that the suite writes (JSON, one a line). If the machine dies or hangs, it boots
again, and the suite goes on with the next case. Nothing that was said so far is lost.
"""

import json
import re
import resource
import subprocess
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from . import guest, images, initramfs, kernel, operator, paths, qemu, realxen, stamp, ui, unmended, userqemu, xenhost
from .version import ours

PROGRAM = "blkif-conformance"
DISK = 4 * images.MIB
# For one case, and for the suite's beginning and end: it waits up to 3 s for each answer that does not come, and a busy
# machine takes ten times as long.
CASE_SECONDS = 120
# Of each file of a machine's. A subject that floods its console or standard error fills no disk.
MOST_FILE_BYTES = 64 * images.MIB
# More than the suite has cases.
NO_NUMBER = 100_000
# With as many a second machine saves time.
MANY_CASES = 200
# A machine that dies this often does not get another chance.
MOST_BOOTS = 24
# Of an emulated guest: by its number, each vbd in the words of device_add.
VBDS = {"51712": {"id": "xvda", "vdev": "xvda", "drive": "rw"},
        "51728": {"id": "xvdb", "vdev": "xvdb", "drive": "ro"},
        "51744": {"id": "xvdc", "vdev": "xvdc", "drive": "large", "logical_block_size": 4096,
                  "physical_block_size": 4096}}
# Backends without threads of their own.
OF_THE_MAIN_LOOP = ("xen-disk", "xen-pvblk-backend")
# Of an emulated guest.
MODULES = ["xen_evtchn", "xen_gntalloc"]


def program():
    return paths.CORE / "conformance" / PROGRAM


def parsed(text):
    """A line of the suite's; {} for one that was cut, as where the suite was killed, or that somebody else wrote."""
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return line if isinstance(line, dict) else {}


@dataclass
class Journal:
    """What the suite said so far, over all boots of a subject."""

    head: str = ""
    results: list = field(default_factory=list)
    ids: set = field(default_factory=set)  # of the cases that have a result: none has two
    current: str = ""
    refusal: str = ""
    versions: str = ""  # of what the machine runs
    began: float = 0  # when the first machine was ready
    troubles: list = field(default_factory=list)  # Problems that no case is to blame for: the run is not good

    def line(self, text, on_result):
        """Takes a line; True if it shows that the suite goes on."""
        if self.head and text.startswith("case ") and self.is_new(text.removeprefix("case ")):
            self.current = text.removeprefix("case ")
        elif text.startswith('{"format"') and parsed(text):
            self.head = self.head or text
        elif self.head and text.startswith('{"id"') and self.is_new(id := parsed(text).get("id")):
            self.ids.add(id)
            self.results.append(text)
            self.current = ""
            on_result(text)
        elif text.startswith(f"{PROGRAM}: "):
            self.refusal = text.removeprefix(f"{PROGRAM}: ")
        else:
            return False
        return True

    def is_new(self, id):
        """It is the ID of a case, and has no result."""
        return isinstance(id, str) and bool(re.fullmatch(r"[\w/~.+-]{1,200}", id, re.ASCII)) and id not in self.ids

    def blame(self, verdict, seen, why, on_result):
        """The case that runs is the last one of its machine, and has this verdict."""
        self.line(json.dumps({"id": self.current, "verdict": verdict, "expected": "the backend lives", "seen": seen,
                              "why": why}), on_result)

    def end(self, status, console=None):
        """The suite ended. A Problem if it refused, or if none of its verdicts has this status."""
        if not self.head or self.refusal or status not in (0, 1, 3, 4, 77):
            raise ui.Problem(self.refusal or f"the suite ended with status {status}", console)

    def last(self):
        return json.loads(self.results[-1])["id"] if self.results else ""

    def planned(self):
        """The number of results that a whole run has; a head that does not say it is of no whole run."""
        number = json.loads(self.head or "{}").get("planned")
        return number if isinstance(number, int) and 0 <= number < NO_NUMBER else NO_NUMBER

    def complete(self):
        return len(self.results) >= self.planned()

    def join(self, other, order):
        """Takes what another part of the same run said. `order` has the place of each case."""
        self.head = json.dumps({**json.loads(self.head), "planned": self.planned() + other.planned()})
        self.results = sorted(self.results + other.results,
                              key=lambda line: order.get(json.loads(line)["id"].partition("~")[0], len(order)))
        self.versions = self.versions or other.versions
        self.troubles += other.troubles

    def trouble(self, name, problem):
        """Keeps what went wrong beside the cases; without any result there is nothing but that."""
        where = f"after {self.last()}: " if self.results else ""
        problem = ui.Problem(f"{name}: {where}{problem}", getattr(problem, "log", None))
        if not self.results:
            raise problem
        self.troubles.append(problem)


@dataclass(frozen=True)
class Subject:
    """A backend by name. `profile` is a file's name in conformance/profiles."""

    name: str
    title: str
    profile: str = ""
    steps: tuple = ()
    machines: int = 1  # that share a run of many cases
    part: str = ""  # such as 1/2
    role = "backend"

    @property
    def file_name(self):
        """Of its files. A path becomes its end, and a hash of all of it: two subjects never share a file."""
        end = self.name.rpartition("/")[2][-80:]
        name = self.name if end == self.name else f"{end}-{stamp.digest(self.name)[:8]}"
        return f"{name}-{self.part.replace('/', '-of-')}" if self.part else name

    def parts(self, words, cases):
        """Subjects, one for each machine, and the words of each. A few cases are not worth another boot."""
        if self.machines == 1 or cases < MANY_CASES or "--shard" in words:
            return [(self, words)]
        return [(replace(self, part=part), [*words, "--shard", part])
                for part in (f"{i}/{self.machines}" for i in range(1, self.machines + 1))]

    def version(self, journal):
        return journal.versions

    def profile_file(self):
        return paths.ROOT / "conformance" / "profiles" / self.profile if self.profile else None


@dataclass(frozen=True)
class Loopback(Subject):
    """Our backend, in the suite's own process."""

    def version(self, journal):
        return ours()

    def play(self, words, on_result):
        journal = Journal()
        command = [str(program()), "--loopback", "--format", "jsonl", "--progress", *words]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace") as process:
            for line in process.stdout:
                journal.line(line.rstrip("\n"), on_result)
        try:
            journal.end(process.returncode)
        except ui.Problem as problem:
            journal.trouble(self.name, problem)
        return journal


@dataclass(frozen=True)
class InMachine(Subject):
    """A backend and the suite in a machine: machine() gives one that is not started, and the numbers of its vbds."""

    def limits(self):
        return {resource.RLIMIT_FSIZE: MOST_FILE_BYTES}

    def play(self, words, on_result):
        """Plays all cases, with another machine where one died or hung."""
        journal = Journal()
        for _ in range(MOST_BOOTS):
            before = len(journal.results)
            try:
                machine, vbds = self.machine()
                machine.limits = self.limits()
                if self._play(machine, vbds, words, journal, on_result) or journal.complete():
                    return journal
            except (ui.Problem, OSError) as problem:
                journal.trouble(self.name, problem)
                # A machine that did not get to a case would not the next time, either.
                if len(journal.results) == before or journal.complete():
                    return journal
        journal.trouble(self.name, ui.Problem(f"{MOST_BOOTS} machines died or hung; the cases that follow did not run"))
        return journal

    def operator(self, machine):
        """Who does in this machine what no frontend can, or None."""

    def _play(self, machine, vbds, words, journal, on_result):
        """Plays until the suite ends (True), or a case takes the machine or the suite along."""
        with machine:
            journal.versions, journal.current = machine.versions, ""
            journal.began = journal.began or time.monotonic()
            operator = self.operator(machine)
            after = ["--after", journal.last()] if journal.results else []
            seats = [word for vbd in vbds for word in ("--vbd", vbd)]
            able = ["--operator", operator.abilities] if operator else []
            machine.start(PROGRAM, *seats, "--format", "jsonl", "--terse", "--progress", "--allow-writes", *able, *after,
                          *within_limit(words, time.monotonic() - journal.began), hears=bool(operator))
            deadline = time.monotonic() + CASE_SECONDS
            try:
                while True:
                    text = machine.next_line(max(deadline - time.monotonic(), 0))
                    if text.startswith(guest.MARK + "ended"):
                        break
                    # The time is for one case. Lines of others, as of a kernel that floods the line, give it no more.
                    if not (operator and operator.takes(text)) and journal.line(text, on_result):
                        deadline = time.monotonic() + CASE_SECONDS
            except ui.Problem as problem:
                if not journal.current:
                    raise
                status = machine.process.poll()
                verdict, seen = ("WEDGED", "the case does not end") if status is None else \
                    ("CRASH", f"its machine ended with status {status}")
                journal.blame(verdict, seen, str(problem), on_result)
                return False
            status = end_status(text)
            if journal.current:
                journal.blame("INCONCLUSIVE", f"the suite ended with status {status}", journal.refusal, on_result)
                return False
            journal.end(status, machine.console)
            machine.power_off()
        return True


def end_status(text):
    """Of the line that ends a command; -1 if it has none."""
    said = text.split()[-1]
    return int(said) if said.isascii() and said.isdigit() and len(said) < 4 else -1


def within_limit(words, seconds):
    """The words for a later machine: what --time-limit leaves after so many seconds, for it is one limit for all."""
    if "--time-limit" not in words:
        return words
    at = words.index("--time-limit") + 1
    return [*words[:at], str(max(int(words[at]) - int(seconds), 1)), *words[at + 1:]]


@dataclass(frozen=True)
class Emulated(InMachine):
    """A backend inside QEMU, and the suite in a guest of the same QEMU."""

    device: str = ""
    binary: Path | None = None
    memory: int | None = None  # the most bytes of addresses that QEMU may have

    def limits(self):
        return super().limits() | ({resource.RLIMIT_AS: self.memory} if self.memory else {})

    def qemu(self):
        return self.binary or qemu.program("qemu-system-x86_64")

    def version(self, journal):
        found = re.search(r"version ([!-~]{1,40})", userqemu.ask(self.qemu(), "--version"))
        return f"QEMU {found[1]}" if found else "QEMU"

    def disks(self, folder):
        """QEMU's words for three disks, and their numbers."""
        words = []
        for name, options in (("rw", ""), ("ro", ",read-only=on"), ("large", "")):
            image = images.raw(folder / f"{name}.raw", DISK)
            words += ["-blockdev", f"driver=file,node-name={name}-file,filename={guest.escaped(image)},discard=unmap"
                      + options, "-blockdev", f"driver=raw,node-name={name},file={name}-file,discard=unmap{options}"]
        for vbd in VBDS.values():
            words += ["-device", ",".join([self.device, *(f"{name}={value}" for name, value in vbd.items())])]
        return words + operator.WEIGHT, list(VBDS)

    def operator(self, machine):
        return operator.Operator(machine, {number: {"driver": self.device, **vbd} for number, vbd in VBDS.items()},
                                 quiet=self.device in OF_THE_MAIN_LOOP)

    def machine(self):
        folder = images.folder(f"conformance-{self.file_name}")
        image = initramfs.linux("xen-commands.sh", MODULES, fio=False, libraries=["commands.sh"])
        image.add(f"bin/{PROGRAM}", program().read_bytes(), executable=True)
        image.write(folder / "initrd")
        words, vbds = self.disks(folder)
        accel = ["-accel", "tcg,xen-version=0x40011"]
        # One processor: what QEMU signals to the suite comes before the operator's answer, which QEMU gets later.
        return guest.Shell(folder.name, [*accel, "-smp", 1, "-m", 256, *words,
                                         *guest.linux(folder / "initrd", "nowatchdog", kernel.CLOUD)],
                           program=self.qemu()), vbds


@dataclass(frozen=True)
class RealXen(InMachine):
    """Linux's xen-blkback in domain 0 of a real Xen, and the suite beside it."""

    host: xenhost.Host | None = None

    def machine(self):
        # In virtual time, an answer that does not come costs nothing, and no verdict hangs on how busy this machine is.
        machine = realxen.boot(f"conformance-{self.file_name}", self.host, [program()])
        return machine, [str(disk.number) for disk in realxen.DISKS]


XEN_DISK = Emulated("xen-disk", "QEMU's xen-block", "qemu-10.0.toml", ("qemu", "guest", "core"), device="xen-disk")
# One request makes it take all the memory that the host has.
UNMENDED = Emulated("xen-disk@unmended", "QEMU's xen-block without the series' mends", "qemu-10.0-unmended.toml",
                    ("qemu", "qemu-unmended", "guest", "core"), device="xen-disk", binary=unmended.PROGRAM, memory=3 << 30)
OURS = Emulated("xen-pvblk-backend", "our backend in QEMU", "", ("qemu", "guest", "core"), device="xen-pvblk-backend")
LOOPBACK = Loopback("loopback", "our backend on the loopback", "", ("core",))
BLKBACKS = tuple(RealXen(f"blkback-{host.version}", f"Linux's xen-blkback, on a real Xen {host.version}",
                         "linux-blkback.toml", ("qemu", "real-xen", "core"), machines=2, host=host)
                 for host in xenhost.ALL)
ALL = {subject.name: subject for subject in (XEN_DISK, UNMENDED, OURS, *BLKBACKS, LOOPBACK)}
DEFAULT = ("xen-disk", "xen-pvblk-backend", "blkback-4.20")
