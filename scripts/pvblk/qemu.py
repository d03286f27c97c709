# SPDX-License-Identifier: MIT
"""QEMU with our series and our device, built below build/, or found where a developer points."""

import os
import subprocess
from pathlib import Path

from . import buildtools, host, paths, qemusource, stamp, ui

PROGRAMS = ["qemu-system-x86_64", "qemu-img", "qemu-io"]
OPTIONS = ["--target-list=x86_64-softmmu", "--without-default-features", "--enable-system", "--enable-tcg",
           "--enable-kvm", "--enable-tools", "--disable-docs", "--disable-install-blobs",
           "--cc=gcc", "--cxx=g++", "--host-cc=gcc", "--python=" + buildtools.PYTHON]
LOG = paths.LOGS / "qemu-build.log"
# The same with AddressSanitizer and UndefinedBehaviorSanitizer, and only the one program.
SANITIZED = paths.BUILD / "qemu-asan" / "qemu-system-x86_64"
# The C++ linker links it, for our library's sake, and QEMU tells only the C linker. -O1 and -g1 take a quarter off the
# time to compile it; -g1 has the lines that a report names.
SANITIZED_OPTIONS = [*OPTIONS, "--enable-asan", "--enable-ubsan", "--disable-tools", "-Doptimization=1",
                     "--extra-cflags=-g1", "--extra-cxxflags=-g1", "--extra-ldflags=-fsanitize=address,undefined"]
SANITIZED_LOG = paths.LOGS / "qemu-asan-build.log"


def existing_build():
    """A developer's own QEMU build folder: nothing is fetched, patched or configured then."""
    folder = os.environ.get("PVBLK_QEMU_BUILD")
    if not folder:
        return None
    folder = Path(folder).resolve()
    if not (folder / "build.ninja").exists():
        raise ui.Problem(f"PVBLK_QEMU_BUILD={folder} is not a QEMU build folder: it has no build.ninja")
    return folder


def builddir():
    return existing_build() or paths.BUILD / "qemu"


def source():
    """The source tree of the build in use."""
    if not existing_build():
        return paths.QEMU_SOURCE
    for line in (builddir() / "config-host.mak").read_text().splitlines():
        if line.startswith("SRC_PATH="):
            return (builddir() / line.partition("=")[2].strip("'\"")).resolve()
    raise ui.Problem(f"{builddir()}/config-host.mak names no SRC_PATH")


def program(name):
    return builddir() / name


def ensure(tests=()):
    """Builds what is out of date; `tests` names test programs of QEMU's."""
    host.require_x86()
    if existing_build():
        ui.say(f"  qemu: the build in {builddir()} (PVBLK_QEMU_BUILD)")
    else:
        host.ensure(host.QEMU)
        buildtools.ensure_meson()
        qemusource.ensure()
        _configure("qemu", builddir(), OPTIONS, LOG)
    _build("qemu", builddir(), [*PROGRAMS, *tests], LOG)


def ensure_sanitized():
    """The second QEMU, from the same source."""
    host.require_x86()
    host.ensure(host.QEMU)
    buildtools.ensure_meson()
    if not existing_build():
        qemusource.ensure()
    _configure("qemu-asan", SANITIZED.parent, SANITIZED_OPTIONS, SANITIZED_LOG)
    _build("qemu-asan", SANITIZED.parent, [SANITIZED.name], SANITIZED_LOG)


def _configure(name, folder, options, log):
    version = (source() / "VERSION").read_text().strip()
    mark = stamp.Stamp(f"{name}-configured", [version, str(source()), qemusource.chosen(), options, str(paths.BUILD),
                                              buildtools.compiler_id(), buildtools.meson_id()],
                       [folder / "build.ninja"])
    if mark.fresh():
        return
    mark.clear()
    with ui.step(f"{name}: configuring"):
        log.unlink(missing_ok=True)
        buildtools.reset(folder)
        configure = os.path.relpath(source() / "configure", folder)
        ui.run([configure, *options], log, f"{name}: configuring", cwd=folder, env=buildtools.environment())
    mark.write()


def known_targets(folder):
    answer = subprocess.run(["ninja", "-C", str(folder), "-t", "targets", "all"], capture_output=True,
                            text=True, env=buildtools.environment())
    return {line.partition(":")[0] for line in answer.stdout.splitlines()}


def _build(name, folder, wanted, log):
    """Those of the wanted targets that this tree has; a test that needs another one says so itself."""
    # build.ninja first: only then are the targets of a changed source known.
    buildtools.ninja(folder, ["build.ninja"], log, f"{name}: preparing")
    known = known_targets(folder)
    targets = [target for target in wanted if target in known]
    with ui.step(f"{name}: building"):
        buildtools.ninja(folder, targets, log, f"{name}: building")
