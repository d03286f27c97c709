# SPDX-License-Identifier: MIT
"""Tests with a guest."""

import bootdisk
import demo
import erase
import freestanding
import gdbtest
import initramfs
import kernel
import nested
import paths
import torture
import xenguest
from registry import Test

CPUS = (1, 2, 4)


def tests():
    return [
        Test("guest/demo", "Linux under TCG: ext4, verified I/O, flush, discard and resize on two hosted disks",
             lambda: _quietly("guest-demo", demo.run, "tcg"), ("qemu", "guest")),
        Test("guest/demo-xen", "tcg,xen-version: the same by Linux's own xen-blkfront on two xen-disks",
             lambda: _quietly("guest-demo-xen", demo.run_xen), ("qemu", "guest")),
        Test("guest/boot-seabios", "SeaBIOS boots from the hosted disk by its bootindex, reads and writes it",
             lambda: bootdisk.run("guest-boot-seabios"), ("qemu", "guest")),
        Test("guest/kvm-xen-hosted", "kvm,xen-version: a Xen guest without a Xen block driver uses the hosted disk",
             _hosted, ("qemu", "guest")),
        *_xen_tests(),
        *_freestanding_tests(),
        *_gdb_tests(),
        *_long_xen_tests(),
    ]


def _xen_tests():
    """Linux under TCG: each kernel with each number of vCPUs, then other ways to run one of them."""
    for which in xenguest.KERNELS:
        for cpus in CPUS:
            name = f"{which.name}-{cpus}"
            yield Test(f"xen/io-{name}", f"tcg,xen-version: {which.title}, {cpus} vCPU: verified I/O, discard, flush, "
                       "resize, driver reload, reboot; a hosted disk beside it",
                       lambda name=name, which=which, cpus=cpus: xenguest.run_tcg(f"xen-io-{name}", which, cpus),
                       ("qemu", "guest-kernels"))
    for which, cpus in ((kernel.CLOUD, 4), (kernel.DEBIAN12, 2), (kernel.DEBIAN12_PAE, 2)):
        yield Test(f"xen/backend-{which.name}", f"{which.title}, {cpus} vCPU: xen-blkfront on xen-pvblk-backend: "
                   "queues, ring of 16 pages, indirect, persistent grants; what io-* does, in an iothread",
                   lambda which=which, cpus=cpus: xenguest.run_backend(f"xen-backend-{which.name}", which, cpus),
                   ("qemu", "guest-kernels"))
    yield Test("xen/secure-discard", "xen-blkfront on xen-pvblk-backend over qcow2: what was discarded securely is "
               "nowhere in the image", lambda: erase.run("xen-secure-discard"), ("qemu", "guest"))
    for group in torture.TORTURES:
        yield Test(f"xen/torture-{group}", f"Linux's own frontend under a fault plan of the group {group}: its guest lives, "
                   "and its disk fares as is known", lambda group=group: torture.run(f"xen-torture-{group}", group),
                   ("qemu", "guest"))
    for variant, (_, _, claim) in xenguest.VARIANTS.items():
        yield Test(f"xen/boot-{variant}", f"tcg,xen-version, 2 vCPUs: {claim}",
                   lambda variant=variant: xenguest.run_variant(f"xen-boot-{variant}", variant), ("qemu", "guest"))
    yield Test("xen/kexec", "tcg,xen-version: Linux starts its kernel again by kexec, twice, with I/O in flight (soft "
               "reset)", lambda: xenguest.run_kexec("xen-kexec"), ("qemu", "guest-kernels"))


def _freestanding_tests():
    for upcall, claim in freestanding.UPCALLS.items():
        for way in freestanding.WAYS:
            name = f"mini-{upcall}-{way}"
            yield Test(f"xen/{name}", f"mini-blkfront, a frontend without an operating system, on {way}; events by "
                       f"{claim}", lambda name=name, upcall=upcall, way=way: freestanding.run_mini(f"xen-{name}", upcall,
                                                                                                    way),
                       ("qemu", "firmware", "freestanding"))
    for way in freestanding.WAYS:
        yield Test(f"xen/refusals-{way}", "what a Xen guest and a frontend may not do is refused, and harms nobody; "
                   f"{way}", lambda way=way: freestanding.run_refusals(f"xen-refusals-{way}", way),
                   ("qemu", "firmware", "freestanding"))
    yield Test("xen/fuzz", "a minute of random and near-valid hypercalls on two vCPUs; QEMU, with ASan and UBSan, "
               "survives", lambda: freestanding.run_fuzz("xen-fuzz"), ("qemu-asan", "firmware", "freestanding"))


def _long_xen_tests():
    """Under TCG and nested KVM, and many boots in a row: minutes each."""
    for which in (kernel.CLOUD, kernel.DEBIAN12_PAE):
        yield Test(f"xen/kvm-backend-{which.name}", f"{which.title}, 2 vCPU, on xen-pvblk-backend: kvm,xen-version "
                   "(nested) and tcg,xen-version give the guest the same",
                   lambda which=which: xenguest.run_both(f"xen-kvm-backend-{which.name}", which, 2, xenguest.OURS),
                   ("qemu", "guest-kernels"))
    for which in xenguest.KERNELS:
        yield Test(f"xen/kvm-{which.name}", f"{which.title}, 2 vCPU: kvm,xen-version (nested) and tcg,xen-version give "
                   "the guest the same", lambda which=which: xenguest.run_both(f"xen-kvm-{which.name}", which, 2),
                   ("qemu", "guest-kernels"))
    for which in xenguest.KERNELS:
        for cpus in CPUS:
            name = f"{which.name}-{cpus}"
            yield Test(f"xen/boots-{name}", f"tcg,xen-version: {which.title}, {cpus} vCPU: {xenguest.BOOTS} boots in "
                       "a row", lambda name=name, which=which, cpus=cpus: xenguest.run_boots(f"xen-boots-{name}", which,
                                                                                            cpus),
                       ("qemu", "guest-kernels"))


def _gdb_tests():
    yield Test("gdb/own", "gdb in mini-blkfront: ring, grants, ports and nodes are shown as they are known otherwise",
               lambda: gdbtest.run_own("gdb-own", freestanding.build("mini-blkfront")),
               ("qemu", "firmware", "freestanding"))
    yield Test("gdb/hosted", "gdb and the hosted frontend, after SeaBIOS has booted from its disk",
               lambda: gdbtest.run_hosted("gdb-hosted"), ("qemu", "firmware"))
    for which in (kernel.CLOUD, kernel.DEBIAN12_PAE):
        yield Test(f"gdb/linux-{which.name}", f"gdb in {which.title}: both frontends, virtual addresses, two vCPUs",
                   lambda which=which: gdbtest.run_linux(f"gdb-linux-{which.name}", which), ("qemu", "guest-kernels"))


def _quietly(name, function, *arguments):
    """What it would have printed goes to a log."""
    log = paths.LOGS / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "w") as out:
        function(*arguments, name=name, say=lambda text="": print(text, file=out, flush=True))


def _hosted():
    inner = initramfs.linux("xen-hosted.sh", ["drivers/block/virtio_blk"], libraries=["disk-lib.sh"])
    end = nested.run("guest-kvm-xen-hosted", inner, nested.HOSTED, lambda machine: machine.wait_for("finished", 300))
    nested.compare_sums(end, ["hosted"])
