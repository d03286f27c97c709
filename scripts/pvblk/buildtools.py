# SPDX-License-Identifier: MIT
"""The environment that builds run in: ccache in front, and a Meson that QEMU accepts."""

import os
import shutil
import subprocess

from . import archive, host, paths, stamp, ui

# QEMU 10.x refuses an older one; Debian 12 has 1.0.
MESON_MINIMUM = (1, 5)
PRIVATE_MESON = paths.TOOLS / "meson"
PYTHON = "/usr/bin/python3"


def _version(text):
    numbers = text.strip().split(".")
    return tuple(int(number) for number in numbers[:2] if number.isdigit())


def _system_meson_is_new_enough():
    if not os.path.exists("/usr/bin/meson"):
        return False
    answer = subprocess.run(["/usr/bin/meson", "--version"], capture_output=True, text=True)
    return answer.returncode == 0 and _version(answer.stdout) >= MESON_MINIMUM


def ensure_meson():
    """The system's Meson, or where that is too old a newer one unpacked below build/."""
    if _system_meson_is_new_enough():
        return
    if archive.system_codename() != "bookworm":
        host.ensure(["meson"])
        if _system_meson_is_new_enough():
            return
    launcher = PRIVATE_MESON / "bin" / "meson"
    mark = stamp.Stamp("meson", ["meson", 1], [launcher])
    if mark.fresh():
        return
    with ui.step(f"meson: fetching one not older than {'.'.join(map(str, MESON_MINIMUM))}"):
        debs = archive.binaries("meson", ["meson"])
        archive.unpack(debs, PRIVATE_MESON)
        launcher.parent.mkdir()
        launcher.write_text(f"#!/bin/sh\nexec {PYTHON} {PRIVATE_MESON}/usr/bin/meson \"$@\"\n")
        launcher.chmod(0o755)
        mark.write()


CXX = {"gcc": "g++", "clang": "clang++"}


def environment(compiler="gcc"):
    """os.environ for configure, Meson and ninja."""
    env = dict(os.environ)
    front = []
    if os.path.isdir("/usr/lib/ccache"):
        # First in PATH and not "ccache gcc": QEMU's configure skips the option ROMs for a compiler of two words.
        front.append("/usr/lib/ccache")
        env.setdefault("CCACHE_NOHASHDIR", "1")
        env.setdefault("CCACHE_BASEDIR", str(paths.BUILD))
    if not _system_meson_is_new_enough():
        front.append(str(PRIVATE_MESON / "bin"))
        env["PYTHONPATH"] = str(PRIVATE_MESON / "usr/lib/python3/dist-packages")
    env["PATH"] = os.pathsep.join([*front, "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin",
                                   "/bin", env.get("PATH", "")])
    # By these names: a new machine's ccache has links for them, and not yet for cc and c++.
    env["CC"], env["CXX"] = compiler, CXX[compiler]
    env["NINJA_STATUS"] = "[%f/%t] "
    # Compilers answer in the language of the logs, whatever the user speaks.
    env["LC_ALL"] = "C.UTF-8"
    return env


def ninja(builddir, targets, log, label):
    """Builds, with a bar; the machine stays usable meanwhile."""
    ui.run(["nice", "ninja", "-C", builddir, *targets], log, label, parse=ninja_progress, env=environment())


def ninja_progress(line):
    if line.startswith("[") and "] " in line:
        counts, _, rest = line[1:].partition("] ")
        done, _, total = counts.partition("/")
        if done.isdigit() and total.isdigit():
            what = rest.split(" ")
            return ui.bar(int(done), int(total)) + " " + (what[-1] if what else "")
    return None


def compiler_id(compiler="gcc"):
    """What a changed compiler would change."""
    return _first_line([CXX[compiler], "--version"])


def meson_id():
    """A build folder belongs to the Meson that made it."""
    return _first_line(["meson", "--version"])


def _first_line(command):
    answer = subprocess.run(command, capture_output=True, text=True, env=environment())
    return answer.stdout.splitlines()[:1]


def reset(folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
