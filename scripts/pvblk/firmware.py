# SPDX-License-Identifier: MIT
"""Firmware for `-L`: SeaBIOS, VGA and network ROMs of Debian's packages, option ROMs and keymaps of QEMU's source."""

import shutil

from . import archive, buildtools, paths, qemu, stamp, ui

NEEDED = ("bios-256k.bin", "linuxboot_dma.bin", "kvmvapic.bin")
WORK = paths.BUILD / "firmware.work"
LOG = paths.LOGS / "firmware.log"


def ensure():
    """Collects everything in build/firmware."""
    mark = stamp.Stamp("firmware", [str(qemu.source()), 1], [paths.FIRMWARE / name for name in NEEDED])
    if mark.fresh():
        return
    mark.clear()
    with ui.step("firmware: collecting"):
        buildtools.reset(WORK)
        buildtools.reset(paths.FIRMWARE)
        _copy_packaged()
        _build_option_roms()
        shutil.copytree(qemu.source() / "pc-bios" / "keymaps", paths.FIRMWARE / "keymaps")
        shutil.rmtree(WORK)
    absent = [name for name in NEEDED if not (paths.FIRMWARE / name).exists()]
    if absent:
        raise ui.Problem(f"firmware: the build did not make {', '.join(absent)}", LOG)
    mark.write()


def _copy_packaged():
    archive.unpack(archive.binaries("firmware", ["seabios", "ipxe-qemu"]), WORK / "debs")
    share = WORK / "debs" / "usr" / "share"
    for found in [*share.glob("seabios/*.bin"), *share.glob("qemu/*.rom")]:
        if found.is_file():
            shutil.copy(found, paths.FIRMWARE / found.name)


def _build_option_roms():
    """QEMU's own Makefile, told what configure would: that lays this out for some compilers only."""
    roms = WORK / "optionrom"
    roms.mkdir()
    (roms / "config.mak").write_text(f"TOPSRC_DIR={qemu.source()}\nTARGET_DIR=pc-bios/optionrom/\nCC=gcc\n"
                                     f"OBJCOPY=objcopy\nPYTHON={buildtools.PYTHON}\n")
    makefile = qemu.source() / "pc-bios" / "optionrom" / "Makefile"
    # Twice: the Makefile finds out what the compiler understands in a file that only the next run includes.
    for goal in ("config-cc.mak", "all"):
        ui.run(["make", "-f", makefile, goal], LOG, "firmware: option ROMs", cwd=roms, env=buildtools.environment())
    for rom in roms.glob("*.bin"):
        shutil.copy(rom, paths.FIRMWARE / rom.name)
