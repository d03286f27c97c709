# SPDX-License-Identifier: MIT
"""A secure discard by Linux's xen-blkfront: when it is answered, nothing of the old data is left in the image."""

import re

import pytest

from pvblk import guest, images, kernel, ui, xenguest

SECTORS = 16384
# What the guest has discarded.
GONE = range(2056, 2056 + 6160)


@pytest.mark.claim("xen/secure-discard", "xen-blkfront on xen-pvblk-backend over qcow2: securely discarded data is "
                   "nowhere in the image")
@pytest.mark.needs("qemu", "guest")
def test_secure_discard(name):
    folder = images.folder(name)
    xenguest.initrd("xen-erase.sh", kernel.CLOUD, fio=False).write(folder / "initrd")
    disk = images.qcow2(folder / "own.qcow2", 16 * images.MIB)
    # qcow2 would rather note that a cluster is zero than write it.
    words = [*xenguest.ACCEL, "-smp", "2", "-m", "512",
             "-blockdev", f"driver=qcow2,node-name=own,discard=unmap,file.driver=file,file.discard=unmap,"
             f"file.filename={guest.escaped(disk)}", "-object", "iothread,id=io",
             "-device", f"{xenguest.OURS},id=own,drive=own,vdev=xvda,iothread=io,discard-secure=on",
             *guest.linux(folder / "initrd", f"{xenguest.CLOCK} {xenguest.KEYS}", kernel.CLOUD)]
    with guest.Guest(name, words) as machine:
        machine.wait_for("written", 60)
        expect(machine, disk, set(range(SECTORS)), "written")
        machine.tell("go")
        machine.wait_for("erased", 60)
        expect(machine, disk, set(range(SECTORS)) - set(GONE), "erased")
        machine.tell("go")
        machine.wait_for("finished", 60)
        machine.power_off()
    ui.say(f"{images.check_qcow2(disk)}")


def expect(machine, disk, sectors, when):
    """The image, whatever its format: which sectors' secrets are anywhere in it."""
    found = {int(number) for number in re.findall(rb"secret of sector (\d{6})", disk.read_bytes())}
    if found != sectors:
        raise machine.problem(f"once it was {when}: {len(found - sectors)} sectors are in the image that should not be, "
                              f"{len(sectors - found)} are not that should")
