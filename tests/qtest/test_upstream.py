# SPDX-License-Identifier: MIT
"""QEMU's own tests of what the series changes, unmodified: interrupt chips, CPUID, TCG's memory and interrupts."""

import subprocess

import pytest

from pvblk import images, paths, qemu, qtest, ui

pytestmark = pytest.mark.needs("qtests", "firmware")

# TCG's system tests, and how they run: with and without Xen in the guest's sight.
GUESTS = {"hello": "boots", "memory": "loads and stores of every size", "interrupt": "takes interrupts"}
ACCELERATORS = {"tcg": "tcg", "tcg-single": "tcg,thread=single", "xen": "tcg,xen-version=0x40011",
                "xen-single": "tcg,xen-version=0x40011,thread=single"}
DEBUG_EXIT = ["-device", "isa-debug-exit,iobase=0xf4,iosize=0x4"]
SECONDS = 120


@pytest.mark.claim("upstream/{program}", "QEMU's own {program}: {claim}")
@pytest.mark.parametrize(("program", "claim"), qtest.UPSTREAM.items(), ids=qtest.UPSTREAM)
def test_qtest(name, program, claim):
    passes(f"tests/qtest/{program}", paths.LOGS / f"{name}.log")


@pytest.mark.claim("upstream/test-xs-node", "QEMU's own unit test of the XenStore")
def test_unit(name):
    passes(qtest.UNIT, paths.LOGS / f"{name}.log")


def passes(program, log):
    """All cases passed, and there were some."""
    status = qtest.run(program, [], log)
    lines = log.read_text(errors="replace").splitlines()
    passed = sum(line.startswith("ok ") for line in lines)
    failed = [line for line in lines if line.startswith(("not ok ", "Bail out!"))]
    if status or failed or not passed:
        raise ui.Problem(failed[0][:200] if failed else f"status {status}, {passed} cases passed", log)


@pytest.mark.claim("upstream/guest-{program}-{kind}", "TCG's own system test under {accel}: {claim}")
@pytest.mark.parametrize(("kind", "accel"), ACCELERATORS.items(), ids=ACCELERATORS)
@pytest.mark.parametrize(("program", "claim"), GUESTS.items(), ids=GUESTS)
def test_guest(name, program, claim, kind, accel):
    """Compiled as QEMU's makefile does it, then run until it ends QEMU with its own status."""
    log = paths.LOGS / f"{name}.log"
    log.unlink(missing_ok=True)
    image = compiled(program, images.folder(name), log)
    output = paths.LOGS / f"{name}.output.log"
    command = [qemu.program("qemu-system-x86_64"), "-L", paths.FIRMWARE, "-accel", accel, "-monitor", "none",
               "-display", "none", "-chardev", f"file,path={output},id=output",
               "-device", "isa-debugcon,chardev=output", *DEBUG_EXIT, "-kernel", image]
    try:
        with open(log, "ab") as out:
            status = subprocess.run([str(word) for word in command], stdout=out, stderr=out,
                                    stdin=subprocess.DEVNULL, timeout=SECONDS).returncode
    except subprocess.TimeoutExpired:
        raise ui.Problem(f"no end after {SECONDS} s", output) from None
    if status:
        raise ui.Problem(f"it ended with status {status}", log)


def compiled(program, folder, log):
    source = qemu.source() / "tests" / "tcg"
    image = folder / program
    ui.run(["gcc", "-m64", "-mcx16", "-nostdlib", "-static", "-g", "-O0", "-ffreestanding", "-fno-pie",
            "-fno-stack-protector", "-DCHECK_UNALIGNED=1", f"-I{source}/minilib", "-Wa,--noexecstack",
            source / "multiarch" / "system" / f"{program}.c", source / "x86_64" / "system" / "boot.S",
            source / "minilib" / "printf.c", "-o", image, f"-Wl,-T{source}/x86_64/system/kernel.ld",
            "-Wl,-melf_x86_64", "-lgcc"], log, f"upstream: compiling {program}")
    return image
