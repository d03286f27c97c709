# SPDX-License-Identifier: MIT
"""OVMF's own block frontend against our backend: the driver, unchanged, from Debian's source package edk2."""

import shutil

import archive
import core
import host
import paths
import stamp
import ui
from registry import Test

# What is unpacked of edk2, which is large. The driver, and what it includes and links.
PARTS = ("OvmfPkg/XenPvBlkDxe", "OvmfPkg/Include", "MdePkg/Include", "MdePkg/Library/BaseLib",
         "MdePkg/Library/BasePrintLib")
DRIVER = "OvmfPkg/XenPvBlkDxe/BlockFront.c"
VERSION = paths.EDK2_SOURCE / "VERSION"
PROGRAMS = ("io", "defects")
TARGETS = [f"tests/ovmf/ovmf_{name}_test" for name in PROGRAMS]


def ensure():
    _ensure_source()
    core.build(paths.OVMF, _options(), TARGETS)


def ensure_asan():
    _ensure_source()
    core.build(paths.OVMF_ASAN, [*core.SANITIZERS, *_options()], TARGETS)


def _options():
    return [f"-Dedk2={paths.EDK2_SOURCE}"]


def _ensure_source():
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
            raise ui.Problem(f"{tarball.name} has no {DRIVER}: this edk2 is without the Xen block driver")
        VERSION.write_text(tarball.name.split("_")[1].split(".orig")[0])
    ui.say(f"  ovmf: edk2 {VERSION.read_text()}")
    mark.write()


def _run(builddir, programs):
    ui.say(f"  edk2 {VERSION.read_text()}")
    return core.run_tests(builddir, [f"ovmf-{name}" for name in programs])


def tests():
    return [Test("ovmf/io", "OVMF's own block frontend, unchanged, connects to our backend, reads, writes, flushes and "
                 "leaves", lambda: _run(paths.OVMF, ["io"]), ("ovmf",)),
            Test("ovmf/defects", "... each defect known of it shows, and our backend takes no harm",
                 lambda: _run(paths.OVMF, ["defects"]), ("ovmf",)),
            Test("ovmf-asan", "... all of it under AddressSanitizer and UndefinedBehaviorSanitizer",
                 lambda: _run(paths.OVMF_ASAN, PROGRAMS), ("ovmf-asan",))]
