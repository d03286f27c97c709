# SPDX-License-Identifier: MIT
"""Guests without an operating system, below tests/guest: mini-blkfront, and the one that is hostile.

Each is a folder of C++ and assembly beside tests/guest/freestanding, and becomes an ELF file that `-kernel` boots.
"""

import guest
import host
import images
import nested
import paths
import qemu
import stamp
import ui
import xenguest

COMMON = paths.GUEST_SCRIPTS / "freestanding"
LOG = paths.LOGS / "freestanding.log"
FLAGS = ["-std=c++20", "-O2", "-g", "-Wall", "-Wextra", "-Wshadow", "-Werror", "-m64", "-mcmodel=small", "-mno-red-zone",
         "-mgeneral-regs-only", "-ffreestanding", "-fno-exceptions", "-fno-rtti", "-fno-stack-protector", "-fno-pic",
         "-fno-pie", "-fno-asynchronous-unwind-tables", "-fno-threadsafe-statics", f"-I{COMMON}"]
LINK = ["-m", "elf_x86_64", "-nostdlib", "-static", "-z", "noexecstack", "--build-id=none", "-T", COMMON / "link.ld"]
UPCALLS = {"vector": "each vCPU's own upcall vector", "callback": "the callback vector", "gsi": "a GSI",
           "intx": "PCI INTx"}
# How mini-blkfront runs.
WAYS = {"pc": [*xenguest.ACCEL, "-smp", "1"],
        "q35-single": ["-machine", "q35", "-accel", "tcg,xen-version=0x40011,thread=single", "-smp", "2"],
        "icount": [*xenguest.ACCEL, "-smp", "1", "-icount", "shift=auto"]}
# The hostile guest: a minute in all, the same each time.
FUZZ_SEEDS = (1, 2, 3)
FUZZ_SECONDS = 20
# Of the sanitizers. QEMU leaks at its end, which is nobody's fault; that it grows meanwhile would be the guest's.
SANITIZERS = {"ASAN_OPTIONS": "detect_leaks=0:hard_rss_limit_mb=2000", "UBSAN_OPTIONS": "print_stacktrace=1"}
COMPLAINTS = ("runtime error:", "ERROR: AddressSanitizer", "hard rss limit")


def build(name):
    """The guest's ELF file, with symbols."""
    image = paths.GUEST / "freestanding" / f"{name}.elf"
    sources = sorted(path for folder in (COMMON, paths.GUEST_SCRIPTS / name) for path in folder.iterdir()
                     if path.is_file())
    mark = stamp.Stamp(f"freestanding-{name}", [stamp.files_digest(sources), list(map(str, FLAGS))], [image])
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
            ui.run(["g++", *FLAGS, "-c", "-o", objects[-1], source], LOG, f"{name}: compiling {source.name}")
    ui.run(["ld", *LINK, "-o", image, *objects], LOG, f"{name}: linking")
    mark.write()
    return image


def arguments(name, image, options):
    """QEMU's words, all but the accelerator: one disk for the guest, whose image is made anew."""
    disk = images.raw(images.folder(name) / "own.raw", nested.SIZE)
    return ["-m", "64", "-kernel", image, "-append", options,
            "-blockdev", f"driver=file,node-name=own-file,filename={guest.escaped(disk)},discard=unmap",
            "-blockdev", "driver=raw,node-name=own,file=own-file,discard=unmap",
            "-device", "xen-disk,drive=own,vdev=xvda"]


def run_mini(name, upcall, way):
    """mini-blkfront connects, writes, reads back, runs code that it read, tests timers, closes, and powers off."""
    words = [*WAYS[way], *arguments(name, build("mini-blkfront"), f"upcall={upcall} timers")]
    with guest.Guest(name, words) as machine:
        machine.wait_for("finished", 60)
        _end(machine)
    said = machine.console.read_text(errors="replace")
    for line in (f"upcall={upcall}: ok", "wrote and read back 704 sectors: ok", "and ran it: ok"):
        if line not in said:
            raise machine.problem(f"mini-blkfront does not say '{line}'")


def run_fuzz(name):
    """The hostile guest, with each seed, on the QEMU that sanitizers watch."""
    image = build("fuzz")
    for seed in FUZZ_SEEDS:
        options = f"seed={seed} seconds={FUZZ_SECONDS}"
        words = [*xenguest.ACCEL, "-smp", "2", *arguments(name, image, options)]
        with guest.Guest(f"{name}-{seed}", words, program=qemu.SANITIZED, environment=SANITIZERS) as machine:
            try:
                machine.wait_for("finished", FUZZ_SECONDS + 120)
                _end(machine)
            finally:
                _look_for_complaints(machine)


def _end(machine):
    status = machine.wait_end()
    if status:
        raise machine.problem(f"QEMU ended with status {status} at power-off")


def _look_for_complaints(machine):
    """What the sanitizers said counts for more than how it ended."""
    for line in machine.errors.read_text(errors="replace").splitlines():
        if any(complaint in line for complaint in COMPLAINTS):
            raise ui.Problem(f"{machine.name}: {line.strip()[:200]}", machine.errors)
