# SPDX-License-Identifier: MIT
"""QEMU with our series and our device, built below build/, or found where a developer points."""

import os
import subprocess
from pathlib import Path

import buildtools
import host
import paths
import qemusource
import stamp
import ui

PROGRAMS = ["qemu-system-x86_64", "qemu-img", "qemu-io"]
TESTS = ["tests/qtest/qos-test", "tests/qtest/xen-pvblk-test"]
OPTIONS = ["--target-list=x86_64-softmmu", "--without-default-features", "--enable-system", "--enable-tcg",
           "--enable-kvm", "--enable-tools", "--disable-docs", "--disable-install-blobs",
           "--cc=gcc", "--cxx=g++", "--host-cc=gcc", "--python=" + buildtools.PYTHON]
LOG = paths.LOGS / "qemu-build.log"


def existing_build():
    """A developer's own QEMU build folder: nothing is fetched, patched or configured then."""
    folder = os.environ.get("PVBLK_QEMU_BUILD")
    if not folder:
        return None
    folder = Path(folder).resolve()
    if not (folder / "build.ninja").exists():
        raise ui.Problem(f"PVBLK_QEMU_BUILD={folder}: not a QEMU build folder, it has no build.ninja")
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


def ensure(tests=False):
    """Builds what is out of date; `tests` adds QEMU's test programs."""
    host.require_x86()
    if existing_build():
        ui.say(f"  qemu: the build in {builddir()} (PVBLK_QEMU_BUILD)")
    else:
        host.ensure(host.QEMU)
        buildtools.ensure_meson()
        qemusource.ensure()
        _configure()
    _build(PROGRAMS + (TESTS if tests else []))


def _configure():
    mark = stamp.Stamp("qemu-configured", [qemusource.version(), qemusource.chosen(), OPTIONS, str(paths.BUILD),
                                           buildtools.compiler_id(), buildtools.meson_id()],
                       [builddir() / "build.ninja"])
    if mark.fresh():
        return
    mark.clear()
    with ui.step("qemu: configuring"):
        LOG.unlink(missing_ok=True)
        buildtools.reset(builddir())
        configure = os.path.relpath(paths.QEMU_SOURCE / "configure", builddir())
        ui.run([configure, *OPTIONS], LOG, "qemu: configuring", cwd=builddir(), env=buildtools.environment())
    mark.write()


def known_targets():
    answer = subprocess.run(["ninja", "-C", str(builddir()), "-t", "targets", "all"], capture_output=True,
                            text=True, env=buildtools.environment())
    return {line.partition(":")[0] for line in answer.stdout.splitlines()}


def _build(wanted):
    """Those of the wanted targets that this tree has; a test that needs another one says so itself."""
    # build.ninja first: only then are the targets of a changed source known.
    buildtools.ninja(builddir(), ["build.ninja"], LOG, "qemu: preparing")
    known = known_targets()
    targets = [target for target in wanted if target in known]
    with ui.step("qemu: building"):
        buildtools.ninja(builddir(), targets, LOG, "qemu: building")
