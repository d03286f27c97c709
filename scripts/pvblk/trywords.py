# SPDX-License-Identifier: MIT
"""The words of `pvblk try`, read and checked before anything boots."""

import os
import shlex
import struct
from dataclasses import dataclass, field
from pathlib import Path

from . import kernel, paths, ui

HELP = """\
./pvblk try: boot your kernel or image as a Xen guest, on a backend that judges its frontend
(docs/bring-your-own-frontend.rst)

  ./pvblk try --kernel vmlinuz                   Linux; an initrd that uses the disk is added
  ./pvblk try --kernel vmlinuz --initrd initrd   your own initrd, whose scripts use xvda: an empty disk of 64 MiB
  ./pvblk try --kernel guest.elf                 anything that QEMU's -kernel boots
  ./pvblk try --image disk.qcow2 [--uefi]        a whole disk, by SeaBIOS or OVMF; the guest sees it as xvda

What the backend does:

  --faults FILE        it goes wrong by this plan (docs/faults.rst), from power-on
  --scenario ID        it is that of a scenario of the suite (./pvblk conformance --list --frontend has all)
  --hot                ... and the disk is plugged in when the guest is up, if the guest keeps the page's contract
  --seed N             it goes wrong by the plan that ./pvblk sim --plan N prints
  --seed N --minutes M ... and by those of N+1, N+2 and so on, for so long; a crash or hang is shrunk

The machine:

  --append WORDS       more words for the kernel's command line
  --accel kvm          KVM with Xen support, instead of TCG
  --memory MIB         512
  --cpus N             1
  --seconds N          how long the guest may run: 60; a guest that powers off ends sooner
  --format FORMAT      of the image; without it, qemu-img finds it out
  --write              the image is written to; without it, all writes are dropped at the end
  --scratch            an empty second disk, xvdb: faults and the contract are about this one
  -- WORDS             more words for QEMU: -- -s -S waits for gdb

Exit status: 0 all is well, 1 the frontend broke a clause, 2 wrong words, 3 nothing could be decided, 4 the guest crashed
or hung, 130 interrupted.
"""

NUMBERS = {"--memory": 512, "--cpus": 1, "--seconds": 60, "--seed": None, "--minutes": None}
FILES = ("--kernel", "--initrd", "--image", "--faults")
FLAGS = ("--uefi", "--hot", "--write", "--scratch")
# In a kernel of another format than Linux's, for multiboot loaders.
MULTIBOOT = struct.pack("<I", 0x1BADB002)

@dataclass
class Words:
    """What the user wants, by the names of the options."""

    kernel: Path = None
    initrd: Path = None
    image: Path = None
    faults: Path = None
    scenario: str = ""
    append: str = ""
    accel: str = "tcg"
    format: str = ""
    memory: int = 512
    cpus: int = 1
    seconds: int = 60
    seed: int = None
    minutes: int = None
    uefi: bool = False
    hot: bool = False
    write: bool = False
    scratch: bool = False
    more: list = field(default_factory=list)
    # Properties of the backend, of the scenario.
    backend: dict = field(default_factory=dict)

    @property
    def linux(self):
        return self.kernel is not None and kernel.is_linux(self.kernel)

    @property
    def adds_initrd(self):
        return self.linux and not self.initrd

    @property
    def vdev(self):
        """Of the disk that plans and the contract are about."""
        return "xvdb" if self.scratch else "xvda"

    @property
    def bent(self):
        """Whether an I/O error may be the backend's doing."""
        return bool(self.faults or self.backend.get("read-only") or self.backend.get("cdrom"))

    @property
    def steps(self):
        """Of the set-up."""
        return ["qemu", "firmware", *(["guest"] if self.adds_initrd else []), *(["uefi"] if self.uefi else []),
                *(["sim"] if self.seed is not None else []), *(["core"] if self.scenario else [])]

    def command(self, **changes):
        """The command that does the same but for some options; None leaves one out."""
        defaults = Words()
        words = ["./pvblk", "try"]
        for name, value in {**vars(self), **changes}.items():
            if value is True:
                words.append(f"--{name}")
            elif name not in ("more", "backend") and value is not None and value != getattr(defaults, name):
                words += [f"--{name}", paths.shown(value) if isinstance(value, Path) else str(value)]
        return shlex.join([*words, *(["--", *self.more] if self.more else [])])


def read(words):
    """Words, or a ui.Usage that says what to do."""
    wanted = Words()
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        if word == "--":
            wanted.more = list(rest)
        elif word in FLAGS:
            setattr(wanted, word[2:], True)
        elif name in (*FILES, *NUMBERS, "--append", "--accel", "--format", "--scenario"):
            value = value if equals else next(rest, None)
            if value is None:
                raise usage(f"{name} needs a value")
            setattr(wanted, name[2:], _value(name, value))
        else:
            raise usage(f"try does not take {word}")
    _check(wanted)
    return wanted


def usage(problem):
    return ui.Usage(f"{problem}; see ./pvblk try --help")


def _value(name, value):
    if name in FILES:
        path = Path(value).expanduser()
        try:
            with open(path, "rb"):
                return path.absolute()
        except OSError as error:
            raise ui.Usage(f"{name} {value}: {error.strerror}; name a file that you can read") from None
    if name in NUMBERS:
        if not value.isdecimal() or (name != "--seed" and not int(value)):
            raise usage(f"{name} {value} is not a whole number" + ("" if name == "--seed" else " above 0"))
        return int(value)
    return value


def _check(wanted):
    if bool(wanted.kernel) == bool(wanted.image):
        raise usage("name one of --kernel and --image")
    if wanted.accel not in ("tcg", "kvm"):
        raise usage(f"--accel {wanted.accel} is neither tcg nor kvm")
    if wanted.accel == "kvm" and not os.access("/dev/kvm", os.R_OK | os.W_OK):
        raise ui.Usage("--accel kvm: you cannot open /dev/kvm; leave --accel out to emulate the processor, or use a machine "
                       "with KVM and join the group kvm")
    for name, needs in (("initrd", "kernel"), ("append", "kernel"), ("uefi", "image"), ("write", "image"),
                        ("scratch", "image"), ("format", "image"), ("minutes", "seed")):
        given = getattr(wanted, name)
        if given not in (None, "", False) and getattr(wanted, needs) in (None, ""):
            raise usage(f"--{name} is for --{needs}")
    if sum([wanted.faults is not None, wanted.seed is not None, bool(wanted.scenario)]) > 1:
        raise usage("--faults, --seed and --scenario each make a plan; give one")
    if wanted.hot and wanted.image and not wanted.scratch:
        raise usage("a disk that the guest boots from is never hot-plugged; add --scratch for a second one")
    if wanted.kernel:
        check_kernel(wanted.kernel)


def check_kernel(path):
    """QEMU would start any file, and nothing would come of it."""
    with open(path, "rb") as file:
        begin = file.read(8192)
    if not kernel.is_linux(path) and not begin.startswith(b"\x7fELF") and MULTIBOOT not in begin:
        raise ui.Usage(f"--kernel {path}: this is neither a bzImage nor an ELF file; name the kernel that your build "
                       "leaves, such as arch/x86/boot/bzImage")
