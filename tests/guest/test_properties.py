# SPDX-License-Identifier: MIT
"""Properties that a guest has to see: of our backend by Linux's xen-blkfront, of the hosted disk by virtio-blk."""

import hashlib

import pytest

from pvblk import guest, images, initramfs, kernel, nested, xenguest

pytestmark = pytest.mark.needs("qemu", "guest")

# More than the block layer's bio holds, and as many as fit into one request.
SEGMENTS = 1024


def disk(folder, name):
    return guest.raw_disk(name, images.raw(folder / f"{name}.raw", nested.SIZE))


def seen(machine, device, what):
    return machine.qmp("qom-get", path=f"/machine/peripheral/{device}", property=what)


@pytest.mark.claim("xen/properties", "xen-blkfront on xen-pvblk-backend: removable=, cdrom=, a read-only disk, requests of 1024 segments")
def test_backend_properties(name):
    folder = images.folder(name)
    xenguest.initrd("xen-properties.sh", kernel.CLOUD, fio=False).write(folder / "initrd")
    words = [*xenguest.ACCEL, "-smp", "1", "-m", "1024", *disk(folder, "own"), *disk(folder, "fixed"),
             *disk(folder, "cdrom"), "-blockdev", "driver=raw,node-name=locked,file=fixed,read-only=on",
             "-device", f"{xenguest.OURS},id=own,drive=own,vdev=xvda,removable=on,max-indirect-segments={SEGMENTS}",
             "-device", f"{xenguest.OURS},id=locked,drive=locked,vdev=xvdb",
             "-device", f"{xenguest.OURS},id=cdrom,drive=cdrom,vdev=xvdc,cdrom=on",
             *guest.linux(folder / "initrd", f"{xenguest.CLOCK} xen_blkfront.max_indirect_segments={SEGMENTS}",
                          kernel.CLOUD)]
    content = b"fixed" * 4096
    with open(folder / "fixed.raw", "r+b") as out:
        out.write(content)
    sums, counted = [], []

    def on_mark(text):
        if text.startswith("sum inner-fixed "):
            sums.append(text.split()[-1])

    with guest.Guest(name, words) as machine:
        for word in ("before", "after"):
            machine.wait_for(word, 60, on_mark)
            counted.append(seen(machine, "own", "counters"))
            machine.tell("go")
        machine.wait_for("finished", 60)
        machine.power_off()
        before, after = counted
        requests, segments = (after[key] - before[key] for key in ("requests", "segments"))
        # 16 MiB, there and back, in as few requests as can be.
        if segments != 8192 or requests > 2 * segments / SEGMENTS:
            raise machine.problem(f"32 MiB went over the ring in {requests} requests of {segments} segments")
        if sums != [hashlib.md5(content + bytes(nested.SIZE - len(content))).hexdigest()]:
            raise machine.problem("the read-only disk reads otherwise in the guest than in its image")


def boot_hosted(name, script, devices, look):
    """A guest that knows nothing of Xen; look(machine) when its script has done its part."""
    folder = images.folder(name)
    image = initramfs.linux(script, ["virtio_blk"], libraries=["disk-lib.sh"])
    words = ["-machine", "pc,xen-emu=on", "-accel", "tcg", "-m", "512",
             *(word for device in devices for word in disk(folder, device)),
             *(word for device in devices.values() for word in device), *guest.linux(image.write(folder / "initrd"))]
    with guest.Guest(name, words) as machine:
        machine.wait_for("finished", 120)
        look(machine)
        machine.tell("go")
        machine.power_off()


@pytest.mark.claim("guest/properties", "the hosted disk: persistent=on and abi=x86_32")
def test_hosted_properties(name):
    def look(machine):
        plan, counters = (seen(machine, "persistent", what) for what in ("plan", "counters"))
        if not plan["persistent"] or not counters["persistent-grants"]:
            raise machine.problem(f"no grant is persistent: {plan}")
        plan = seen(machine, "abi", "plan")
        if plan["protocol"] != "x86_32-abi":
            raise machine.problem(f"the ABI is not that of 32 bits: {plan}")

    boot_hosted(name, "hosted-properties.sh",
                {"persistent": ["-device", "xen-pvblk-pci,id=persistent,drive=persistent,persistent=on"],
                 "abi": ["-device", "xen-pvblk-pci,id=abi,drive=abi,abi=x86_32"]}, look)


@pytest.mark.claim("guest/segments", "the hosted disk: reads and writes of 16 MiB, each in one request of 4096 segments")
def test_hosted_segments(name):
    def look(machine):
        plan, counters = (seen(machine, "large", what) for what in ("plan", "counters"))
        # 48 MiB there and back, and what the kernel reads by itself.
        if plan["max-segments"] != 4096 or counters["segments"] < 2 * 3 * 4096 or counters["ring-indirect"] > 16:
            raise machine.problem(f"of at most {plan['max-segments']} segments a request, {counters['segments']} went over "
                                  f"the ring in {counters['ring-indirect']} indirect requests")

    boot_hosted(name, "hosted-segments.sh",
                {"large": ["-device", f"{xenguest.OURS},drive=large,vdev=xvdz,max-indirect-segments=4096",
                           "-device", "xen-pvblk-pci,id=large,vdev=xvdz,max-indirect-segments=4096"]}, look)
