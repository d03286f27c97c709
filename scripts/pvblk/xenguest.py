# SPDX-License-Identifier: MIT
"""Xen HVM guests: Linux with its own xen-blkfront on a xen-disk, and a hosted disk beside it.

The same guest runs under `-accel tcg,xen-version=...` and, nested, under `-accel kvm,xen-version=...`; what it
reports as facts must be the same.
"""

import guest
import images
import initramfs
import kernel
import nested
import paths
import ui

ACCEL = ["-accel", "tcg,xen-version=0x40011"]
INTX = "xen_no_vector_callback expect=xen-platform-pci"
# Other ways to run: QEMU's words, the kernel's words. `expect` names the interrupt by which events must come.
VARIANTS = {
    "own-vector": (ACCEL, "expect=HYP", "each vCPU's own upcall vector, at its local APIC"),
    # Without that leaf of CPUID, Linux takes the vector of HVM_PARAM_CALLBACK_IRQ.
    "callback-vector": (["-accel", "tcg,xen-version=0x4000a"], "expect=HYP", "the callback vector of all vCPUs"),
    "intx-ioapic": (ACCEL, INTX, "PCI INTx through the IOAPIC"),
    "intx-pic": (ACCEL, INTX + " noapic", "PCI INTx through the PIC"),
    "intx-q35": ([*ACCEL, "-machine", "q35"], INTX, "PCI INTx on q35"),
    "single-thread": (["-accel", "tcg,xen-version=0x40011,thread=single"], "expect=HYP", "vCPUs that share a thread"),
    "icount": ([*ACCEL, "-icount", "shift=auto"], "expect=HYP", "-icount shift=auto"),
    "icount-no-sleep": ([*ACCEL, "-icount", "shift=3,sleep=off"], "expect=HYP", "-icount shift=3,sleep=off"),
    "q35": ([*ACCEL, "-machine", "q35"], "expect=HYP", "q35"),
    "cpu-max": ([*ACCEL, "-cpu", "max"], "expect=HYP", "a CPU model without the hypervisor bit"),
}
MODULES = ["drivers/block/virtio_blk", "fs/ext4/ext4", "drivers/block/xen-blkfront"]
GROWN = 96 * images.MIB
# There is no pvclock. On a busy host, Linux's calibration of the TSC may be wrong by an order of magnitude; then its time
# races, and it takes a moment for a lockup.
CLOCK = "tsc=unstable nowatchdog"
# For guest.examine().
KEYS = "sysrq_always_enabled"
# Backends of the guest's own disk.
QEMUS, OURS = "xen-disk", "xen-pvblk-backend"
KERNELS = (kernel.CLOUD, kernel.DEBIAN12, kernel.DEBIAN12_PAE)
BOOTS = 10
ATTEMPTS = 3


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
            raise machine.problem("the guest started over by itself", guest.Reset)

    for boot, end in (("first", "rebooting"), ("again", "finished")):
        online = machine.wait_for("ready", 90 * scale, on_mark)
        if online != str(cpus):
            raise machine.problem(f"the guest uses {online} of its {cpus} vCPUs")
        machine.tell(boot)
        machine.wait_for(end, 240 * scale, on_mark)
    return facts


def run_tcg(name, which, cpus, own=QEMUS):
    """One guest under TCG from boot to power-off; returns its facts."""
    folder = images.folder(name)
    initrd("xen-guest.sh", which).write(folder / "initrd")
    with guest.Guest(name, arguments(folder, which, cpus, own=own), reboot=True) as machine:
        facts = converse(Direct(machine), cpus, own=own)
        machine.power_off()
    images.check_ext4(folder / "own.raw")
    return facts


class Watched(Direct):
    """Notes what our backend says of its frontend, before it is unplugged."""

    def replug(self, device, **properties):
        path = f"/machine/peripheral/{device}"
        self.plan = self._machine.qmp("qom-get", path=path, property="plan")
        self.counters = self._machine.qmp("qom-get", path=path, property="counters")
        super().replug(device, **properties)


def run_backend(name, which, cpus):
    """Linux's own frontend uses all that our backend has, which works in a thread of its own."""
    folder = images.folder(name)
    initrd("xen-guest.sh", which).write(folder / "initrd")
    words = ["-object", "iothread,id=io", *arguments(folder, which, cpus, append="xen_blkfront.max_ring_page_order=4",
                                                      own=f"{OURS},iothread=io")]
    with guest.Guest(name, words, reboot=True) as machine:
        watched = Watched(machine)
        facts = converse(watched, cpus, own=OURS)
        machine.power_off()
    images.check_ext4(folder / "own.raw")
    _expect(watched, facts, {"protocol": "x86_32-abi" if which.architecture == "i386" else "x86_64-abi",
                             "queues": cpus, "ring-pages": 16, "persistent": True, "halted": False})


