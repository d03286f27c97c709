# SPDX-License-Identifier: MIT
"""fstrim by Linux's xen-blkfront, on a disk whose discard granularity is larger than the file system's block."""

import os

import pytest

from pvblk import guest, images, kernel, nested, ui, xenguest

MIB = images.MIB


@pytest.mark.claim("xen/fstrim", "xen-blkfront on xen-pvblk-backend: fstrim of an ext4 frees what a discard granularity of "
                   "1 MiB lets it, and nothing else")
@pytest.mark.needs("qemu", "guest")
def test_fstrim(name):
    folder = images.folder(name)
    xenguest.initrd("xen-fstrim.sh", kernel.CLOUD, fio=False).write(folder / "initrd")
    image = images.raw(folder / "own.raw", nested.SIZE)
    words = [*xenguest.ACCEL, "-smp", "1", "-m", "512", *guest.raw_disk("own", image),
             "-device", f"{xenguest.OURS},id=own,drive=own,vdev=xvda,discard_granularity={MIB}",
             *guest.linux(folder / "initrd", xenguest.CLOCK, kernel.CLOUD)]
    with guest.Guest(name, words) as machine:
        trimmed = machine.wait_for("trimmed", 90)
        machine.wait_for("finished", 60)
        machine.power_off()
    held = os.stat(image).st_blocks * 512
    ui.say(f"{trimmed}; the image holds {held >> 20} MiB of {nested.SIZE >> 20}; {images.check_ext4(image)}")
    # The large file was 19 MiB, and most of the disk was never used by a file.
    if held > 24 * MIB:
        raise machine.problem(f"the image still holds {held >> 20} MiB")
