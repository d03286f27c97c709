# SPDX-License-Identifier: MIT
"""Xen HVM guests: Linux with its own xen-blkfront on a xen-disk, and a hosted disk beside it.

The same guest runs under `-accel tcg,xen-version=...` and, nested, under `-accel kvm,xen-version=...`; what it
reports as facts must be the same.
"""

from . import guest, guesttools, images, initramfs, nested, paths

ACCEL = ["-accel", "tcg,xen-version=0x40011"]
MODULES = ["virtio_blk", "ext4", "xen_blkfront"]
GROWN = 96 * images.MIB
# On a busy host, a vCPU may wait so long for its turn that Linux takes it for a lockup.
CLOCK = "nowatchdog"
# For guest.examine().
KEYS = "sysrq_always_enabled"
# Backends of the guest's own disk.
QEMUS, OURS = "xen-disk", "xen-pvblk-backend"
# By the end of a test's name.
BACKENDS = {"": QEMUS, "-backend": OURS}


class Direct:
    """A guest of ours, with the interface of nested.Inner."""

    def __init__(self, machine):
        self.wait_for = machine.wait_for
        self.tell = machine.tell
        self.problem = machine.problem
        self._machine = machine

    def resize(self, node, size):
        self._machine.qmp("block_resize", node_name=node, size=size)

    def replug(self, device, **properties):
        self._machine.qmp("device_del", id=device)
        self._machine.wait_event("DEVICE_DELETED")
        self._machine.qmp("device_add", id=device, **properties)


def initrd(script, which, **options):
    image = initramfs.linux(script, MODULES, kernel=which, ext4=True, libraries=["disk-lib.sh"], **options)
    image.add_file("lib/pvblk/mixed.fio", paths.GUEST_SCRIPTS / "mixed.fio")
    return image


def small_initrd(which):
    """A guest that comes up, uses its disks for a moment, and goes."""
    image = initramfs.linux("xen-boot.sh", ["virtio_blk", "xen_blkfront"], fio=False, kernel=which)
    image.add_file("bin/pattern", guesttools.pattern(which.architecture))
    return image


def arguments(folder, which, cpus, accel=ACCEL, append="", own=QEMUS):
    """QEMU's words for a guest under TCG with an own disk, whose driver is `own`, and a hosted one."""
    words = [*accel, "-smp", cpus, "-m", "512"]
    for name in ("own", "hosted"):
        words += guest.raw_disk(name, images.raw(folder / f"{name}.raw", nested.SIZE))
    return [*words, "-device", f"{own},id=own,drive=own,vdev=xvda", "-device", "xen-pvblk-pci,id=hosted,drive=hosted",
            *guest.linux(folder / "initrd", f"{CLOCK} {KEYS} {append}", which)]


def converse(machine, cpus, scale=1, own=QEMUS):
    """The host's side of tests/guest/xen-guest.sh; returns the facts. `scale` stretches deadlines."""
    facts = []

    def on_mark(text):
        word, _, rest = text.partition(" ")
        if word == "fact":
            facts.append(rest)
        elif word == "resize":
            machine.resize("own", GROWN)
        elif word == "replug":
            machine.replug("own", driver=own, drive="own", vdev="xvda")
            machine.tell("done")
        elif word == "ready":
            raise machine.problem("the guest rebooted by itself", guest.Reset)

    for boot, end in (("first", "rebooting"), ("again", "finished")):
        online = machine.wait_for("ready", 90 * scale, on_mark)
        if online != str(cpus):
            raise machine.problem(f"the guest uses only {online} of its {cpus} vCPUs")
        machine.tell(boot)
        machine.wait_for(end, 240 * scale, on_mark)
    return facts
