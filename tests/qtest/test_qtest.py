# SPDX-License-Identifier: MIT
"""Tests that talk to QEMU over its qtest socket: QEMU's own for virtio-blk, unmodified, and ours."""

import re
from dataclasses import dataclass

import pytest

from pvblk import paths, qtest, tests, ui

pytestmark = pytest.mark.needs("qtests", "firmware")

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


@pytest.mark.claim("qos/{machine}/{case}", "QEMU's own virtio-blk test on {machine}: {claim}")
@pytest.mark.parametrize(("case", "node", "claim"), [(case, *words) for case, words in CASES.items()], ids=CASES)
@pytest.mark.parametrize("machine", ["pc", "q35"])
def test_qos(name, machine, case, node, claim):
    evidence = paths.LOGS / f"{name}.started"
    evidence.unlink(missing_ok=True)
    log = paths.LOGS / f"{name}.log"
    run_case(qtest.QOS, f"{NODE}{node}/{case}", log, {"PVBLK_REWRITE": machine, "PVBLK_EVIDENCE": str(evidence)})
    starts = evidence.read_text().splitlines() if evidence.exists() else []
    if not any(f"{machine},xen-emu=on" in line and "xen-pvblk-pci" in line for line in starts):
        raise ui.Problem("the test passed, but not on our device: no QEMU was started with it", log)


@dataclass
class Case:
    path: str

    @property
    def short(self):
        """Without what all have in common: the architecture and the program's own name."""
        return self.path.removeprefix("/x86_64").removeprefix("/xen-pvblk").strip("/")


OURS = [Case(path) for path in qtest.cases(qtest.OURS)] or [Case(tests.NOT_BUILT)]


@pytest.mark.claim("qtest/{case.short}", "our qtest case {case.path}")
@pytest.mark.parametrize("case", OURS, ids=lambda case: case.short)
def test_ours(name, case):
    run_case(qtest.OURS, case.path, paths.LOGS / f"{name}.log")


def run_case(program, path, log, extra=None):
    """Runs one case; a pass is an `ok` line of TAP for exactly this path, and a good exit status."""
    status = qtest.run(program, ["-p", path], log, extra)
    text = log.read_text(errors="replace")
    for line in text.splitlines():
        found = re.match(r"(ok|not ok) \d+ -? ?" + re.escape(path) + r"(?:\s+#\s*(SKIP|TODO)\s*(.*))?\s*$", line)
        if found and found[2]:
            pytest.skip(f"the case skipped itself: {found[3] or found[2]}")
        if found and found[1] == "ok" and status == 0:
            return
    if status == 0:
        raise ui.Problem(f"no test ran: there is no case {path}", log)
    raise ui.Problem(first_failure(text) or f"status {status}", log)


def first_failure(text):
    """The line that tells most: QEMU's own complaint, else the failed assertion."""
    for beginnings in (("qemu-system-", "qemu: "), ("not ok", "Bail out!", "ERROR:")):
        for line in text.splitlines():
            if line.startswith(beginnings):
                return line[:200]
    return None
