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
KERNELS = (kernel.CLOUD, kernel.DEBIAN12, kernel.DEBIAN12_PAE)
# Those that also run under KVM, nested. One of 32 bits does not get past its setup code there, with npt=0 neither.
NESTED = (kernel.CLOUD, kernel.DEBIAN12)
BOOTS = 10


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


def arguments(folder, which, cpus, accel=ACCEL, append=""):
    """QEMU's words for a guest under TCG with an own disk and a hosted one."""
    words = [*accel, "-smp", cpus, "-m", "512"]
    for name in ("own", "hosted"):
        path = images.raw(folder / f"{name}.raw", nested.SIZE)
        words += ["-blockdev", f"driver=file,node-name={name}-file,filename={guest.escaped(path)},discard=unmap",
                  "-blockdev", f"driver=raw,node-name={name},file={name}-file,discard=unmap"]
    return [*words, "-device", "xen-disk,id=own,drive=own,vdev=xvda", "-device", "xen-pvblk-pci,id=hosted,drive=hosted",
            *guest.linux(folder / "initrd", f"{CLOCK} {append}", which)]


def converse(machine, cpus, scale=1):
    """The host's side of tests/guest/xen-guest.sh; returns the facts. `scale` stretches deadlines."""
    facts = []

    def on_mark(text):
        word, _, rest = text.partition(" ")
        if word == "fact":
            facts.append(rest)
        elif word == "resize":
            machine.resize("own", GROWN)
        elif word == "replug":
            machine.replug("own", driver="xen-disk", drive="own", vdev="xvda")
            machine.tell("done")

    for boot, end in (("first", "rebooting"), ("again", "finished")):
        online = machine.wait_for("ready", 90 * scale, on_mark)
        if online != str(cpus):
            raise machine.problem(f"the guest uses {online} of its {cpus} vCPUs")
        machine.tell(boot)
        machine.wait_for(end, 240 * scale, on_mark)
    return facts


def run_tcg(name, which, cpus):
    """One guest under TCG from boot to power-off; returns its facts."""
    folder = images.folder(name)
    initrd("xen-guest.sh", which).write(folder / "initrd")
    with guest.Guest(name, arguments(folder, which, cpus), reboot=True) as machine:
        facts = converse(Direct(machine), cpus)
        _power_off(machine)
    images.check_ext4(folder / "own.raw")
    return facts


def _power_off(machine):
    status = machine.wait_end()
    if status:
        raise machine.problem(f"QEMU ended with status {status} at power-off")


def run_both(name, which, cpus):
    """The same guest under TCG and under KVM; both must report the same."""
    under_tcg = run_tcg(name + "-tcg", which, cpus)
    under_kvm = []
    nested.run(name, initrd("xen-guest.sh", which), nested.HOSTED + nested.OWN,
               lambda inner: under_kvm.extend(converse(inner, cpus, scale=3)), which, cpus)
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
        _power_off(machine)
    if len([step for step in steps if "times left" in step]) != 3:
        raise ui.Problem(f"{name}: there should have been three boots, there were these: {steps}", machine.console)


def _boot(name, words):
    with guest.Guest(name, words) as machine:
        machine.wait_for("finished", 90)
        _power_off(machine)
