# SPDX-License-Identifier: MIT
"""The programs inside the guests: busybox and e2fsprogs of Debian's packages, fio built static from Debian's source.

The packaged fio needs a storage cluster's libraries; a static one is two megabytes and boots fast.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass

from . import archive, buildtools, host, paths, stamp, ui

LOG = paths.LOGS / "guest-tools.log"
BUSYBOX = "usr/bin/busybox"
# Of tests/guest/contract.sh.
PATTERN = paths.GUEST_SCRIPTS / "contract" / "pattern.c"
MKE2FS = "usr/sbin/mke2fs"
PROGRAMS = [MKE2FS, "usr/sbin/resize2fs", "usr/sbin/e2fsck"]
KEXEC_PROGRAM = "usr/sbin/kexec"
# Where packages have their libraries, by the name of their architecture.
TRIPLETS = {"amd64": "x86_64-linux-gnu", "i386": "i386-linux-gnu"}


@dataclass(frozen=True)
class Packages:
    """Packages of one architecture, unpacked below build/ and not installed."""

    name: str
    architecture: str
    suites: tuple
    names: tuple

    @property
    def tree(self):
        return paths.GUEST / self.name

    def ensure(self, probe, resolve=None):
        """Fetches them, unless `probe`, a file of theirs, is there; `resolve` as in archive.binaries()."""
        mark = stamp.Stamp(f"guest-{self.name}", [self.names, self.suites], [self.find(probe, quiet=True)])
        if mark.fresh():
            return
        mark.clear()
        with ui.step(f"guest: fetching {', '.join(self.names[:2])} ({self.architecture})"):
            debs = archive.binaries(f"guest-{self.name}", self.names, resolve, self.suites, self.architecture)
            archive.unpack(debs, self.tree)
        mark.write()

    def find(self, name, quiet=False):
        """A file of them; /bin and /usr/bin are one in some of them and two in others."""
        for place in (name, name.removeprefix("usr/")):
            if (self.tree / place).exists():
                return self.tree / place
        if quiet:
            return self.tree / name
        raise ui.Problem(f"the packages {', '.join(self.names)} do not contain {name}")

    def libraries(self, program):
        """The dynamic loader and libraries that a program of theirs needs, as (place in the guest, file)."""
        found = {}
        queue = [program]
        while queue:
            for place in needed(queue.pop()):
                name = place.rpartition("/")[2]
                if name not in found:
                    # The loader has its place in the programs; libraries are found where it looks for them.
                    place = place.lstrip("/") if "/" in place else f"lib/{TRIPLETS[self.architecture]}/{name}"
                    found[name] = (place, self._library(name))
                    queue.append(found[name][1])
        return list(found.values())

    def _library(self, name):
        triplet = TRIPLETS[self.architecture]
        for place in (f"usr/lib/{triplet}", f"lib/{triplet}", "usr/lib64", "lib64", "usr/lib", "lib"):
            # Through realpath: the loader is a link, and absolute links would lead out of the tree.
            if os.path.isfile(self.tree / place / name):
                return (self.tree / place / name).resolve()
        raise ui.Problem(f"the packages {', '.join(self.names)} do not contain the library {name}")


def needed(program):
    """Names of libraries, and the path of the loader, that a program or library asks for."""
    answer = subprocess.run(["readelf", "-dW", "-lW", str(program)], capture_output=True, text=True,
                            env={**os.environ, "LC_ALL": "C"})
    for line in answer.stdout.splitlines():
        if "(NEEDED)" in line:
            yield line.partition("[")[2].rstrip("]")
        elif "program interpreter:" in line:
            yield line.rpartition(": ")[2].rstrip("]")


USERLANDS = {
    "amd64": Packages("amd64", "amd64", archive.SUITES,
                      ("busybox-static", "e2fsprogs", "libc6", "libcom-err2", "libext2fs2t64", "libblkid1",
                       "libuuid1")),
    # Of the suite that the 32-bit kernel is of, so that no other suite's lists of i386 are needed.
    "i386": Packages("i386", "i386", archive.BOOKWORM,
                     ("busybox-static", "e2fsprogs", "libc6", "libcom-err2", "libext2fs2", "libblkid1", "libuuid1")),
}
# kexec knows Xen's hypervisor as well, which is what all but the first are for; libxenmisc, too, whose name changes.
KEXEC = Packages("kexec", "amd64", archive.SUITES,
                 ("kexec-tools", "libc6", "libxencall1", "libxendevicemodel1", "libxenevtchn1",
                  "libxenforeignmemory1", "libxengnttab1", "libxentoolcore1", "libxentoollog1"))
# What a static 32-bit program is made of. Debian's gcc-multilib would do, but to install it removes cross compilers.
SYSROOT = Packages("sysroot-i386", "i386", archive.BOOKWORM, ("libc6-dev", "libgcc-12-dev", "linux-libc-dev"))


def ensure(architecture="amd64"):
    host.ensure(host.GUEST)
    USERLANDS[architecture].ensure(BUSYBOX)
    _ensure_fio(architecture)
    _ensure_pattern(architecture)


def ensure_kexec():
    def with_libxenmisc(lists):
        name = lists.depends("kexec-tools", "libxenmisc")
        return [*KEXEC.names, name] if name else None

    host.ensure(host.GUEST)
    KEXEC.ensure(KEXEC_PROGRAM, with_libxenmisc)


def fio(architecture):
    return paths.GUEST / f"fio-{architecture}"


def _ensure_fio(architecture):
    compiler = _compiler(architecture)
    mark = stamp.Stamp(f"guest-fio-{architecture}", ["fio", 1, buildtools.compiler_id(), SYSROOT.names],
                       [fio(architecture)])
    if mark.fresh():
        return
    mark.clear()
    if architecture == "i386":
        SYSROOT.ensure("usr/lib/i386-linux-gnu/libc.a")
    with ui.step(f"guest: building fio ({architecture})"):
        work = paths.GUEST / "fio.work"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        ui.run(["tar", "-xf", archive.tarball("fio"), "-C", work, "--strip-components=1"], LOG, "fio: unpacking")
        # Only what every Debian has: a library found by chance would break the static link elsewhere.
        off = ["rdma", "rados", "rbd", "http", "gfapi", "pmem", "numa", "libzbc", "libnfs", "xnvme", "libblkio",
               "dfs", "tcmalloc", "native"]
        known = (work / "configure").read_text()
        options = [f"--disable-{name}" for name in off if f"--disable-{name})" in known]
        env = {**buildtools.environment(), "CC": compiler}
        ui.run(["./configure", "--build-static", *options], LOG, "fio: configuring", cwd=work, env=env)
        ui.run(["nice", "make", f"-j{host.processors()}", "fio"], LOG, "fio: building", cwd=work, env=env)
        ui.run(["strip", "-o", fio(architecture), work / "fio"], LOG, "fio: stripping")
        shutil.rmtree(work)
    mark.write()


def pattern(architecture):
    return paths.GUEST / f"pattern-{architecture}"


def _ensure_pattern(architecture):
    """tests/guest/contract/pattern.c, static."""
    compiler = _compiler(architecture).split()
    mark = stamp.Stamp(f"guest-pattern-{architecture}", [stamp.files_digest([PATTERN]), buildtools.compiler_id()],
                       [pattern(architecture)])
    if mark.fresh():
        return
    mark.clear()
    ui.run([*compiler, "-O2", "-Wall", "-Wextra", "-Werror", "-static", "-o", pattern(architecture), PATTERN], LOG,
           f"guest: compiling {PATTERN.name} ({architecture})")
    mark.write()


def _compiler(architecture):
    """The machine's own gcc; for 32 bits with Debian's i386 headers and libraries, the static ones."""
    if architecture == "amd64":
        return "gcc"
    return f"gcc -m32 -static --sysroot={SYSROOT.tree} -B{SYSROOT.tree}/usr/lib/gcc/i686-linux-gnu/12"
