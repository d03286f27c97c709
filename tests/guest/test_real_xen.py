# SPDX-License-Identifier: MIT
"""A real Xen under TCG, whose Linux is domain 0, and Linux's own xen-blkback there."""

import hashlib

import pytest

from pvblk import linuxfront, realxen, xenhost

BACKENDS = "/local/domain/0/backend/vbd/0"
# Options of linux-front, and what xen-blkback has to agree on. Each run flushes, and reconnects with I/O in flight.
RUNS = [
    ({"ring-pages": 4, "segments": 32}, {"queues": 1, "ring-pages": 4, "segments": 32, "persistent": 0}),
    ({"persistent": 1}, {"persistent": 1, "in-place": 0}),
    ({"trusted": 0}, {"in-place": 0}),
    ({"queues": 2}, {"queues": 2}),
    ({"queues": 2, "ring-pages": 16, "segments": 32, "persistent": 1, "crash": 1}, {"queues": 2, "ring-pages": 16}),
    # It meets a backend that believes itself connected.
    ({"segments": 11}, {"queues": 1, "ring-pages": 1, "segments": 11, "persistent": 0, "flush": 1, "discard": 1,
                        "sector-size": 512}),
    # It has no cache, so that a flush ends at once.
    ({"vdev": 51744, "segments": 32}, {"segments": 32, "flush": 0, "flushes": 0, "sector-size": 4096}),
]
# Where domain 0 has their data.
STORAGE = {51712: "/disk-51712", 51744: "/dev/disk51744"}


@pytest.mark.claim("real-xen/front-{which.version}", "Xen {which.version} with Linux as domain 0 boots under TCG. Linux's xen-blkback "
                   "waits for a frontend of each disk. Ours, a program in domain 0, meets it: verified I/O in each mode, "
                   "flush, discard, reconnect, a crash, 4096-byte sectors")
@pytest.mark.needs("qemu", "real-xen", "linux-front")
@pytest.mark.parametrize("which", xenhost.ALL, ids=lambda which: which.version)
def test_front(name, which):
    """One test, for a boot takes half of its time."""
    with realxen.boot(name, which, linuxfront.PROGRAMS, cpus=2) as machine:
        check_boot(machine, which)
        for seed, (options, wanted) in enumerate(RUNS, 1):
            check_front(machine, {"vdev": 51712, **options, "seed": seed}, wanted)
        machine.run("check_log")
        machine.power_off()


def check_boot(machine, which):
    """The host is the one asked for, and serves its disks and commands."""
    if not machine.versions.startswith(f"Xen {which.version} Linux "):
        raise machine.problem(f"this is no Xen {which.version}, but {machine.versions}")
    for disk in realxen.DISKS:
        expect_node(machine, f"{BACKENDS}/{disk.number}/mode", disk.mode)
    # Of commands: the status, and each line.
    if machine.run("sh", "-c", "echo one; printf two; exit 3") != (3, ["one", "two"]):
        raise machine.problem("a command's status and output are not as they should be")


def check_front(machine, options, wanted):
    """One run, its facts, and its last sectors in the backend's storage."""
    command = ["linux-front", *linuxfront.words(options)]
    storage = STORAGE[options["vdev"]]
    status, said = machine.run(*command, seconds=300)
    wrong = linuxfront.complaint(options, said, wanted) if status == 0 else " ".join(said[-2:])
    wanted_sum = hashlib.md5(linuxfront.pattern(options["seed"])).hexdigest()
    if not wrong and sum_of(machine, storage) != wanted_sum:
        wrong = f"{storage} has not the data of the last writes"
    if wrong:
        raise machine.problem(f"{' '.join(command)}: {wrong}")


def sum_of(machine, storage):
    """Of the sectors that linux-front works on, as the disk has them."""
    _, lines = machine.run("sh", "-c", f"head -c {linuxfront.WORK} {storage} | md5sum")
    return lines[0].split()[0]


def expect_node(machine, path, wanted):
    _, lines = machine.run("xenstore", "read", path)
    if lines != [wanted]:
        raise machine.problem(f"{path} is {' '.join(lines)} and not {wanted}")
