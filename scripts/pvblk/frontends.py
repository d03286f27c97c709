# SPDX-License-Identifier: MIT
"""Subjects of the conformance suite: frontends, each in the guest that it drives.

The guest meets our backend, once for each scenario: plugged with the scenario's properties and plan, used, closed, used
again, unplugged. What came of it are facts, and the suite makes verdicts of them. If a scenario takes the guest along,
another guest plays the rest.
"""

import json
from dataclasses import dataclass

from . import (driverfront, frontplay, guest, guesttools, images, initramfs, kernel, passivefront, realxen, servedback, ui,
               xenguest, xenhost)
from .hostedplay import HostedPlay
from .scenarios import FactsJournal, ask, scenarios_of
from .subjects import Journal, Subject, program
from .version import ours

MOST_GUESTS = 60


@dataclass(frozen=True)
class GuestFrontend(Subject):
    """A frontend in a guest that does as it is told. `made` makes a Play."""

    which: kernel.Kernel = kernel.CLOUD
    machines: int = 2
    role = "frontend"
    script = ""
    modules = ()
    made = None

    def accelerator(self):
        return xenguest.ACCEL

    def machine(self, folder):
        image = initramfs.linux(self.script, self.modules, fio=False, kernel=self.which,
                                libraries=["commands.sh", "judged.sh"])
        image.add_file("bin/pattern", guesttools.pattern(self.which.architecture))
        words = [*self.accelerator(), "-smp", "2", "-m", "384", *frontplay.disks(folder)]
        words += guest.linux(image.write(folder / "initrd"), f"{xenguest.CLOCK} xen_blkfront.max_ring_page_order=4",
                             self.which)
        return guest.Shell(folder.name, words)

    def play(self, words, on_result):
        folder = images.folder(f"conformance-{self.file_name}")
        scenarios = scenarios_of(words)
        facts, guests, versions = [], 0, ""
        while len(facts) < len(scenarios) and guests < MOST_GUESTS and not guest.running.over:
            guests += 1
            try:
                with self.machine(folder) as machine:
                    versions = machine.versions
                    fit = True
                    while fit and len(facts) < len(scenarios):
                        fact, fit = self.made(machine, scenarios[len(facts)], folder).run()
                        facts.append(fact)
                        on_result(json.dumps(fact))
            except (ui.Problem, OSError) as problem:
                if len(facts) == len(scenarios):
                    break
                facts.append({"id": scenarios[len(facts)]["id"], "trouble": str(problem)[:300]})
                on_result("")
        why = guest.INTERRUPTED if guest.running.over else f"{MOST_GUESTS} guests were used up before this scenario"
        facts += [{"id": scenario["id"], "trouble": why} for scenario in scenarios[len(facts):]]
        return FactsJournal(self, facts, folder, versions)


@dataclass(frozen=True)
class LinuxFrontend(GuestFrontend):
    """Linux's xen-blkfront in a Xen guest under TCG."""

    script, modules, made = "xen-frontend.sh", ["xen_blkfront"], frontplay.LinuxPlay


@dataclass(frozen=True)
class DomainFrontend(GuestFrontend):
    """Linux's xen-blkfront in domain 0 of a real Xen, which our backend serves from there."""

    host: xenhost.Host = xenhost.BOOKWORM
    made = frontplay.DomainPlay

    def machine(self, folder):
        files = [("bin/pattern", guesttools.pattern(self.host.kernel.architecture).read_bytes(), True),
                 (servedback.FIXED.lstrip("/"), frontplay.fixed_data(), False)]
        return realxen.boot_serving(folder.name, self.host, [program()], cpus=2, libraries=["judged.sh"], files=files)


@dataclass(frozen=True)
class HostedFrontend(GuestFrontend):
    """Our frontend in QEMU, xen-pvblk-pci, for a guest that has virtio-blk."""

    script, modules, made = "hosted-frontend.sh", ["virtio_blk"], HostedPlay

    def accelerator(self):
        return ["-machine", "pc,xen-emu=on", "-accel", "tcg"]


@dataclass(frozen=True)
class PassiveFrontend(Subject):
    """A frontend in a guest that nobody drives."""

    guest: type[passivefront.Mini] | type[passivefront.Grub] | None = None
    machines: int = 2
    role = "frontend"

    def version(self, journal):
        return self.guest.version()

    def play(self, words, on_result):
        folder = images.folder(f"conformance-{self.file_name}")
        return FactsJournal(self, passivefront.facts_of(self.guest(), scenarios_of(words), folder, on_result), folder)


@dataclass(frozen=True)
class Ours(Subject):
    """BlockFront, in the suite's own process."""

    role = "frontend"

    def version(self, journal):
        return ours()

    def play(self, words, on_result):
        journal = Journal()
        journal.head, *journal.results = ask("--loopback", "--format", "jsonl", *words).splitlines()
        for line in journal.results:
            on_result(line)
        return journal


NEEDS = ("qemu", "guest", "core")
PASSIVE_NEEDS = ("qemu", "firmware", "core")
LINUX, LINUX_6_1 = "frontend-linux.toml", "frontend-linux-6.1.toml"
OURS = Ours("frontend:ours", "our frontend, in the suite's process", "", ("core",))
HOSTED = HostedFrontend("frontend:hosted", "our frontend in QEMU, for a guest with virtio-blk", "", NEEDS)
MINI = PassiveFrontend("frontend:mini", "mini-blkfront, a frontend without an operating system", "frontend-mini.toml",
                       ("freestanding", *PASSIVE_NEEDS), guest=passivefront.Mini)
GRUB = PassiveFrontend("frontend:grub", "GRUB's xendisk, in Debian 13's grub-xen-host", "frontend-grub.toml",
                       ("grub", *PASSIVE_NEEDS), guest=passivefront.Grub)
LINUXES = (LinuxFrontend("frontend:linux-6.12", "Linux 6.12's xen-blkfront, in Debian 13's cloud kernel", LINUX, NEEDS),
           LinuxFrontend("frontend:linux-newest", "the newest Linux's xen-blkfront, in Debian sid's cloud kernel",
                         "frontend-linux-newest.toml", ("newest-kernel", *NEEDS), which=kernel.NEWEST),
           LinuxFrontend("frontend:linux-6.1", "Linux 6.1's xen-blkfront, in Debian 12's kernel", LINUX_6_1,
                         ("guest-kernels", *NEEDS), which=kernel.DEBIAN12),
           LinuxFrontend("frontend:linux-6.1-pae", "Linux 6.1's xen-blkfront, with 32 bits", LINUX_6_1,
                         ("guest-kernels", *NEEDS), which=kernel.DEBIAN12_PAE))
DOMAINS = tuple(DomainFrontend(f"frontend:blkfront-{host.version}", f"Linux's xen-blkfront on a real Xen {host.version}",
                               profile, ("real-xen", *NEEDS), host=host)
                for host, profile in ((xenhost.BOOKWORM, LINUX_6_1), (xenhost.TRIXIE, LINUX)))
ALL = {subject.name: subject for subject in (OURS, HOSTED, *driverfront.ALL, MINI, GRUB, *LINUXES, *DOMAINS)}
