# SPDX-License-Identifier: MIT
"""OVMF of Debian's package, for guests that boot by UEFI; unpacked below build/ and not installed."""

import shutil

from . import archive, guest, paths, stamp, ui

FOLDER = paths.GUEST / "ovmf"
CODE = FOLDER / "usr/share/OVMF/OVMF_CODE_4M.fd"
VARIABLES = FOLDER / "usr/share/OVMF/OVMF_VARS_4M.fd"


def ensure():
    mark = stamp.Stamp("ovmf-image", [archive.SUITES], [CODE, VARIABLES])
    if mark.fresh():
        return
    mark.clear()
    with ui.step("firmware: fetching OVMF"):
        archive.unpack(archive.binaries("ovmf", ["ovmf"]), FOLDER)
    mark.write()


def arguments(folder):
    """QEMU's words; what the firmware remembers is a file in the folder."""
    own = folder / "variables.fd"
    shutil.copy(VARIABLES, own)
    return ["-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={guest.escaped(CODE)}",
            "-drive", f"if=pflash,format=raw,unit=1,file={guest.escaped(own)}"]
