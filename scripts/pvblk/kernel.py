# SPDX-License-Identifier: MIT
"""The guests' kernels: Debian's, unpacked below build/ and not installed.

The cloud kernel has what all guests need, the nested ones too: KVM_XEN, KVM_AMD, XEN_PVHVM, xen-blkfront, virtio_blk,
ext4. The others are Linux as an installed Debian 12 boots it, with 64 and with 32 bits: an older blkfront, and all of
virtio and ext4 in modules.
"""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import archive, buildtools, paths, plainlinux, stamp, ui

# Of a package's modules: block devices, their buses and file systems, KVM, and what those may depend on. Ciphers and
# checksums for special processors are not kept: the guest's may lack them.
KEPT = ("arch/x86/kvm", "block", "crypto", "drivers/block", "drivers/virtio", "drivers/xen",
        "fs/configfs", "fs/ext4", "fs/jbd2", "fs/mbcache.*", "lib", "virt")


@dataclass(frozen=True)
class Kernel:
    """A kernel with its modules, in a tree as modprobe and depmod know it."""

    name: str
    title: str
    package: str
    architecture: str
    suites: tuple

    @property
    def folder(self):
        return paths.KERNEL / self.name

    @property
    def image(self):
        return self.folder / "vmlinuz"

    @property
    def plain(self):
        """Uncompressed, where that saves a guest some time."""
        return self.folder / "plain"

    @property
    def quick(self):
        """The image that a guest boots soonest."""
        return self.plain if self.plain.exists() else self.image

    @property
    def modules(self):
        return self.folder / "lib" / "modules"

    def load_order(self, wanted):
        """Files of modules and of all that they depend on, each after what it needs; what is built in is left out."""
        wanted = list(wanted)
        if any(name.startswith("virtio_") for name in wanted):
            # No symbol of it is used, but devices are found by it.
            wanted.insert(0, "virtio_pci")
        return _load_order(self.folder, next(self.modules.iterdir()).name, wanted,
                           f"Correct the name, or add its folder to KEPT in {paths.shown(__file__)}")


def _load_order(folder, version, wanted, advice):
    return list(dict.fromkeys(file for name in wanted for file in _with_dependencies(folder, version, name, advice)))


def _with_dependencies(folder, version, name, advice):
    # This machine's own settings are not the guest's.
    answer = subprocess.run(["/sbin/modprobe", "--dirname", folder, "--set-version", version, "--config", "/dev/null",
                             "--show-depends", name], capture_output=True, text=True)
    if answer.returncode:
        raise ui.Problem(f"kernel {version}: {answer.stderr.strip()}. {advice}")
    return [Path(line.split()[1]) for line in answer.stdout.splitlines() if line.startswith("insmod ")]


class Foreign:
    """A bzImage of the user's, with the modules that are installed for it; without those, all is built in."""

    def __init__(self, image):
        self.image = image
        with open(image, "rb") as file:
            head = file.read(0x238)
            file.seek(int.from_bytes(head[0x20E:0x210], "little") + 0x200)
            self.version = file.read(256).partition(b"\0")[0].decode(errors="replace").partition(" ")[0]
        self.architecture = "amd64" if head[0x236] & 1 else "i386"
        trees = [folder for folder in (image.parent, Path("/")) if (folder / "lib" / "modules" / self.version).is_dir()]
        self.folder = trees[0] if self.version and trees else None

    def load_order(self, wanted):
        if not self.folder:
            return []
        return _load_order(self.folder, self.version, wanted, f"If it is in {self.folder / 'lib' / 'modules'}, run depmod "
                           f"{self.version}. Else build the kernel with it, or give an initrd of your own")


def is_linux(path):
    """A bzImage says so at 0x202."""
    with open(path, "rb") as file:
        return file.read(0x206)[0x202:] == b"HdrS"


CLOUD = Kernel("cloud", "Debian 13's cloud kernel", "linux-image-cloud-amd64", "amd64", archive.SUITES)
DEBIAN12 = Kernel("debian12", "Debian 12's kernel", "linux-image-amd64", "amd64", archive.BOOKWORM)
# The cloud kernel, of the same source, cannot be a domain 0.
DEBIAN13 = Kernel("debian13", "Debian 13's kernel", "linux-image-amd64", "amd64", archive.SUITES)
DEBIAN12_PAE = Kernel("debian12-pae", "Debian 12's 32-bit kernel", "linux-image-686-pae", "i386", archive.BOOKWORM)
# The newest one that Debian's archive has.
NEWEST = Kernel("newest", "the newest kernel in Debian's archive", "linux-image-cloud-amd64", "amd64", ("sid",))
# As Xen guests.
ALL = (CLOUD, DEBIAN12, DEBIAN12_PAE)


def ensure(which=CLOUD):
    _ensure_unpacked(which)
    mark = stamp.Stamp(f"kernel-{which.name}-plain", plainlinux.inputs(which.image), [which.plain])
    if plainlinux.is_slow(which.image) and not mark.fresh():
        mark.clear()
        plainlinux.make(which.image, which.plain)
        mark.write()


def _ensure_unpacked(which):
    mark = stamp.Stamp(f"kernel-{which.name}", [which.package, which.suites, KEPT, "kmod"],
                       [which.image, which.modules])
    if mark.fresh():
        return
    mark.clear()
    with ui.step(f"kernel: fetching Debian's {which.package}"):
        debs = archive.binaries(f"kernel-{which.name}", [which.package], lambda lists: _newest(lists, which.package),
                                which.suites, which.architecture)
        work = paths.BUILD / "kernel.work"
        archive.unpack(debs, work)
        # They are fetched anew when they are needed again, and are the largest of all.
        shutil.rmtree(debs[0].parent)
        _keep(work, which)
        shutil.rmtree(work)
    mark.write()


def _newest(lists, package):
    """The metapackage depends on the kernel of the day, which comes in one package or, later, in several."""
    name = lists.depends(package, "linux-image-")
    if not name:
        return None
    parts = (lists.depends(name, beginning) for beginning in ("linux-binary-", "linux-modules-"))
    return [name, *filter(None, parts)]


def _keep(work, which):
    """Takes what guests use from an unpacked package."""
    images = sorted([*work.glob("boot/vmlinuz-*"), *work.glob("usr/lib/modules/*/vmlinuz")])
    trees = sorted([*work.glob("usr/lib/modules/*/kernel"), *work.glob("lib/modules/*/kernel")])
    if not images or not trees:
        raise ui.Problem(f"{which.package}: Debian's package contains no kernel or no modules")
    buildtools.reset(which.folder)
    shutil.copy(images[0], which.image)
    version = trees[0].parent.name
    kept = which.modules / version
    kept.mkdir(parents=True)
    for index in trees[0].parent.glob("modules.*"):
        shutil.copy(index, kept)
    for pattern in KEPT:
        for found in trees[0].glob(pattern):
            target = kept / found.relative_to(trees[0].parent)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(found, target)
    ui.run(["/sbin/depmod", "--basedir", which.folder, version], paths.LOGS / "kernel.log", "kernel: depmod")
