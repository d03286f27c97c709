# SPDX-License-Identifier: MIT
"""Initial RAM file systems for the guests, written as cpio archives ("newc") without needing root or cpio."""

import lzma
import os
import stat

from . import guesttools, kernel, paths

FOLDERS = ("bin", "dev", "proc", "sys", "tmp", "mnt", "lib", "lib/modules")


class Initramfs:
    """Collects files, then writes them. Uncompressed: unpacking costs an emulated processor more than reading."""

    def __init__(self):
        self.entries = {}
        for name in FOLDERS:
            self._folder(name)

    def _folder(self, name):
        self.entries.setdefault(name, (stat.S_IFDIR | 0o755, b""))

    def add(self, name, content, executable=False):
        if isinstance(content, str):
            content = content.encode()
        parts = name.split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            self._folder("/".join(parts[:depth]))
        self.entries[name] = (stat.S_IFREG | (0o755 if executable else 0o644), content)

    def add_file(self, name, path):
        self.add(name, path.read_bytes(), os.access(path, os.X_OK))

    def add_tree(self, name, folder):
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.add_file(f"{name}/{path.relative_to(folder)}", path)

    def add_libraries(self, libraries):
        for place, path in libraries:
            self.add(place, path.read_bytes(), executable=True)

    def add_program(self, name, packages):
        """A program of Debian's packages, with what it needs of them."""
        program = packages.find(name)
        self.add_file(f"sbin/{program.name}", program)
        self.add_libraries(packages.libraries(program))

    def add_modules(self, files):
        for file in files:
            content = file.read_bytes()
            self.add(f"lib/modules/{_module(file)}.ko", lzma.decompress(content) if file.suffix == ".xz" else content)

    def write(self, path):
        """Written beside and renamed, so that a half-written archive is never booted."""
        part = path.with_name(path.name + ".part")
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(part, "wb") as out:
            for number, (name, (mode, content)) in enumerate(sorted(self.entries.items()), 1):
                _entry(out, number, name, mode, content)
            _entry(out, 0, "TRAILER!!!", 0, b"")
        part.rename(path)
        return path


def _module(file):
    return file.name.partition(".ko")[0]


def _entry(out, number, name, mode, content):
    """One header of thirteen hexadecimal fields, the name and the content, each padded to four bytes."""
    raw = name.encode() + b"\0"
    fields = (number, mode, 0, 0, 2 if stat.S_ISDIR(mode) else 1, 0, len(content), 0, 0, 0, 0, len(raw), 0)
    header = b"070701" + b"".join(b"%08x" % field for field in fields)
    out.write(header + raw + b"\0" * (-(len(header) + len(raw)) % 4))
    out.write(content + b"\0" * (-len(content) % 4))


def linux(script, modules, fio=True, ext4=False, libraries=(), kernel=kernel.CLOUD, kexec=False):
    """A guest whose /init is tests/guest/lib.sh, further libraries and a script, all of tests/guest.

    Which modules the kernel lacks, and in which order they are loaded, is found out here.
    """
    userland = guesttools.USERLANDS[kernel.architecture]
    modules = kernel.load_order(modules)
    image = Initramfs()
    image.add_file("bin/busybox", userland.find(guesttools.BUSYBOX))
    image.add_modules(modules)
    if fio:
        image.add_file("bin/fio", guesttools.fio(kernel.architecture))
    if ext4:
        for program in guesttools.PROGRAMS:
            image.add_program(program, userland)
    if kexec:
        image.add_program(guesttools.KEXEC_PROGRAM, guesttools.KEXEC)
    image.add("init", init_script(modules, ["lib.sh"], [*libraries, script]), executable=True)
    return image


def contract(kernel=kernel.CLOUD):
    """A guest that keeps the contract of contract.py, with Linux's own blkfront."""
    image = linux("contract.sh", ["xen_blkfront"], fio=False, kernel=kernel)
    image.add_file("bin/pattern", guesttools.pattern(kernel.architecture))
    return image


def init_script(modules, before, after):
    """Scripts, then the modules in the order given, then more scripts."""
    def text(names):
        return "".join((paths.GUEST_SCRIPTS / name).read_text() for name in names)

    loads = "".join(f"load {_module(file)}\n" for file in modules)
    return text(before) + loads + text(after)
