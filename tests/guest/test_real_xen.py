# SPDX-License-Identifier: MIT
"""A real Xen under TCG, whose Linux is domain 0, and Linux's own xen-blkback there."""

import pytest

from pvblk import realxen, xenhost

BACKENDS = "/local/domain/0/backend/vbd/0"

each_host = pytest.mark.parametrize("which", xenhost.ALL, ids=lambda which: which.version)


@pytest.mark.claim("real-xen/boot-{which.version}", "Xen {which.version} with Linux as domain 0 boots under TCG; "
                   "xen-blkback waits for a frontend of each disk")
@pytest.mark.needs("qemu", "real-xen")
@each_host
def test_boot(name, which):
    with realxen.boot(name, which) as machine:
        if not machine.versions.startswith(f"Xen {which.version} Linux "):
            raise machine.problem(f"this is no Xen {which.version}, but {machine.versions}")
        for disk in realxen.DISKS:
            expect_node(machine, f"{BACKENDS}/{disk.number}/mode", disk.mode)
        # Of commands: the status, and each line.
        if machine.run("sh", "-c", "echo one; printf two; exit 3") != (3, ["one", "two"]):
            raise machine.problem("a command's status and output are not as they should be")
        machine.power_off()


def expect_node(machine, path, wanted):
    _, lines = machine.run("xenstore", "read", path)
    if lines != [wanted]:
        raise machine.problem(f"{path} is {' '.join(lines)} and not {wanted}")
