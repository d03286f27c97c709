# SPDX-License-Identifier: MIT
"""Guests that know nothing of Xen block devices, with hosted disks; and the demo's other half."""

import functools

import pytest

from pvblk import bootdisk, demo, initramfs, nested, paths

pytestmark = pytest.mark.needs("qemu", "guest")


@pytest.fixture
def say(name):
    """What the demo says goes to a log."""
    with open(paths.LOGS / f"{name}.log", "w") as out:
        yield functools.partial(print, file=out, flush=True)


@pytest.mark.claim("guest/demo", "Linux under TCG: ext4, verified I/O, flush, discard and resize on two hosted disks")
def test_demo(name, say):
    demo.run("tcg", name, say)


@pytest.mark.claim("guest/demo-xen", "tcg,xen-version: the same with Linux's own xen-blkfront on two xen-disks")
def test_demo_xen(name, say):
    demo.run_xen(name, say)


@pytest.mark.claim("guest/boot-seabios", "SeaBIOS boots from the hosted disk by its bootindex, reads and writes it")
def test_boot_seabios(name):
    bootdisk.run(name)


@pytest.mark.claim("guest/kvm-xen-hosted", "kvm,xen-version: a Xen guest without a Xen block driver uses the hosted disk")
@pytest.mark.needs("nested")
@pytest.mark.alone
def test_kvm_xen_hosted(name):
    inner = initramfs.linux("xen-hosted.sh", ["virtio_blk"], libraries=["disk-lib.sh"])
    end = nested.run(name, inner, nested.HOSTED, lambda machine: machine.wait_for("finished", 300))
    nested.compare_sums(end, ["hosted"])
