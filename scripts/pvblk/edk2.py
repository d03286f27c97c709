# SPDX-License-Identifier: MIT
"""The source of OVMF's own block frontend, of Debian's source package edk2: tests/ovmf compiles it, unchanged."""

from . import driversource, paths

# What is unpacked of edk2, which is large. The driver, and what it includes and links.
PARTS = ("OvmfPkg/XenPvBlkDxe", "OvmfPkg/Include", "MdePkg/Include", "MdePkg/Library/BaseLib",
         "MdePkg/Library/BasePrintLib")


def ensure():
    # Not bookworm's of 2022: its driver counts sectors in another unit.
    driversource.ensure("ovmf", "edk2", paths.EDK2_SOURCE, PARTS, "OvmfPkg/XenPvBlkDxe/BlockFront.c")
