# SPDX-License-Identifier: MIT
"""Debian packages on this machine, installed with apt-get as root or through sudo."""

import os
import shutil
import subprocess

from . import paths, ui

# What each part of the set-up needs of the system. Guests, firmware and kernels are unpacked below
# build/ instead, so they are not here.
FETCH = ["dpkg-dev", "xz-utils", "patch"]
COMPILE = ["gcc", "g++", "make", "ninja-build", "pkg-config", "ccache", "python3", "python3-venv"]
QEMU = FETCH + COMPILE + ["libglib2.0-dev", "libpixman-1-dev", "libfdt-dev", "zlib1g-dev", "flex", "bison",
                          "bzip2"]
CORE = COMPILE + ["libgtest-dev", "libxen-dev", "nlohmann-json3-dev", "libtomlplusplus-dev"]
COVERAGE = CORE + ["gcovr"]
PROOF = ["g++", "gcc", "libc6-dev", "ccache", "relacy-dev", "spin"]
GUEST = FETCH + ["kmod", "gcc", "make", "ccache", "binutils", "libc6-dev", "zlib1g-dev"]
# Debian 13's kernel is compressed with it.
REAL_XEN = ["zstd"]
FREESTANDING = ["g++", "binutils", "libxen-dev"]
# llvm-symbolizer names the lines in a sanitizer's report. libFuzzer itself: see fuzzer_runtime().
FUZZ = COMPILE + ["clang", "llvm", "libgtest-dev"]
DEBUGGER = ["gdb"]
TEST = ["python3-pytest", "python3-pytest-xdist"]
STYLE = ["clang-format-19", "reuse"]
REPORTS = ["perl", "jq", "libxml2-utils", "python3-junitparser", "chromium"]
CHECK = ["e2fsprogs"]
GRUB = ["e2fsprogs", "dosfstools", "mtools"]
# For a disk that a PC boots from.
GRUB_DISK = ["grub-common", "grub-pc-bin", "grub-efi-amd64-bin", "dosfstools", "mtools"]

_updated = False


def missing(packages):
    """Those of `packages` that are not installed."""
    query = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *packages],
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    installed = {line.split()[0] for line in query.stdout.splitlines() if line.endswith(" installed")}
    return [package for package in dict.fromkeys(packages) if package not in installed]


def ensure(packages):
    """Installs what is missing; says what to do where it cannot."""
    global _updated
    if not shutil.which("dpkg-query") or not shutil.which("apt-get"):
        raise ui.Problem("this set-up needs apt-get of Debian 12 or 13, and this system has none. On another "
                         "system, run it in a container or chroot of Debian")
    wanted = missing(packages)
    if not wanted:
        return
    prefix = _root_prefix(wanted)
    log = paths.LOGS / "packages.log"
    with ui.step(f"packages: installing {' '.join(wanted)}"):
        if not _updated:
            ui.run([*prefix, "apt-get", "-q", "update"], log, "package lists",
                   missing="Is the network there, and does `apt-get update` work?")
            _updated = True
        environment = [*prefix, "env", "DEBIAN_FRONTEND=noninteractive"]
        ui.run([*environment, "apt-get", "-q", "install", "-y", "--no-install-recommends", *wanted], log,
               "packages")


def fuzzer_runtime():
    """The package with libFuzzer and the sanitizers of the clang that is there: only recommended by it, and its name
    has the version (14 on Debian 12, 19 on Debian 13)."""
    version = subprocess.run(["/usr/bin/clang", "-dumpversion"], capture_output=True, text=True).stdout
    major = version.strip().partition(".")[0]
    if not major.isdigit():
        raise ui.Problem("clang does not report its version")
    return [f"libclang-rt-{major}-dev"]


def _root_prefix(wanted):
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo"):
        return ["sudo"]
    raise ui.Problem("these packages are missing: " + " ".join(wanted)
                     + ". Run as root: apt-get install --no-install-recommends " + " ".join(wanted))


def require_x86():
    machine = os.uname().machine
    if machine != "x86_64":
        raise ui.Problem(f"the guests' tools can only be built on an x86_64 machine; this is {machine}")


def processors():
    return len(os.sched_getaffinity(0))
