# SPDX-License-Identifier: MIT
"""`-accel kvm,xen-version=...` anywhere: a guest under TCG with an emulated AMD SVM runs QEMU again under KVM.

No Xen and no KVM is needed on the host; the innermost guest is a real Xen HVM guest.
"""

import hashlib
import re
import subprocess
from pathlib import Path

import guest
import images
import initramfs
import kernel
import paths
import qemu
import stamp
import ui

OUTER_MODULES = ["virt/lib/irqbypass", "arch/x86/kvm/kvm", "arch/x86/kvm/kvm-amd"]
HOSTED = ["-blockdev", "driver=file,node-name=hosted-file,filename=hosted.raw",
          "-blockdev", "driver=raw,node-name=hosted,file=hosted-file",
          "-device", "xen-pvblk-pci,id=hosted,drive=hosted"]
OWN = ["-blockdev", "driver=file,node-name=own-file,filename=own.raw",
       "-blockdev", "driver=raw,node-name=own,file=own-file",
       "-device", "xen-disk,drive=own,vdev=xvda"]
FIRMWARE = ("bios-256k.bin", "kvmvapic.bin", "linuxboot_dma.bin")
STRIPPED = paths.GUEST / "nested-qemu"


def run(name, script, modules, arguments, disks):
    """Runs tests/guest/<script> as the inner guest; the sums of `disks` must agree inside and outside."""
    folder = images.folder(name)
    initrd = _outer(_inner(script, modules).write(folder / "inner.initrd"), arguments).write(folder / "outer.initrd")
    sums = {}

    def on_mark(text):
        word, _, rest = text.partition(" ")
        if word == "sum":
            which, _, value = rest.partition(" ")
            sums[which] = value
        elif word == "inner-finished":
            sums["finished"] = True

    words = ["-accel", "tcg", "-cpu", "max,+svm", "-m", "2048", *guest.linux(initrd, "mitigations=off")]
    with guest.Guest(name, words) as machine:
        machine.wait_for("finished", 420, on_mark)
        machine.wait_end()
        _compare(machine, sums, disks)


def _compare(machine, sums, disks):
    if "finished" not in sums:
        raise machine.problem("the inner guest did not come to its end")
    blank = _blank_sum()
    for disk in disks:
        inner, outer = sums.get(f"inner-{disk}"), sums.get(f"outer-{disk}")
        if not inner or inner != outer:
            raise machine.problem(f"disk {disk}: the guest reads {inner}, its image holds {outer}")
        if outer == blank:
            raise machine.problem(f"disk {disk}: nothing was written to its image")


def _blank_sum():
    return hashlib.md5(bytes(32 * images.MIB)).hexdigest()


def _inner(script, modules):
    return initramfs.linux(script, modules, libraries=["xen-lib.sh"])


def _outer(inner, arguments):
    image = initramfs.linux("outer.sh", OUTER_MODULES, fio=False)
    image.add_file("nested/qemu", _stripped_qemu())
    image.add_libraries(_host_libraries(qemu.program("qemu-system-x86_64")))
    for name in FIRMWARE:
        image.add_file(f"nested/fw/{name}", paths.FIRMWARE / name)
    image.add_tree("nested/fw/keymaps", paths.FIRMWARE / "keymaps")
    image.add_file("nested/vmlinuz", kernel.IMAGE)
    image.add_file("nested/inner.initrd", inner)
    image.add("nested/arguments", " ".join(arguments))
    return image


def _stripped_qemu():
    """Debug information is three quarters of the binary, and would have to be loaded into the guest."""
    program = qemu.program("qemu-system-x86_64")
    status = program.stat()
    mark = stamp.Stamp("nested-qemu", [str(program), status.st_size, status.st_mtime_ns], [STRIPPED])
    if not mark.fresh():
        ui.run(["strip", "-o", STRIPPED, program], paths.LOGS / "nested.log", "nested: stripping QEMU")
        mark.write()
    return STRIPPED


def _host_libraries(program):
    """Shared libraries of a program that was built on this machine, at the same paths."""
    answer = subprocess.run(["ldd", str(program)], capture_output=True, text=True)
    if "not found" in answer.stdout:
        raise ui.Problem(f"{program} lacks shared libraries: {answer.stdout}")
    return [(path.lstrip("/"), Path(path)) for path in re.findall(r"/[^ ]+", answer.stdout)]
