# SPDX-License-Identifier: MIT
"""A real Xen under TCG, whose Linux is domain 0, and Linux's own xen-blkback and xen-blkfront there."""

import pytest

from pvblk import core, linuxfront, paths, realxen, xenhost

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

# Of the image that examples/serve.cc serves.
SECTORS = 32 * 2048


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
    _, wrong = linuxfront.run(machine, options, wanted)
    if wrong:
        raise machine.problem(f"linux-front {' '.join(linuxfront.words(options))}: {wrong}")


def expect_node(machine, path, wanted):
    _, lines = machine.run("xenstore", "read", path)
    if lines != [wanted]:
        raise machine.problem(f"{path} is {' '.join(lines)} and not {wanted}")


@pytest.mark.claim("real-xen/back-{which.version}", "Our backend, a program in domain 0 of Xen {which.version}, serves Linux's own "
                   "xen-blkfront. Verified I/O of 512 bytes to 1 MiB in each mode, ext4 and trim, a resize, a second "
                   "connection, a program that is killed and the next one that goes on, and faults on demand")
@pytest.mark.needs("qemu", "real-xen", "serve")
@pytest.mark.parametrize("which", xenhost.ALL, ids=lambda which: which.version)
def test_back(name, which):
    """One test, for a boot takes half of its time."""
    with realxen.boot_serving(name, which, [paths.CORE / core.SERVE], cpus=2) as machine:
        do(machine, "make_pattern")
        check_refusals(machine)
        serve(machine, [], 512, {"queues": 2, "ring-pages": 4, "persistent": 1}, check_life)
        serve(machine, ["segments=0", "ring-page-order=0", "queues=1"], 512, {"queues": 1, "ring-pages": 1, "indirect": 0})
        serve(machine, ["sector-size=4096"], 4096, {"queues": 2, "persistent": 1})
        serve(machine, ["persistent=0"], 512, {"persistent": 0, "persistent-hits": 0}, check_faults)
        machine.power_off()


def serve(machine, options, smallest, wanted, check_more=None):
    """A program with these options, verified I/O from the smallest request on, and the numbers that it has to tell."""
    do(machine, "make_image")
    do(machine, "attach")
    do(machine, "start", *options)
    do(machine, "await_disk", SECTORS)
    do(machine, "verify", smallest)
    said = (word.split("=") for word in do(machine, "tell", "counters")[0].split()[1:])
    counters = {key: int(value) for key, value in said}
    wanted = {"state": 4, "refused": 0, "map-failures": 0, "requests": counters["responses"], **wanted}
    differs = {key: counters[key] for key, value in wanted.items() if counters[key] != value}
    if differs or (counters["indirect"] == 0) != ("segments=0" in options):
        raise machine.problem(f"serve {' '.join(options)}: should be {wanted}, and these are not: {differs}; {counters}")
    if check_more:
        check_more(machine)
    do(machine, "detach", "ask_toolstack")
    do(machine, "end_serve", "quit", 0)


def do(machine, *words):
    """Runs a function of tests/guest/real-xen-serve.sh, which has to succeed."""
    status, lines = machine.run(*words, seconds=300)
    if status:
        raise machine.problem(f"{' '.join(map(str, words))}: status {status}, {' | '.join(lines[-4:])}")
    return lines


def check_refusals(machine):
    """A program that cannot serve says what to do."""
    do(machine, "refused", "attach the device first", 0, 51712, "/pattern")
    do(machine, "attach_to_blkback")
    do(machine, "refused", "xen-blkback serves this block device", 0, 51728, "/pattern")
    do(machine, "mv", "/dev/xen/gntdev", "/dev/xen/hidden")  # xenstored uses the module
    do(machine, "refused", "run 'modprobe xen-gntdev'", 0, 51712, "/pattern")
    do(machine, "mv", "/dev/xen/hidden", "/dev/xen/gntdev")


def check_life(machine):
    """Another program in the place of one that was killed; a file system, and another size under it; a new frontend."""
    do(machine, "refused", "another program has locked the file", 0, 51712, "/image")
    do(machine, "end_serve", "-9", 137)
    do(machine, "begin_read")
    do(machine, "read_waits")
    do(machine, "start")
    do(machine, "read_ends")
    do(machine, "use_ext4")
    do(machine, "tell", f"resize {SECTORS + 2048}")
    do(machine, "await_disk", SECTORS + 2048)
    do(machine, "umount", "/mnt")
    do(machine, "detach", "tell", "close")
    do(machine, "make_image")
    do(machine, "tell", f"resize {SECTORS}")
    do(machine, "attach")
    do(machine, "await_disk", SECTORS)
    do(machine, "verify", 512)


def check_faults(machine):
    """Linux's frontend and a backend that goes wrong. It is well once the plan is empty."""
    machine.run("check_log")
    for plan in "at respond op=read: response/status -1", "at map name=data always: grants/map-fails":
        do(machine, "tell", f"faults {plan}")
        do(machine, "fails_to_read")
        do(machine, "tell", "faults")
        do(machine, "read_right")
    do(machine, "tell", "faults at notify always: notify/lost")
    do(machine, "begin_read")
    do(machine, "read_waits")
    do(machine, "tell", "faults")
    do(machine, "read_ends")
