# SPDX-License-Identifier: MIT
"""GRUB as a Xen PVH guest: a frontend that is neither Linux's nor ours, and a kernel that it starts from the disk."""

import hashlib
import os
import time

import pytest

from pvblk import grub, guest, images, kernel, paths, ui, xenguest
from pvblk.xenguest import OURS, QEMUS

DATA_BYTES = 1 << 20
# Where the two differ, by more than what a boot takes on a busy machine.
CLOCK_MAY_DIFFER = 120
LINE = 16

# `search` finds a disk by its file, since each backend has another name for it. A countdown and `sleep` end only if
# there is a clock.
CONFIG = """
search --set=fat --file /fat.txt
echo "ext4:"
cat /boot/note.txt
md5sum /data
echo "fat:"
cat ($fat)/fat.txt
md5sum ($fat)/data
hexdump --skip={skip} --length={line} /data
date
sleep 1
set default=0
set timeout=1
menuentry "Linux" {{
    linux /vmlinuz console=ttyS0 quiet panic=-1 sum={sum} {append}
    initrd /initrd
}}
"""


@pytest.mark.claim("xen/grub-{which.name}-{driver}", "GRUB of {which.name}, a PVH guest, on {driver}: reads ext4 and FAT, "
                   "counts down, starts Linux, whose blkfront takes the disk over")
@pytest.mark.needs("qemu", "guest", "grub")
@pytest.mark.parametrize("driver", [OURS, QEMUS])
@pytest.mark.parametrize("which", grub.ALL, ids=lambda which: which.name)
def test_grub(name, which, driver):
    """From GRUB's first hypercall to Linux's last write."""
    folder = images.folder(name)
    data = os.urandom(DATA_BYTES)
    disks = make_disks(folder, data)
    console = paths.LOGS / f"{name}.grub.log"
    facts, begin = [], time.time()
    with guest.Guest(name, [*xenguest.ACCEL, *grub.arguments(which, driver, disks, console)]) as machine:
        machine.wait_for("finished", 180, facts.append)
        machine.power_off()
    said = console.read_text(errors="replace")
    for words in expected_of_grub(data):
        if words not in said:
            raise ui.Problem(f"{name}: GRUB does not say '{words}'", console)
    check_clocks(machine, said, facts, begin)
    images.check_ext4(disks[0])


def make_disks(folder, data):
    initrd = xenguest.initrd("xen-grub.sh", kernel.CLOUD, fio=False).write(folder / "initrd")
    config = CONFIG.format(skip=DATA_BYTES - LINE, line=LINE, sum=md5(data), append=xenguest.KEYS)
    tree = images.folder(f"{folder.name}/ext4"), images.folder(f"{folder.name}/fat")
    return [grub.ext4(folder / "ext4.raw", 96 * images.MIB, tree[0],
                      {"boot/grub/grub.cfg": config.encode(), "boot/note.txt": b"a note on ext4\n", "data": data,
                       "vmlinuz": kernel.CLOUD.image, "initrd": initrd}),
            grub.fat(folder / "fat.raw", 16 * images.MIB, tree[1], {"fat.txt": b"a note on FAT\n", "data": data})]


def md5(data):
    return hashlib.md5(data).hexdigest()


def expected_of_grub(data):
    """What must be on the console; the sum comes twice, and the last line of data as hexdump prints it."""
    last = data[-LINE:].hex(" ")
    return ["a note on ext4", "a note on FAT", f"{md5(data)}  /data", f"{md5(data)}  (", last[:23], last[24:]]


def check_clocks(machine, said, facts, begin):
    """GRUB's date and Linux's are the host's."""
    today = {time.strftime("%Y-%m-%d", time.gmtime(when)) for when in (begin, time.time())}
    if not any(day in said for day in today):
        raise machine.problem(f"GRUB's date is not {' or '.join(sorted(today))}")
    told = dict(fact.split()[1:] for fact in facts if fact.startswith("fact "))
    if told.get("clock") != "xen":
        raise machine.problem(f"Linux's clock is {told.get('clock')}, and not xen")
    if abs(int(told["seconds"]) - time.time()) > CLOCK_MAY_DIFFER:
        raise machine.problem(f"Linux's date is {told['seconds']}, and the host's {time.time():.0f}")
