# SPDX-License-Identifier: MIT
"""Disk images of the guests, and the host's own checks of them afterwards."""

import os
import subprocess

from . import host, paths, qemu, ui

MIB = 1 << 20


def folder(name):
    """An empty folder for one guest's images."""
    place = paths.GUEST / name
    place.mkdir(parents=True, exist_ok=True)
    for path in place.iterdir():
        if path.is_file():
            path.unlink()
    return place


def raw(path, size):
    with open(path, "wb") as out:
        out.truncate(size)
    return path


def qcow2(path, size):
    _quietly([qemu.program("qemu-img"), "create", "-q", "-f", "qcow2", path, str(size)])
    return path


def _quietly(command):
    answer = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            text=True)
    if answer.returncode:
        raise ui.Problem(f"{os.path.basename(str(command[0]))} failed with status {answer.returncode}: "
                         f"{answer.stdout.strip()[-400:]}")
    return answer.stdout


def check_ext4(path):
    """Reads the file system only; says how many files it found."""
    host.ensure(host.CHECK)
    return _quietly(["/sbin/e2fsck", "-fn", path]).splitlines()[-1]


def check_qcow2(path):
    return _quietly([qemu.program("qemu-img"), "check", path]).splitlines()[0]
