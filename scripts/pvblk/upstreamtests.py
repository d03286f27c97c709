# SPDX-License-Identifier: MIT
"""QEMU's own tests of what the series changes, unmodified: interrupt chips, CPUID, TCG's memory and interrupts."""

import subprocess

import paths
import qemu
import qtests
import ui
from registry import Test

QTESTS = {
    "boot-order-test": "the machine resets and boots in the order asked for",
    "cpu-plug-test": "vCPUs are plugged and unplugged",
    "device-plug-test": "devices are plugged and unplugged, over resets",
    "fw_cfg-test": "the firmware's tables",
    "i440fx-test": "the pc machine's memory map",
    "ide-test": "interrupts through the PIC",
    "q35-test": "the q35 machine's memory map",
    "rtc-test": "interrupts of the clock through the PIC",
    "tco-test": "q35's watchdog and its interrupts",
    "test-x86-cpuid-compat": "CPUID of the CPU models",
}
PROGRAMS = ["tests/qtest/" + name for name in QTESTS] + ["tests/unit/test-xs-node"]
# TCG's system tests, and how they run: with and without Xen in the guest's sight.
GUESTS = {"hello": "boots", "memory": "loads and stores of every size", "interrupt": "takes interrupts"}
ACCELERATORS = {"tcg": "tcg", "tcg-single": "tcg,thread=single", "xen": "tcg,xen-version=0x40011",
                "xen-single": "tcg,xen-version=0x40011,thread=single"}
DEBUG_EXIT = ["-device", "isa-debug-exit,iobase=0xf4,iosize=0x4"]
SECONDS = 120


def tests():
    needs = ("qtests", "firmware")
    yield from (Test(f"upstream/{name}", f"QEMU's own {name}: {claim}", lambda name=name: _qtest(name), needs)
                for name, claim in QTESTS.items())
    yield Test("upstream/test-xs-node", "QEMU's own unit test of the XenStore", _unit, needs)
    yield from (Test(f"upstream/guest-{program}-{kind}", f"TCG's own system test under {accel}: {claim}",
                     lambda program=program, kind=kind, accel=accel: _guest(program, kind, accel), needs)
                for program, claim in GUESTS.items() for kind, accel in ACCELERATORS.items())


def _qtest(name):
    log = paths.LOGS / f"upstream-{name}.log"
    _count(qtests.run_program("tests/qtest/" + name, [], log), log)


def _unit():
    log = paths.LOGS / "upstream-test-xs-node.log"
    _count(qtests.run_program("tests/unit/test-xs-node", [], log), log)


def _count(status, log):
    """All cases passed, and there were some."""
    lines = log.read_text(errors="replace").splitlines()
    passed = sum(line.startswith("ok ") for line in lines)
    failed = [line for line in lines if line.startswith(("not ok ", "Bail out!"))]
    if status or failed or not passed:
        raise ui.Problem(failed[0][:200] if failed else f"status {status}, {passed} cases passed", log)


def _guest(program, kind, accel):
    """Compiled as QEMU's makefile does it, then run until it ends QEMU with its own status."""
    log = paths.LOGS / f"upstream-guest-{program}-{kind}.log"
    log.unlink(missing_ok=True)
    image = _compile(program, log)
    output = paths.LOGS / f"upstream-guest-{program}-{kind}.output.log"
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


def _compile(program, log):
    source = qemu.source() / "tests" / "tcg"
    image = paths.GUEST / f"upstream-{program}"
    image.parent.mkdir(parents=True, exist_ok=True)
    ui.run(["gcc", "-m64", "-mcx16", "-nostdlib", "-static", "-g", "-O0", "-ffreestanding", "-fno-pie",
            "-fno-stack-protector", "-DCHECK_UNALIGNED=1", f"-I{source}/minilib", "-Wa,--noexecstack",
            source / "multiarch" / "system" / f"{program}.c", source / "x86_64" / "system" / "boot.S",
            source / "minilib" / "printf.c", "-o", image, f"-Wl,-T{source}/x86_64/system/kernel.ld",
            "-Wl,-melf_x86_64", "-lgcc"], log, f"upstream: compiling {program}")
    return image
