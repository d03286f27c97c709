# SPDX-License-Identifier: MIT
"""Tests with a guest."""

import bootdisk
import demo
import nested
import paths
from registry import Test

VIRTIO_BLK = "drivers/block/virtio_blk"
XEN_BLKFRONT = "drivers/block/xen-blkfront"


def tests():
    return [
        Test("guest/demo", "Linux under TCG: ext4, verified I/O, flush, discard and resize on two hosted disks", _demo,
             ("qemu", "guest")),
        Test("guest/boot-seabios", "SeaBIOS boots from the hosted disk by its bootindex, reads and writes it", _boot,
             ("qemu", "guest")),
        Test("guest/kvm-xen-hosted", "kvm,xen-version: a Xen guest without a Xen block driver uses the hosted disk",
             _hosted, ("qemu", "guest")),
        Test("guest/kvm-xen-both", "kvm,xen-version: the hosted disk and the guest's own xen-blkfront side by side",
             _both, ("qemu", "guest")),
    ]


def _demo():
    """What it would have printed goes to a log."""
    log = paths.LOGS / "guest-demo.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "w") as out:
        demo.run("tcg", "guest-demo", say=lambda text="": print(text, file=out, flush=True))


def _boot():
    bootdisk.run("guest-boot-seabios")


def _hosted():
    nested.run("guest-kvm-xen-hosted", "xen-hosted.sh", [VIRTIO_BLK], nested.HOSTED, ["hosted"])


def _both():
    nested.run("guest-kvm-xen-both", "xen-both.sh", [VIRTIO_BLK, XEN_BLKFRONT], nested.HOSTED + nested.OWN,
               ["hosted", "own"])
