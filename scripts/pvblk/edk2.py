# SPDX-License-Identifier: MIT
"""The source of OVMF's own block frontend, of Debian's source package edk2: tests/ovmf compiles it, unchanged."""

import shutil

from . import archive, host, paths, stamp, ui

# What is unpacked of edk2, which is large. The driver, and what it includes and links.
PARTS = ("OvmfPkg/XenPvBlkDxe", "OvmfPkg/Include", "MdePkg/Include", "MdePkg/Library/BaseLib",
         "MdePkg/Library/BasePrintLib")
DRIVER = "OvmfPkg/XenPvBlkDxe/BlockFront.c"
VERSION = paths.EDK2_SOURCE / "VERSION"


def ensure():
    mark = stamp.Stamp("edk2-unpacked", [PARTS, 1], [VERSION, paths.EDK2_SOURCE / DRIVER])
    if mark.fresh():
        return
    mark.clear()
    host.ensure(host.FETCH)
    with ui.step("ovmf: source of edk2 from Debian"):
        # Not bookworm's of 2022: its driver counts sectors in another unit.
        tarball = archive.tarball("edk2", archive.SUITES)
        shutil.rmtree(paths.EDK2_SOURCE, ignore_errors=True)
        paths.EDK2_SOURCE.mkdir()
        ui.run(["tar", "-xf", tarball, "-C", paths.EDK2_SOURCE, "--strip-components=1", "--wildcards",
                *(f"*/{part}" for part in PARTS)], paths.LOGS / "edk2-source.log", "ovmf: unpacking")
        if not (paths.EDK2_SOURCE / DRIVER).exists():
            raise ui.Problem(f"{tarball.name} has no {DRIVER}: this edk2 lacks the Xen block driver")
        VERSION.write_text(tarball.name.split("_")[1].split(".orig")[0])
    ui.say(f"  ovmf: edk2 {VERSION.read_text()}")
    mark.write()
