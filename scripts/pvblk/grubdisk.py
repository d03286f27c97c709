# SPDX-License-Identifier: MIT
"""A disk with GRUB and Linux on it, as an installed system has it, that SeaBIOS and OVMF boot from. Made without root."""

import struct
from pathlib import Path

from . import grub, host, images, paths, ui

LOG = paths.LOGS / "grubdisk.log"
MODULES = Path("/usr/lib/grub")
# What both kinds of GRUB need of a disk with one FAT.
NEEDED = ["part_msdos", "fat", "linux", "normal", "configfile", "search", "search_fs_file"]
SECTOR = 512
# The partition, in sectors; before it are the MBR and GRUB's core.
BEGIN = 2048
# It is an EFI system partition, which SeaBIOS does not mind. GRUB's boot sector looks for the core in sector 1.
EFI_SYSTEM, ACTIVE, NO_CHS = 0xEF, 0x80, b"\xfe\xff\xff"
TABLE, SIGNATURE = 446, b"\x55\xaa"
EARLY = """search --set=root --file /boot/grub/grub.cfg
set prefix=($root)/boot/grub
configfile $prefix/grub.cfg
"""
CONFIG = """set timeout=0
menuentry "Linux" {{
    linux /vmlinuz {append}
    initrd /initrd
}}
"""


def ensure():
    host.ensure(host.GRUB_DISK)


def make(path, kernel, initrd, append):
    """A raw image that boots `kernel`, both ways; it has a FAT of 48 MiB."""
    folder = images.folder(f"{path.parent.name}/grub")
    early = folder / "early.cfg"
    early.write_text(EARLY)
    core = _mkimage("i386-pc", early, folder / "core.img", ["biosdisk"])
    efi = _mkimage("x86_64-efi", early, folder / "grub.efi", [])
    size = 48 * images.MIB
    fat = grub.fat(folder / "fat.raw", size, images.folder(f"{path.parent.name}/grub/tree"),
                   {"boot/grub/grub.cfg": CONFIG.format(append=append).encode(), "vmlinuz": kernel, "initrd": initrd,
                    "EFI/BOOT/BOOTX64.EFI": efi})
    if core.stat().st_size > (BEGIN - 1) * SECTOR:
        raise ui.Problem(f"GRUB's core has {core.stat().st_size} bytes, and does not fit before the partition", LOG)
    with open(path, "wb") as disk:
        disk.write(_boot_sector(size // SECTOR) + core.read_bytes())
        disk.seek(BEGIN * SECTOR)
        disk.write(fat.read_bytes())
    return path


def _mkimage(target, early, path, more):
    ui.run(["grub-mkimage", "-O", target, "-d", MODULES / target, "-p", "/boot/grub", "-c", early, "-o", path, *NEEDED,
            *more], LOG, f"GRUB for {target}")
    return path


def _boot_sector(sectors):
    """GRUB's, with a table of one partition in the place of the code for floppies."""
    entry = struct.pack("<B3sB3sII", ACTIVE, NO_CHS, EFI_SYSTEM, NO_CHS, BEGIN, sectors)
    code = (MODULES / "i386-pc" / "boot.img").read_bytes()[:TABLE]
    return code + entry + bytes(3 * len(entry)) + SIGNATURE
