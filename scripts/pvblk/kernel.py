# SPDX-License-Identifier: MIT
"""The guests' kernel: Debian's cloud kernel, unpacked below build/ and not installed.

It has what all guests need, the nested ones too: KVM_XEN, KVM_AMD, XEN_PVHVM, xen-blkfront, virtio_blk, ext4.
"""

import lzma
import shutil

import archive
import buildtools
import paths
import stamp
import ui

META_PACKAGE = "linux-image-cloud-amd64"
IMAGE = paths.KERNEL / "vmlinuz"
MODULES = paths.KERNEL / "modules"


def ensure():
    mark = stamp.Stamp("kernel", [META_PACKAGE, 1], [IMAGE, MODULES])
    if mark.fresh():
        return
    mark.clear()
    with ui.step("kernel: fetching Debian's cloud kernel"):
        debs = archive.binaries("kernel", [META_PACKAGE], _newest)
        work = paths.BUILD / "kernel.work"
        archive.unpack(debs, work)
        buildtools.reset(paths.KERNEL)
        images = sorted(work.glob("boot/vmlinuz-*"))
        trees = sorted([*work.glob("usr/lib/modules/*/kernel"), *work.glob("lib/modules/*/kernel")])
        if not images or not trees:
            raise ui.Problem(f"{debs[0].name} holds no kernel or no modules")
        shutil.copy(images[0], IMAGE)
        shutil.move(trees[0], MODULES)
        shutil.rmtree(work)
    mark.write()


def _newest(lists):
    """The metapackage depends on the kernel of the day."""
    name = lists.depends(META_PACKAGE, "linux-image-")
    return [name] if name else None


def module(path):
    """The content of a module, by its path below kernel/ without an ending."""
    packed = MODULES / (path + ".ko.xz")
    if packed.exists():
        return lzma.decompress(packed.read_bytes())
    plain = MODULES / (path + ".ko")
    if plain.exists():
        return plain.read_bytes()
    raise ui.Problem(f"the kernel below {paths.shown(paths.KERNEL)} has no module {path}")
