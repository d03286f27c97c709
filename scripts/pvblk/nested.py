# SPDX-License-Identifier: MIT
"""`-accel kvm,xen-version=...` anywhere: a guest under TCG with an emulated AMD SVM runs QEMU again under KVM.

No Xen and no KVM is needed on the host; the innermost guest is a real Xen HVM guest.
"""

import hashlib
import json
import re
import subprocess
from pathlib import Path

from . import guest, images, initramfs, kernel, paths, qemu, stamp, ui

OUTER_MODULES = ["kvm_amd"]
# Left to itself, `max` is a family 6: an AMD that knew neither SVM nor, says 32-bit Linux, more than one processor.
OUTER_CPU = "max,+svm,-la57,family=15,model=107,stepping=1"
HOSTED = ["-blockdev", "driver=file,node-name=hosted-file,filename=hosted.raw",
          "-blockdev", "driver=raw,node-name=hosted,file=hosted-file",
          "-device", "xen-pvblk-pci,id=hosted,drive=hosted"]
FIRMWARE = ("bios-256k.bin", "kvmvapic.bin", "linuxboot_dma.bin")
STRIPPED = paths.GUEST / "nested-qemu"
SIZE = 64 * images.MIB


def own(driver):
    """Words for the inner QEMU: a disk for the guest's own frontend."""
    return ["-blockdev", "driver=file,node-name=own-file,filename=own.raw,discard=unmap",
            "-blockdev", "driver=raw,node-name=own,file=own-file,discard=unmap",
            "-device", f"{driver},id=own,drive=own,vdev=xvda"]


class Inner:
    """The inner guest, seen through the outer one: its marks, its control line, and the inner QEMU's QMP."""

    def __init__(self, machine):
        self.machine = machine
        self.sums = {}
        self._monitor("qmp_capabilities")

    def wait_for(self, word, seconds, on_mark=None):
        """Sums are kept; other marks go to on_mark(text)."""
        def other(text):
            first, _, rest = text.partition(" ")
            if first == "sum":
                which, _, value = rest.partition(" ")
                self.sums[which] = value
            elif on_mark:
                on_mark(text)

        return self.machine.wait_for(word, seconds, other)

    def tell(self, text):
        self.machine.tell(f"guest {text}")

    def resize(self, node, size):
        self._monitor("block_resize", {"node-name": node, "size": size})

    def replug(self, device, **properties):
        self._monitor("device_del", {"id": device}, "DEVICE_DELETED")
        self._monitor("device_add", {"id": device, **properties})

    def problem(self, text, *kind):
        return self.machine.problem(text, *kind)

    def _monitor(self, command, arguments=None, event=None):
        """A QMP command of the inner QEMU; returns when it was done, and the event has come."""
        self.machine.tell("monitor " + json.dumps({"execute": command, "arguments": arguments or {}}))
        done = False
        while not done or event:
            answer = json.loads(self.machine.wait_for("monitor", 60))
            if "error" in answer:
                raise self.problem(f"inner QMP {command}: {answer['error'].get('desc')}")
            done = done or "return" in answer
            if answer.get("event") == event:
                event = None

    def end(self):
        """Waits until both have powered off."""
        self.wait_for("outer-finished", 60)
        self.machine.wait_end()


def run(name, inner, arguments, converse, which=kernel.CLOUD, cpus=1):
    """Boots an initramfs as the inner guest, hands an Inner to converse(), and returns it when all have ended."""
    folder = images.folder(name)
    outer = _outer(inner.write(folder / "inner.initrd"), which, arguments).write(folder / "outer.initrd")
    words = ["-accel", "tcg", "-cpu", OUTER_CPU, "-smp", cpus, "-m", "2048",
             *guest.linux(outer, f"mitigations=off size={SIZE} cpus={cpus}")]
    with guest.Guest(name, words) as machine:
        machine.wait_for("step", 60)
        nested = Inner(machine)
        converse(nested)
        nested.end()
    return nested


def compare_sums(inner, disks):
    """The images must hold what the guest read, and not only zeros."""
    blank = hashlib.md5(bytes(SIZE)).hexdigest()
    for disk in disks:
        read, held = inner.sums.get(f"inner-{disk}"), inner.sums.get(f"outer-{disk}")
        if not read or read != held:
            raise inner.problem(f"disk {disk}: the guest reads {read}, but its image holds {held}")
        if held == blank:
            raise inner.problem(f"disk {disk}: the guest wrote nothing to its image")


def _outer(inner, which, arguments):
    image = initramfs.linux("outer.sh", OUTER_MODULES, fio=False)
    image.add_file("nested/qemu", STRIPPED)
    image.add_libraries(_host_libraries(qemu.program("qemu-system-x86_64")))
    for name in FIRMWARE:
        image.add_file(f"nested/fw/{name}", paths.FIRMWARE / name)
    image.add_tree("nested/fw/keymaps", paths.FIRMWARE / "keymaps")
    image.add_file("nested/vmlinuz", which.image)
    image.add_file("nested/inner.initrd", inner)
    image.add("nested/arguments", " ".join(arguments))
    return image


def ensure():
    """A QEMU without debug information: that is three quarters of the binary, and would be loaded into the guest."""
    program = qemu.program("qemu-system-x86_64")
    status = program.stat()
    mark = stamp.Stamp("nested-qemu", [str(program), status.st_size, status.st_mtime_ns], [STRIPPED])
    if not mark.fresh():
        ui.run(["strip", "-o", STRIPPED, program], paths.LOGS / "nested.log", "nested: stripping QEMU")
        mark.write()


def _host_libraries(program):
    """Shared libraries of a program that was built on this machine, at the same paths."""
    answer = subprocess.run(["ldd", str(program)], capture_output=True, text=True)
    if "not found" in answer.stdout:
        raise ui.Problem(f"{program} lacks shared libraries: {answer.stdout}")
    return [(path.lstrip("/"), Path(path)) for path in re.findall(r"/[^ ]+", answer.stdout)]
