# SPDX-License-Identifier: MIT
"""The library pvblk-linux in a Xen guest: BlockFront in a program, on the kernel's own Xen devices."""

import pytest

from pvblk import core, guest, images, initramfs, kernel, nested, paths, ui, xenguest
from pvblk.xenguest import BACKENDS, OURS

LABEL = b"sector 0 of the image"
# tests/guest/linux-front/main.cc: kSectors.
WORK = 4 * images.MIB

# The options of a run, and what the backend has to agree on. xen-disk has neither large rings nor anything below.
BOTH_HAVE = [
    ({"ring-pages": 4}, {"queues": 1, "segments": 11, "persistent": 0, "flush": 1}),
    ({"trusted": 0}, {"in-place": 0}),
    # The next run meets a backend that believes itself connected.
    ({"crash": 1}, {}),
    ({}, {}),
]
OURS_HAS = [
    ({"ring-pages": 16}, {"ring-pages": 16}),
    ({"segments": 32}, {"segments": 32}),
    ({"persistent": 1}, {"persistent": 1, "in-place": 0}),
    ({"queues": 2}, {"queues": 2}),
    ({"queues": 2, "ring-pages": 4, "segments": 32, "persistent": 1, "crash": 1}, {"queues": 2, "persistent": 1}),
    ({"queues": 2, "ring-pages": 4, "segments": 32, "trusted": 0}, {"queues": 2, "ring-pages": 4, "segments": 32}),
]


def pattern(seed):
    """tests/support/pattern.h, of as many bytes as the program works on."""
    lines = [bytes((7 * k + base) & 255 for k in range(509)) for base in range(256)]
    return b"".join(lines[(7 * 509 * n + n + 131 * seed + 1) & 255] for n in range(WORK // 509 + 1))[:WORK]


def run(machine, words):
    """What a program in the guest says."""
    said = []
    machine.tell(words)
    machine.wait_for("did", 120, lambda text: said.append(text.removeprefix("said ")))
    return said


def numbers(lines):
    return {key: int(value) for line in lines for key, _, value in (word.partition("=") for word in line.split())
            if value.isdigit()}


@pytest.mark.claim("xen/linux-front{suffix}", "BlockFront as a program in Linux, on /dev/xen/*, against {own}: verified I/O in "
                   "each mode, reconnect, a crash; the parts of pvblk-linux alone; errors name the missing module")
@pytest.mark.needs("qemu", "guest", "linux-front")
@pytest.mark.parametrize(("suffix", "own"), BACKENDS.items(), ids=BACKENDS)
def test_linux_front(name, suffix, own):
    folder = images.folder(name)
    image = initramfs.linux("xen-linux-front.sh", ["xen-evtchn", "xen-gntalloc"], fio=False)
    for program in core.LINUX_FRONT:
        image.add_file(f"bin/{program.rpartition('/')[2]}", paths.CORE / program)
    disk = images.raw(folder / "own.raw", nested.SIZE)
    with open(disk, "r+b") as out:
        out.write(LABEL)
    words = [*xenguest.ACCEL, "-smp", "2", "-m", "256", *guest.raw_disk("own", disk),
             "-device", f"{own},id=own,drive=own,vdev=xvda",
             *guest.linux(image.write(folder / "initrd"), xenguest.CLOCK, kernel.CLOUD)]
    with guest.Guest(name, words) as machine:
        machine.wait_for("ready", 120)
        said = run(machine, "vbd 51712")
        if said != [LABEL.decode()]:
            raise machine.problem(f"vbd should print the label in sector 0, it prints {said}")
        run(machine, "linux-front parts")
        for seed, (options, wanted) in enumerate(BOTH_HAVE + (OURS_HAS if own == OURS else []), 1):
            check_run(machine, disk, {**options, "seed": seed}, wanted)
        machine.tell("end")
        machine.wait_for("finished", 60)
        machine.power_off()


def check_run(machine, disk, options, wanted):
    """One run, its facts, and its last sectors in the image."""
    words = " ".join(f"{key}={value}" for key, value in options.items())
    said = run(machine, f"linux-front {words}")
    facts = numbers(said)
    ui.say(f"  {words}: {facts}")
    differs = {key: facts.get(key) for key, value in wanted.items() if facts.get(key) != value}
    if differs:
        raise machine.problem(f"linux-front {words}: should be {wanted}, and these are not: {differs}")
    if (facts["indirect"] > 0) != (facts["segments"] > 11):
        raise machine.problem(f"linux-front {words}: {facts['indirect']} indirect requests")
    if facts["requests"] < 100 or not facts["bounced"]:
        raise machine.problem(f"linux-front {words}: too little was done: {facts}")
    if disk.read_bytes()[:WORK] != pattern(options["seed"]):
        raise machine.problem(f"linux-front {words}: the image has not the data of the last writes")
