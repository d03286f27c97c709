# SPDX-License-Identifier: MIT
"""Domain 0 of a real Xen under TCG, for programs that run there. Linux's xen-blkback serves disks to domain 0 itself.

    with realxen.boot("name", xenhost.BOOKWORM, [program]) as machine:
        status, lines = machine.run(program.name, "51712", seconds=60)

A disk (vbd) of domain 0 needs no toolstack: tests/guest/real-xen.sh writes its nodes. xen-blkfront is not loaded, so
the frontend of each vbd is whatever program connects to it. boot_serving() has the other side: no disks, and xen-blkfront.
"""

import shutil
import subprocess
from dataclasses import dataclass

from . import guest, guesttools, images, initramfs, paths, ui, xenhost

# Interfaces for programs, their file system, what xenstored needs; then Linux's backend and its disks.
MODULES = ["xen_evtchn", "xen_gntdev", "xen_gntalloc", "xen_privcmd", "xenfs", "xen_blkback", "loop", "null_blk"]
# For a backend that is a program: xen-blkfront, which takes each vbd.
SERVING_MODULES = ["xen_evtchn", "xen_gntdev", "xen_privcmd", "xenfs", "xen_blkback", "xen_blkfront", "ext4", "loop",
                   "null_blk"]
# From mitigations=off on, for speed: two words saved a tenth of Linux's boot, the next line a third of its instructions.
# Nothing here uses ciphers, whose self-tests are most of that. Without the kernel's own certificate, no signature of a
# module is checked. 1 MiB for DMA is enough, 64 are the default. xen-blkback offers a queue for each vCPU otherwise, and
# xen-blkfront makes rings of one page.
LINUX = ("console=hvc0 earlyprintk=xen quiet panic=-1 nowatchdog null_blk.nr_devices=0 mitigations=off rodata=off "
         "xen_blkback.max_queues=4 xen_blkfront.max_ring_page_order=2 "
         "cryptomgr.notests initcall_blacklist=load_system_certificate_list swiotlb=512")
DAY = 86400
# The clock counts instructions, and jumps ahead where nothing happens. So a deadline in domain 0 costs no time, and no
# busy machine makes it pass.
CLOCK = ["-icount", "shift=1,sleep=off"]
# Of domain 0, without its disks; and what Xen takes, with the copy of Linux that it starts from, and with room for Linux
# to lie in one piece of 128 MiB.
DOMAIN0_MIB, XEN_MIB = 144, 208
# For an image, and for the pages that xen-blkfront allocates for persistent grants.
SERVING_MIB = 144


@dataclass(frozen=True)
class Disk:
    """A vbd. With 512-byte sectors it is /disk-NUMBER in domain 0, through loop; others are null_blk's, in memory."""

    number: int
    mode: str = "w"
    sector_size: int = 512
    mib: int = 8


DISKS = (Disk(51712), Disk(51728, mode="r"), Disk(51744, sector_size=4096))


class Domain0(guest.Shell):
    """A running host: `with` waits until its vbds have a backend that waits for a frontend."""

    def examine(self):
        """Xen's and Linux's console; QEMU knows nothing of a Xen inside."""
        return self.console


def boot(name, host, programs=(), disks=DISKS, cpus=1):
    """A Domain0, not yet started. `programs` are static ones, and are /bin/NAME in domain 0."""
    image = initramfs.linux("real-xen.sh", MODULES, fio=False, kernel=host.kernel, libraries=["commands.sh"])
    # Half of a Linux's memory can be files.
    return _boot(name, host, image, programs, disks, cpus, DOMAIN0_MIB + 2 * sum(disk.mib for disk in disks))


def boot_serving(name, host, programs, cpus=1, libraries=(), files=()):
    """The same without disks. `programs` serve them to Linux's xen-blkfront: tests/guest/real-xen-serve.sh has the words.

    `files` are more of domain 0's, each with its content and whether it is a program.
    """
    image = initramfs.linux("real-xen.sh", SERVING_MODULES, fio=False, kernel=host.kernel,
                            libraries=["commands.sh", *libraries, "real-xen-serve.sh"])
    for file, content, executable in files:
        image.add(file, content, executable)
    return _boot(name, host, image, programs, (), cpus, DOMAIN0_MIB + SERVING_MIB, [guesttools.MKE2FS])


def _boot(name, host, image, programs, disks, cpus, mib, tools=()):
    for place in (host.xenstored, xenhost.XENSTORE):
        image.add_program(place, host.packages)
    # Their libraries are newer, and take the place of the host's.
    for place in tools:
        image.add_program(place, guesttools.USERLANDS[host.kernel.architecture])
    folder = images.folder(name)
    for program in programs:
        image.add(f"bin/{program.name}", _small(program, folder / program.name), executable=True)
    image.add("disks", "".join(f"{disk.number} {disk.mode} {disk.sector_size} {disk.mib}\n" for disk in disks))
    return Domain0(name, arguments(host, image.write(folder / "initrd"), cpus, mib))


def _small(program, copy):
    """The content of a static program without what only debuggers read, for Xen and Linux copy it slowly here."""
    try:
        shutil.copyfile(program, copy)
    except OSError as error:
        raise ui.Problem(f"cannot read the program {paths.shown(program)}: {error.strerror}") from error
    if any(guesttools.needed(copy)):
        raise ui.Problem(f"{paths.shown(program)} needs shared libraries, and domain 0 has none of its. Link it with "
                         "-static")
    # A script stays as it is.
    subprocess.run(["strip", copy], stderr=subprocess.DEVNULL)
    return copy.read_bytes()


def command(host, program, words):
    """`pvblk real-xen`: boots the host for one command; its output and exit status."""
    with boot("real-xen", host, [program]) as machine:
        ui.say(machine.versions)
        status, _ = machine.run(program.name, *words, seconds=DAY, on_line=lambda line: print(line, flush=True))
        machine.power_off()
    return status


def arguments(host, initrd, cpus, domain0_mib):
    """QEMU's words. Xen has the first serial port, its domain 0 the second."""
    xen = f"console=com1 com1=115200,8n1 dom0_mem={domain0_mib}M,max:{domain0_mib}M bootscrub=0"
    return ["-accel", "tcg", *CLOCK, "-smp", cpus, "-m", domain0_mib + XEN_MIB, "-kernel", host.hypervisor,
            "-append", xen, "-initrd", f"{guest.escaped(host.linux)} {LINUX},{guest.escaped(initrd)}"]
