# SPDX-License-Identifier: MIT
"""GRUB as a Xen PVH guest: three releases of Debian's package grub-xen-host, and disks for it to read and boot from.

The package's image has all of GRUB's modules in it. It looks on all disks for /boot/grub/grub.cfg.
"""

import os
import re
from dataclasses import dataclass

from . import archive, guest, host, images, paths, stamp, ui

IMAGE = "usr/lib/grub-xen/grub-i386-xen_pvh.bin"
LOG = paths.LOGS / "grub.log"


@dataclass(frozen=True)
class Grub:
    """The GRUB of one of Debian's releases."""

    name: str
    suites: tuple

    @property
    def folder(self):
        return paths.GUEST / f"grub-{self.name}"

    @property
    def image(self):
        return self.folder / IMAGE

    def version(self):
        """The package's, which the image has as a text of its own."""
        return "GRUB " + re.search(rb"\0(2\.\d\d-[0-9][\w.+~-]*)\0", self.image.read_bytes())[1].decode()

    def ensure(self):
        mark = stamp.Stamp(f"grub-{self.name}", [self.suites], [self.image])
        if mark.fresh():
            return
        mark.clear()
        with ui.step(f"grub: fetching the one of {self.name}"):
            archive.unpack(archive.binaries(f"grub-{self.name}", ["grub-xen-host"], suites=self.suites), self.folder)
        mark.write()


BOOKWORM = Grub("bookworm", archive.BOOKWORM)
TRIXIE = Grub("trixie", ("trixie", "trixie-updates", "trixie-security"))
SID = Grub("sid", ("sid",))
ALL = (BOOKWORM, TRIXIE, SID)


def ensure():
    host.ensure(host.GRUB)
    for which in ALL:
        which.ensure()


def _copy_in(folder, files):
    """`files`, by their path on the disk: a file to copy, or text."""
    for place, content in files.items():
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.read_bytes() if isinstance(content, os.PathLike) else content)


def ext4(path, size, tree, files):
    """An image with an ext4 of these files; `tree` is an empty folder."""
    _copy_in(tree, files)
    images.raw(path, size)
    # GRUB 2.06 knows neither of these two, which newer releases of mke2fs switch on.
    ui.run(["/sbin/mke2fs", "-q", "-t", "ext4", "-O", "^metadata_csum_seed,^orphan_file", "-d", tree, path], LOG,
           "grub: making an ext4")
    return path


def fat(path, size, tree, files):
    """The same with FAT."""
    _copy_in(tree, files)
    images.raw(path, size)
    ui.run(["/sbin/mkfs.vfat", path], LOG, "grub: making a FAT")
    ui.run(["mcopy", "-s", "-i", path, *sorted(tree.iterdir()), "::/"], LOG, "grub: filling a FAT")
    return path


def arguments(which, driver, disks, console):
    """QEMU's words, all but the accelerator, for a GRUB with these images as xvda, xvdb …

    GRUB does not start without Xen's console, and writes to it.
    """
    words = ["-m", "512", "-kernel", which.image, "-chardev", f"file,id=grub,path={guest.escaped(console)}",
             "-device", "xen-console,chardev=grub"]
    for letter, image in zip("abcd", disks):
        words += [*guest.raw_disk(letter, image), "-device", f"{driver},id=disk-{letter},drive={letter},vdev=xvd{letter}"]
    return words
