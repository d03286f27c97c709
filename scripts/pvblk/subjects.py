# SPDX-License-Identifier: MIT
"""Subjects of the conformance suite: backends, each in the machine that it runs in.

A subject plays cases, and gives the lines that the suite writes (JSON, one a line). If a case takes the machine along,
the machine boots again, and the suite goes on with the next case.
"""

import json
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from . import guest, images, initramfs, kernel, paths, qemu, realxen, ui, unmended, xenhost

PROGRAM = "blkif-conformance"
DISK = 4 * images.MIB
# For one case: it waits up to 3 s for each answer that does not come, and a busy machine takes ten times as long.
CASE_SECONDS = 120
# A machine that dies this often does not get another chance.
MOST_BOOTS = 12
# Of QEMU. One request makes an unmended xen-disk take all the memory that the host has.
MOST_MEMORY = 3 << 30
# Of an emulated guest.
MODULES = ["xen_evtchn", "xen_gntalloc"]


def program():
    return paths.CORE / "conformance" / PROGRAM


@dataclass
class Journal:
    """What the suite said so far, over all boots of a subject."""

    head: str = ""
    results: list = field(default_factory=list)
    current: str = ""
    refusal: str = ""
    versions: str = ""  # of what the machine runs
    status: int = 0  # the suite's exit status

    def line(self, text, on_result):
        if text.startswith("case "):
            self.current = text.removeprefix("case ")
        elif text.startswith('{"format"'):
            self.head = self.head or text
        elif text.startswith('{"id"'):
            self.results.append(text)
            self.current = ""
            on_result(text)
        elif text.startswith(f"{PROGRAM}: "):
            self.refusal = text.removeprefix(f"{PROGRAM}: ")

    def expect_end(self, name):
        """The suite came to its end: a status that none of its verdicts has is no verdict."""
        if self.status not in (0, 1, 3, 4, 77):
            raise ui.Problem(f"{name}: the suite ended with status {self.status}, after {self.last() or 'no case'}")

    def last(self):
        return json.loads(self.results[-1])["id"] if self.results else ""


@dataclass(frozen=True)
class Subject:
    """A backend by name. `profile` is a file's name in conformance/profiles."""

    name: str
    title: str
    profile: str = ""
    steps: tuple = ()

    @property
    def file_name(self):
        return self.name.replace(":", "-").replace("/", "-").strip("-")

    def version(self, journal):
        return journal.versions

    def profile_file(self):
        return paths.ROOT / "conformance" / "profiles" / self.profile if self.profile else None


@dataclass(frozen=True)
class Loopback(Subject):
    """Our backend, in the suite's own process."""

    def play(self, words, on_result):
        journal = Journal()
        command = [str(program()), "--loopback", "--format", "jsonl", "--progress", *words]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace") as process:
            for line in process.stdout:
                journal.line(line.rstrip("\n"), on_result)
        if not journal.head:
            raise ui.Problem(f"{self.name}: {journal.refusal or 'the suite said nothing'}")
        journal.status = process.returncode
        journal.expect_end(self.name)
        return journal


@dataclass(frozen=True)
class InMachine(Subject):
    """A backend and the suite in a machine: machine() gives one that is not started, and the numbers of its vbds."""

    def play(self, words, on_result):
        """Plays all cases, with another machine after each that a case took along."""
        journal = Journal()
        for _ in range(MOST_BOOTS):
            machine, vbds = self.machine()
            if self._play(machine, vbds, words, journal, on_result):
                return journal
        raise ui.Problem(f"{self.name}: {MOST_BOOTS} machines died or hung, the last one in {journal.last()}; choose the "
                         "cases before it", machine.console)

    def _play(self, machine, vbds, words, journal, on_result):
        """Plays until the suite ends (True), or a case takes the machine along."""
        with machine:
            journal.versions = machine.versions
            after = ["--after", journal.last()] if journal.results else []
            seats = [word for vbd in vbds for word in ("--vbd", vbd)]
            machine.start(PROGRAM, *seats, "--format", "jsonl", "--progress", "--allow-writes", *after, *words)
            try:
                while True:
                    # The time is for one case: each line begins it anew.
                    text = machine.next_line(CASE_SECONDS)
                    if text.startswith(guest.MARK + "ended"):
                        journal.status = int(text.split()[-1])
                        break
                    journal.line(text, on_result)
            except ui.Problem as problem:
                if not journal.current:
                    raise
                died = machine.process.poll() is not None
                journal.line(json.dumps({
                    "id": journal.current, "verdict": "CRASH" if died else "WEDGED",
                    "what": "The backend survives the case.", "expected": "the backend lives",
                    "seen": f"its machine ended with status {machine.process.poll()}" if died
                    else f"its machine said nothing for {CASE_SECONDS} s", "why": str(problem)}), on_result)
                return False
            if not journal.head:
                raise ui.Problem(f"{self.name}: {journal.refusal or 'the suite said nothing'}", machine.console)
            journal.expect_end(self.name)
            machine.power_off()
        return True


