# SPDX-License-Identifier: MIT
"""Test programs of QEMU's, built with it: they talk to a QEMU over its qtest socket, and tell in TAP how it went."""

import os
import signal
import subprocess

from . import paths, qemu, ui

WRAPPER = paths.ROOT / "scripts" / "pvblk" / "pvblk-qemu-system-x86_64"
QOS = "tests/qtest/qos-test"
OURS = "tests/qtest/xen-pvblk-test"
UNIT = "tests/unit/test-xs-node"
# Of QEMU's own, unmodified ones those of what the series changes, and what they prove.
UPSTREAM = {
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
PROGRAMS = [QOS, OURS, UNIT, *("tests/qtest/" + name for name in UPSTREAM)]
CASE_SECONDS = 180


def _environment(extra):
    return {**os.environ, "QTEST_QEMU_BINARY": str(WRAPPER), "QTEST_QEMU_IMG": str(qemu.program("qemu-img")),
            "PVBLK_QEMU": str(qemu.program("qemu-system-x86_64")), "PVBLK_FIRMWARE": str(paths.FIRMWARE),
            **(extra or {})}


def cases(program):
    """The paths of a program's cases; none where it is not built."""
    if not qemu.program(program).exists():
        return []
    answer = subprocess.run([str(qemu.program(program)), "-l"], capture_output=True, text=True, env=_environment(None))
    # GLib before 2.82 lists bare names, later ones TAP comments.
    return [name for name in (line.removeprefix("# ") for line in answer.stdout.splitlines()) if name.startswith("/")]


def run(program, words, log, extra=None):
    """Runs a program, with TAP in the log; returns its status."""
    if not qemu.program(program).exists():
        raise ui.Problem(f"{program} was not built: does the series add it to QEMU's tests?")
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "wb") as out:
        # Its own process group: a case that hangs leaves QEMU behind otherwise.
        process = subprocess.Popen([str(qemu.program(program)), "--tap", "-k", *words], stdout=out, stderr=out,
                                   stdin=subprocess.DEVNULL, env=_environment(extra), cwd=qemu.builddir(),
                                   start_new_session=True)
        try:
            return process.wait(timeout=CASE_SECONDS)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if isinstance(error, subprocess.TimeoutExpired):
                raise ui.Problem(f"the test did not end in {CASE_SECONDS} s", log) from None
            raise
