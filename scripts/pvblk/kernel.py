# SPDX-License-Identifier: MIT
"""The guests' kernels: Debian's, unpacked below build/ and not installed.

The cloud kernel has what all guests need, the nested ones too: KVM_XEN, KVM_AMD, XEN_PVHVM, xen-blkfront, virtio_blk,
ext4. The others are Linux as an installed Debian 12 boots it, with 64 and with 32 bits: an older blkfront, and all of
virtio and ext4 in modules.
"""

import functools
import lzma
import shutil
import struct
from dataclasses import dataclass

from . import archive, buildtools, paths, stamp, ui

# Of a package's modules: block devices, their buses and file systems, KVM, and what those may depend on.
KEPT = ("arch/x86/crypto", "arch/x86/kvm", "block", "crypto", "drivers/block", "drivers/virtio", "drivers/xen",
        "fs/ext4", "fs/jbd2", "fs/mbcache.*", "lib", "virt")


@dataclass(frozen=True)
class Kernel:
    """A kernel with its modules. They are named by their paths below kernel/ without an ending."""

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
    def modules(self):
        return self.folder / "modules"

    @property
    def builtin(self):
        """A file with the paths of what is not a module in this kernel."""
        return self.folder / "modules.builtin"

    def module(self, path):
        """The content of a module."""
        packed = self.modules / (path + ".ko.xz")
        if packed.exists():
            return lzma.decompress(packed.read_bytes())
        plain = self.modules / (path + ".ko")
        if plain.exists():
            return plain.read_bytes()
        raise ui.Problem(f"the kernel below {paths.shown(self.folder)} has no module {path}")

    def load_order(self, wanted):
        """Modules and all that they depend on, each after what it needs; what is built in is left out."""
        wanted = list(wanted)
        if any(_name(path).startswith("virtio_") for path in wanted):
            # No symbol of it is used, but devices are found by it.
            wanted.insert(0, "drivers/virtio/virtio_pci")
        order = []
        for path in wanted:
            self._add_in_order(_name(path), path, order)
        return order

    def _add_in_order(self, name, wanted, order):
        if name in self._builtin_names:
            return
        path = self._paths.get(name)
        if not path:
            raise ui.Problem(f"{wanted}: the kernel {self.package} has {name} neither built in nor among the modules "
                             f"that are kept of it. Correct the name, or add its folder to KEPT in {_this_file()}")
        if path in order:
            return
        for needed in self._needs(path):
            self._add_in_order(needed, wanted, order)
        order.append(path)

    def _needs(self, path):
        """Names that a module depends on; of those it only asks to be loaded before it, the ones that are there."""
        information = _modinfo(self.module(path))
        needs = [_name(name) for value in information.get("depends", []) for name in value.split(",") if name]
        for value in information.get("softdep", []):
            if value.startswith("pre:"):
                needs += [name for word in value.split()[1:] if (name := self._provider(word))]
        return needs

    def _provider(self, word):
        """The module of that name or alias; None if there is none, or it is built in."""
        name = _name(word)
        return name if name in self._paths else self._aliases.get(word)

    @functools.cached_property
    def _paths(self):
        """The path of each module, by its name."""
        files = (file.relative_to(self.modules) for file in sorted(self.modules.rglob("*.ko*")))
        paths_below = (str(file.parent / file.name.partition(".ko")[0]) for file in files)
        return {_name(path): path for path in paths_below}

    @functools.cached_property
    def _builtin_names(self):
        return {_name(line.removesuffix(".ko")) for line in self.builtin.read_text().split()}

    @functools.cached_property
    def _aliases(self):
        """The name of a module by its alias. Those below arch/ may lack the processor that they are for."""
        return {alias: name for name, path in self._paths.items() if not path.startswith("arch/")
                for alias in _modinfo(self.module(path)).get("alias", [])}


CLOUD = Kernel("cloud", "Debian 13's cloud kernel", "linux-image-cloud-amd64", "amd64", archive.SUITES)
DEBIAN12 = Kernel("debian12", "Debian 12's kernel", "linux-image-amd64", "amd64", archive.BOOKWORM)
DEBIAN12_PAE = Kernel("debian12-pae", "Debian 12's 32-bit kernel", "linux-image-686-pae", "i386", archive.BOOKWORM)
ALL = (CLOUD, DEBIAN12, DEBIAN12_PAE)


def ensure(which=CLOUD):
    mark = stamp.Stamp(f"kernel-{which.name}", [which.package, which.suites, KEPT],
                       [which.image, which.modules, which.builtin])
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
    """The metapackage depends on the kernel of the day."""
    name = lists.depends(package, "linux-image-")
    return [name] if name else None


def _keep(work, which):
    """Takes what guests use from an unpacked package."""
    images = sorted(work.glob("boot/vmlinuz-*"))
    trees = sorted([*work.glob("usr/lib/modules/*/kernel"), *work.glob("lib/modules/*/kernel")])
    if not images or not trees:
        raise ui.Problem(f"{which.package}: Debian's package holds no kernel or no modules")
    buildtools.reset(which.folder)
    shutil.copy(images[0], which.image)
    shutil.copy(trees[0].parent / "modules.builtin", which.builtin)
    for pattern in KEPT:
        for found in trees[0].glob(pattern):
            target = which.modules / found.relative_to(trees[0])
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(found, target)


def _name(path):
    """A module's own name: in files' names it may have hyphens."""
    return path.rpartition("/")[2].replace("-", "_")


def _this_file():
    return paths.shown(paths.ROOT / "scripts" / "pvblk" / "kernel.py")


def _modinfo(content):
    """What a module says about itself: lists of values, by their keys."""
    information = {}
    for entry in _section(content, b".modinfo").split(b"\0"):
        key, _, value = entry.decode(errors="replace").partition("=")
        information.setdefault(key, []).append(value)
    return information


def _section(elf, wanted):
    """A section of a little-endian ELF file, by its name."""
    # e_shoff; then in a section's header sh_offset and sh_size; e_shentsize, e_shnum and e_shstrndx are the last words.
    wide = elf[4] == 2
    start, = struct.unpack_from("<Q" if wide else "<I", elf, 0x28 if wide else 0x20)
    size, count, names = struct.unpack_from("<HHH", elf, 0x3A if wide else 0x2E)

    def content(index):
        header = start + index * size
        offset, length = struct.unpack_from("<QQ" if wide else "<II", elf, header + (0x18 if wide else 0x10))
        return elf[offset:offset + length]

    strings = content(names)
    for index in range(count):
        name, = struct.unpack_from("<I", elf, start + index * size)
        if strings[name:strings.index(b"\0", name)] == wanted:
            return content(index)
    return b""
