# SPDX-License-Identifier: MIT
"""Guests without an operating system, below tests/guest: mini-blkfront, and the one that is hostile.

Each is a folder of C++ and assembly beside tests/guest/freestanding, and becomes an ELF file that `-kernel` boots.
"""

from . import host, paths, stamp, ui

GUESTS = ("mini-blkfront", "refusals", "fuzz")
COMMON = paths.GUEST_SCRIPTS / "freestanding"
# Whose sources a guest uses too, all but main.cc.
EXTRA = {"refusals": paths.GUEST_SCRIPTS / "mini-blkfront"}
LOG = paths.LOGS / "freestanding.log"
FLAGS = ["-std=c++20", "-O2", "-g", "-Wall", "-Wextra", "-Wshadow", "-Werror", "-m64", "-mcmodel=small", "-mno-red-zone",
         "-mgeneral-regs-only", "-ffreestanding", "-fno-exceptions", "-fno-rtti", "-fno-stack-protector", "-fno-pic",
         "-fno-pie", "-fno-asynchronous-unwind-tables", "-fno-threadsafe-statics", f"-I{COMMON}"]
LINK = ["-m", "elf_x86_64", "-nostdlib", "-static", "-z", "noexecstack", "--build-id=none", "-T", COMMON / "link.ld"]


def build(name):
    """The guest's ELF file, with symbols."""
    image = paths.GUEST / "freestanding" / f"{name}.elf"
    extra = EXTRA.get(name)
    sources = sorted(path for folder in (COMMON, paths.GUEST_SCRIPTS / name, extra) if folder
                     for path in folder.iterdir()
                     if path.is_file() and not (folder == extra and path.name == "main.cc"))
    flags = [*FLAGS, f"-I{extra}"] if extra else FLAGS
    mark = stamp.Stamp(f"freestanding-{name}", [stamp.files_digest(sources), list(map(str, flags))], [image])
    if mark.fresh():
        return image
    mark.clear()
    host.ensure(host.FREESTANDING)
    work = image.with_suffix(".objects")
    work.mkdir(parents=True, exist_ok=True)
    LOG.unlink(missing_ok=True)
    objects = []
    for source in sources:
        if source.suffix in (".cc", ".S"):
            objects.append(work / f"{source.parent.name}-{source.name}.o")
            ui.run(["g++", *flags, "-c", "-o", objects[-1], source], LOG, f"{name}: compiling {source.name}")
    ui.run(["ld", *LINK, "-o", image, *objects], LOG, f"{name}: linking")
    mark.write()
    return image
