# SPDX-License-Identifier: MIT
"""The source of U-Boot's block frontend, of Debian's source package u-boot: tests/uboot compiles it, unchanged."""

from . import driversource, paths

# What is unpacked of U-Boot, which is large. The driver, and what it includes.
PARTS = ("drivers/xen", "include", "arch/sandbox/include", "arch/arm/include/asm/armv8", "arch/arm/include/asm/xen",
         "scripts/dtc/libfdt")


def ensure():
    driversource.ensure("uboot", "u-boot", paths.UBOOT_SOURCE, PARTS, "drivers/xen/pvblock.c", ["bzip2"])
