# SPDX-License-Identifier: MIT
"""The programs inside the guests: busybox and e2fsprogs of Debian's packages, fio built static from Debian's source.

The packaged fio needs a storage cluster's libraries; a static one is two megabytes and boots fast.
"""

import os
import shutil
import subprocess

import archive
import buildtools
import host
import paths
import stamp
import ui

TREE = paths.GUEST / "root"
FIO = paths.GUEST / "fio"
LOG = paths.LOGS / "guest-tools.log"
PACKAGES = ["busybox-static", "e2fsprogs", "libc6", "libcom-err2", "libext2fs2t64", "libblkid1", "libuuid1"]
BUSYBOX = "usr/bin/busybox"
PROGRAMS = ["usr/sbin/mke2fs", "usr/sbin/resize2fs", "usr/sbin/e2fsck"]


def ensure():
    host.ensure(host.GUEST)
    _ensure_packages()
    _ensure_fio()


def _ensure_packages():
    mark = stamp.Stamp("guest-packages", PACKAGES, [find(BUSYBOX, quiet=True)])
    if mark.fresh():
        return
    mark.clear()
    with ui.step("guest: fetching busybox and e2fsprogs"):
        archive.unpack(archive.binaries("guest", PACKAGES), TREE)
    mark.write()


def find(name, quiet=False):
    """A file of the unpacked packages; /bin and /usr/bin are one in some of them and two in others."""
    for place in (name, name.removeprefix("usr/")):
        if (TREE / place).exists():
            return TREE / place
    if quiet:
        return TREE / name
    raise ui.Problem(f"the packages {', '.join(PACKAGES)} hold no {name}")


def _ensure_fio():
    mark = stamp.Stamp("guest-fio", ["fio", 1, buildtools.compiler_id()], [FIO])
    if mark.fresh():
        return
    mark.clear()
    with ui.step("guest: building fio"):
        work = paths.GUEST / "fio.work"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        ui.run(["tar", "-xf", archive.tarball("fio"), "-C", work, "--strip-components=1"], LOG, "fio: unpacking")
        # Only what every Debian has: a library found by chance would break the static link elsewhere.
        off = ["rdma", "rados", "rbd", "http", "gfapi", "pmem", "numa", "libzbc", "libnfs", "xnvme", "libblkio",
               "dfs", "tcmalloc", "native"]
        known = (work / "configure").read_text()
        options = [f"--disable-{name}" for name in off if f"--disable-{name})" in known]
        env = buildtools.environment()
        ui.run(["./configure", "--build-static", *options], LOG, "fio: configuring", cwd=work, env=env)
        ui.run(["nice", "make", f"-j{host.processors()}", "fio"], LOG, "fio: building", cwd=work, env=env)
        ui.run(["strip", "-o", FIO, work / "fio"], LOG, "fio: stripping")
        shutil.rmtree(work)
    mark.write()


def libraries(program, search=None):
    """The dynamic loader and libraries that a program of the packages needs, as (place in the guest, file)."""
    found = {}
    queue = [program]
    while queue:
        for name in _needed(queue.pop()):
            if name in found:
                continue
            file = _library(name)
            found[name] = file
            queue.append(file)
    return [(f"lib64/{name}" if name.startswith("ld-linux") else f"lib/x86_64-linux-gnu/{name}", file)
            for name, file in found.items()]


def _needed(program):
    answer = subprocess.run(["readelf", "-dW", "-lW", str(program)], capture_output=True, text=True,
                            env={**os.environ, "LC_ALL": "C"})
    for line in answer.stdout.splitlines():
        if "(NEEDED)" in line:
            yield line.partition("[")[2].rstrip("]")
        elif "program interpreter:" in line:
            yield line.rstrip("]").rpartition("/")[2]


def _library(name):
    for place in ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu", "usr/lib64", "lib64"):
        # Through realpath: the loader is a link, and absolute links would lead out of the tree.
        if os.path.isfile(TREE / place / name):
            return (TREE / place / name).resolve()
    raise ui.Problem(f"the packages {', '.join(PACKAGES)} hold no library {name}")
