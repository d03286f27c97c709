# SPDX-License-Identifier: MIT
"""Tests that talk to QEMU over its qtest socket: QEMU's own for virtio-blk, unmodified, and ours."""

import os
import re
import signal
import subprocess

import paths
import qemu
import ui
from registry import Family, Skip, Test

WRAPPER = paths.ROOT / "scripts" / "pvblk" / "pvblk-qemu-system-x86_64"
MACHINES = ("pc", "q35")
# Case: (node of QEMU's test graph, what it proves of our device).
NODE = "/x86_64/pc/i440FX-pcihost/pci-bus-pc/pci-bus/virtio-blk-pci/"
CASES = {
    "basic": ("virtio-blk/virtio-blk-tests", "reads, writes, and what else is offered"),
    "indirect": ("virtio-blk/virtio-blk-tests", "indirect descriptors"),
    "config": ("virtio-blk/virtio-blk-tests", "a resize shows in the configuration and interrupts"),
    "resize": ("virtio-blk/virtio-blk-tests", "a resize shows while requests run"),
    "msix": ("virtio-blk-pci-tests", "MSI-X for queues and configuration"),
    "idx": ("virtio-blk-pci-tests", "event index suppresses interrupts"),
    "nxvirtq": ("virtio-blk-pci-tests", "a queue that does not exist does no harm"),
}
CASE_SECONDS = 180
QOS = "tests/qtest/qos-test"
OURS = "tests/qtest/xen-pvblk-test"
PROGRAMS = (QOS, OURS)


def qos_tests():
    return [Test(f"qos/{machine}/{case}", f"QEMU's own virtio-blk test on {machine}: {claim}",
                 _qos_runner(machine, case, NODE + node + "/" + case), ("qtests", "firmware"))
            for machine in MACHINES for case, (node, claim) in CASES.items()]


def _qos_runner(machine, case, path):
    def run():
        evidence = paths.LOGS / f"qos-{machine}-{case}.started"
        evidence.unlink(missing_ok=True)
        log = paths.LOGS / f"qos-{machine}-{case}.log"
        _run_case(QOS, path, log, {"PVBLK_REWRITE": machine, "PVBLK_EVIDENCE": str(evidence)})
        starts = evidence.read_text().splitlines() if evidence.exists() else []
        if not any(f"{machine},xen-emu=on" in line and "xen-pvblk-pci" in line for line in starts):
            raise ui.Problem("the test passed, but not on our device: no QEMU was started with it", log)
    return run


def ours():
    return Family("qtest", "our own tests over qtest: life cycle, errors, bad properties", _our_tests,
                  ("qtests", "firmware"))


def _our_tests():
    """One test for each case that the program lists."""
    if not qemu.program(OURS).exists():
        raise ui.Problem(f"{OURS} was not built: does the series add it to tests/qtest/meson.build?")
    answer = subprocess.run([str(qemu.program(OURS)), "-l"], capture_output=True, text=True, env=_environment())
    # GLib before 2.82 lists bare names, later ones TAP comments.
    cases = [name for name in (line.removeprefix("# ") for line in answer.stdout.splitlines()) if name.startswith("/")]
    if not cases:
        raise ui.Problem(f"{OURS} -l lists no case: {answer.stderr.strip()[-300:]}")
    return [Test("qtest/" + _short(case), f"our qtest case {case}", _our_runner(case), ("qtests", "firmware"))
            for case in cases]


def _short(case):
    """Without what all have in common: the architecture and the program's own name."""
    return case.removeprefix("/x86_64").removeprefix("/xen-pvblk").strip("/")


def _our_runner(case):
    def run():
        _run_case(OURS, case, paths.LOGS / f"qtest-{_short(case).replace('/', '-')}.log", {})
    return run


def _environment(extra=None):
    return {**os.environ, "QTEST_QEMU_BINARY": str(WRAPPER), "QTEST_QEMU_IMG": str(qemu.program("qemu-img")),
            "PVBLK_QEMU": str(qemu.program("qemu-system-x86_64")), "PVBLK_FIRMWARE": str(paths.FIRMWARE),
            **(extra or {})}


def _run_case(program, path, log, extra):
    """Runs one case; a pass is an `ok` line of TAP for exactly this path, and a good exit status."""
    _judge(path, log, run_program(program, ["-p", path], log, extra))


def run_program(program, words, log, extra=None):
    """Runs a test program of QEMU's, with TAP in the log; returns its status."""
    if not qemu.program(program).exists():
        raise ui.Problem(f"{program} was not built: `./pvblk build` builds it")
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
                raise ui.Problem(f"no end after {CASE_SECONDS} s", log) from None
            raise


def _judge(path, log, status):
    text = log.read_text(errors="replace")
    for line in text.splitlines():
        found = re.match(r"(ok|not ok) \d+ -? ?" + re.escape(path) + r"(?:\s+#\s*(SKIP|TODO)\s*(.*))?\s*$", line)
        if found and found[2]:
            raise Skip(f"the case skipped itself: {found[3] or found[2]}")
        if found and found[1] == "ok" and status == 0:
            return
    if status == 0:
        raise ui.Problem(f"no test ran: there is no case {path}", log)
    raise ui.Problem(_first_failure(text) or f"status {status}", log)


def _first_failure(text):
    """The line that tells most: QEMU's own complaint, else the failed assertion."""
    for beginnings in (("qemu-system-", "qemu: "), ("not ok", "Bail out!", "ERROR:")):
        for line in text.splitlines():
            if line.startswith(beginnings):
                return line[:200]
    return None
