# SPDX-License-Identifier: MIT
"""The library pvblk-linux in a Xen guest: BlockFront in a program, on the kernel's own Xen devices."""

import pytest

from pvblk import guest, images, initramfs, kernel, linuxfront, nested, xenguest
from pvblk.xenguest import BACKENDS, OURS

LABEL = b"sector 0 of the image"

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


def run(machine, words):
    """What a program in the guest says."""
    said = []
    machine.tell(words)
    machine.wait_for("did", 120, lambda text: said.append(text.removeprefix("said ")))
    return said


@pytest.mark.claim("xen/linux-front{suffix}", "BlockFront as a program in Linux, on /dev/xen/*, against {own}: verified I/O in "
                   "each mode, reconnect, a crash; the parts of pvblk-linux alone; errors name the missing module")
@pytest.mark.needs("qemu", "guest", "linux-front")
@pytest.mark.parametrize(("suffix", "own"), BACKENDS.items(), ids=BACKENDS)
def test_linux_front(name, suffix, own):
    folder = images.folder(name)
    image = initramfs.linux("xen-linux-front.sh", ["xen-evtchn", "xen-gntalloc"], fio=False)
    for program in linuxfront.PROGRAMS:
        image.add_file(f"bin/{program.name}", program)
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
    command = " ".join(["linux-front", *linuxfront.words(options)])
    wrong = linuxfront.complaint(options, run(machine, command), wanted)
    if not wrong and disk.read_bytes()[:linuxfront.WORK] != linuxfront.pattern(options["seed"]):
        wrong = "the image has not the data of the last writes"
    if wrong:
        raise machine.problem(f"{command}: {wrong}")
