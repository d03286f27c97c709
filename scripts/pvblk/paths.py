# SPDX-License-Identifier: MIT
"""Where things are. Everything that is downloaded or built lives below BUILD, nothing else changes."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("PVBLK_CACHE") or ROOT / "build").resolve()

DOWNLOADS = BUILD / "dl"
TOOLS = BUILD / "tools"
LOGS = BUILD / "logs"
STAMPS = BUILD / "stamps"
QEMU_SOURCE = BUILD / "qemu-src"
FIRMWARE = BUILD / "firmware"
KERNEL = BUILD / "kernel"
GUEST = BUILD / "guest"
CORE = BUILD / "core"
CORE_ASAN = BUILD / "core-asan"
EDK2_SOURCE = BUILD / "edk2-src"
UBOOT_SOURCE = BUILD / "u-boot-src"
DRIVERS = BUILD / "drivers"
DRIVERS_ASAN = BUILD / "drivers-asan"
CORE_COVERAGE = BUILD / "core-cov"
PROOF = BUILD / "proof"
FUZZ = BUILD / "fuzz"
# Seeds are written anew each time; what was found is kept: inputs that reached something new, and those that failed.
FUZZ_SEEDS = BUILD / "fuzz-seeds"
FUZZ_FOUND = BUILD / "fuzz-found"
FUZZ_FAILED = BUILD / "fuzz-failed"

PATCHES = ROOT / "patches" / "qemu"
GUEST_SCRIPTS = ROOT / "tests" / "guest"


def shown(path):
    """A path as the user would type it: relative to the current folder where that is shorter."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("../..") else relative