@dataclass(frozen=True)
class Emulated(InMachine):
    """A backend inside QEMU, and the suite in a guest of the same QEMU."""

    device: str = ""
    binary: Path | None = None

    def qemu(self):
        return self.binary or qemu.program("qemu-system-x86_64")

    def version(self, journal):
        said = subprocess.run([self.qemu(), "--version"], capture_output=True, text=True).stdout
        found = re.search(r"version (\S+)", said)
        return f"QEMU {found[1]}" if found else "QEMU"

    def disks(self, folder):
        """QEMU's words for three disks, and their numbers."""
        words = []
        for name, options in (("rw", ""), ("ro", ",read-only=on"), ("large", "")):
            image = images.raw(folder / f"{name}.raw", DISK)
            words += ["-blockdev", f"driver=file,node-name={name}-file,filename={guest.escaped(image)},discard=unmap"
                      + options, "-blockdev", f"driver=raw,node-name={name},file={name}-file,discard=unmap{options}"]
        for name, vdev, options in (("rw", "xvda", ""), ("ro", "xvdb", ""), ("large", "xvdc", ",logical_block_size=4096"
                                    ",physical_block_size=4096")):
            words += ["-device", f"{self.device},drive={name},vdev={vdev}{options}"]
        return words, ["51712", "51728", "51744"]

    def machine(self):
        folder = images.folder(f"conformance-{self.file_name}")
        image = initramfs.linux("xen-commands.sh", MODULES, fio=False, libraries=["commands.sh"])
        image.add(f"bin/{PROGRAM}", program().read_bytes(), executable=True)
        image.write(folder / "initrd")
        words, vbds = self.disks(folder)
        accel = ["-accel", "tcg,xen-version=0x40011"]
        return guest.Shell(folder.name, [*accel, "-smp", 2, "-m", 256, *words,
                                         *guest.linux(folder / "initrd", "nowatchdog", kernel.CLOUD)],
                           program=self.qemu(), memory=MOST_MEMORY), vbds


@dataclass(frozen=True)
class RealXen(InMachine):
    """Linux's xen-blkback in domain 0 of a real Xen, and the suite beside it."""

    host: xenhost.Host | None = None

    def machine(self):
        # In virtual time, an answer that does not come costs nothing, and no verdict hangs on how busy this machine is.
        machine = realxen.boot(f"conformance-{self.file_name}", self.host, [program()])
        return machine, [str(disk.number) for disk in realxen.DISKS]


XEN_DISK = Emulated("xen-disk", "QEMU's xen-block", "qemu-10.0.toml", ("qemu", "guest", "core"), device="xen-disk")
UNMENDED = Emulated("xen-disk@unmended", "QEMU's xen-block without the series' mends", "qemu-10.0-unmended.toml",
                    ("qemu", "qemu-unmended", "guest", "core"), device="xen-disk", binary=unmended.PROGRAM)
OURS = Emulated("xen-pvblk-backend", "our backend in QEMU", "", ("qemu", "guest", "core"), device="xen-pvblk-backend")
LOOPBACK = Loopback("loopback", "our backend on the loopback", "", ("core",))
BLKBACKS = tuple(RealXen(f"blkback-{host.version}", f"Linux's xen-blkback, on a real Xen {host.version}",
                         "linux-blkback.toml", ("qemu", "real-xen", "core"), host=host)
                 for host in xenhost.ALL)
ALL = {subject.name: subject for subject in (XEN_DISK, UNMENDED, OURS, *BLKBACKS, LOOPBACK)}
DEFAULT = ("xen-disk", "xen-pvblk-backend", "blkback-4.20")