def _expect(watched, facts, plan):
    differs = {name: watched.plan[name] for name, value in plan.items() if watched.plan[name] != value}
    if differs:
        raise watched.problem(f"the backend should have agreed on {plan}, it did on {differs}")
    if not any("persistent grants: enabled; indirect descriptors: enabled" in fact for fact in facts):
        raise watched.problem("Linux does not say that it uses persistent grants and indirect descriptors")
    counters = watched.counters
    unused = [name for name in ("indirect", "persistent-hits", "bytes-written") if not counters[name]]
    wrong = [name for name in ("refused", "unsupported", "map-failures", "connect-failures") if counters[name]]
    if unused or wrong:
        raise watched.problem(f"the backend's counters are 0 that should not be, or not that should: {unused}, {wrong}")


def _nested(name, which, cpus, own):
    """Facts of a guest under KVM.

    TCG's SVM took a triple fault now and then, in its host right after #VMEXIT or in its guest: that is neither the
    guest's nor ours (docs/testing.rst). The outer QEMU ends with status 0 then, or the inner guest starts over, and
    there is another try.
    """
    for left in reversed(range(ATTEMPTS)):
        facts = []
        try:
            nested.run(name, initrd("xen-guest.sh", which), nested.HOSTED + nested.own(own),
                       lambda inner, facts=facts: facts.extend(converse(inner, cpus, scale=3, own=own)), which, cpus)
        except guest.Reset as reset:
            if not left:
                raise
            ui.say(f"  {reset}: a triple fault in the emulated SVM; once more")
        else:
            return facts


def run_both(name, which, cpus, own=QEMUS):
    """The same guest under TCG and under KVM; both must report the same."""
    under_tcg = run_tcg(name + "-tcg", which, cpus, own)
    under_kvm = _nested(name, which, cpus, own)
    log = paths.LOGS / f"{name}.facts.log"
    log.write_text("".join(f"tcg: {fact}\n" for fact in under_tcg) + "".join(f"kvm: {fact}\n" for fact in under_kvm))
    only_tcg = [fact for fact in under_tcg if fact not in under_kvm]
    only_kvm = [fact for fact in under_kvm if fact not in under_tcg]
    if under_tcg != under_kvm or not under_tcg:
        raise ui.Problem(f"the guest reports otherwise under TCG than under KVM: {only_tcg} and {only_kvm}", log)


def run_boots(name, which, cpus):
    """Many boots in a row, each with a little I/O on both disks."""
    folder = images.folder(name)
    initrd("xen-boot.sh", which, fio=False).write(folder / "initrd")
    for number in range(1, BOOTS + 1):
        try:
            _boot(name, arguments(folder, which, cpus))
        except ui.Problem as problem:
            raise ui.Problem(f"boot {number} of {BOOTS}: {problem}", problem.log) from problem


def run_variant(name, variant):
    """One boot in another way."""
    accel, append, _ = VARIANTS[variant]
    folder = images.folder(name)
    initrd("xen-boot.sh", kernel.CLOUD, fio=False).write(folder / "initrd")
    _boot(name, arguments(folder, kernel.CLOUD, 2, accel, append))


def run_kexec(name):
    """A kernel that starts itself again, with I/O in flight on the disk of its frontend."""
    folder = images.folder(name)
    image = initrd("xen-kexec.sh", kernel.CLOUD, kexec=True).write(folder / "initrd")
    sizes = f"left=2 kernel={kernel.CLOUD.image.stat().st_size} initramfs={image.stat().st_size}"
    words = arguments(folder, kernel.CLOUD, 2, append=sizes)
    with open(folder / "hosted.raw", "r+b") as disk:
        for offset, path in ((16, kernel.CLOUD.image), (32, image)):
            disk.seek(offset * images.MIB)
            disk.write(path.read_bytes())
    steps = []
    with guest.Guest(name, words) as machine:
        machine.wait_for("finished", 180, steps.append)
        machine.power_off()
    if len([step for step in steps if "times left" in step]) != 3:
        raise ui.Problem(f"{name}: there should have been three boots, there were these: {steps}", machine.console)


def _boot(name, words):
    with guest.Guest(name, words) as machine:
        machine.wait_for("finished", 90)
        machine.power_off()
