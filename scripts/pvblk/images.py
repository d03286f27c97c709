# SPDX-License-Identifier: MIT
"""Disk images of the guests, and the host's own checks of them afterwards."""

import fcntl
import json
import os
import struct
import subprocess

from . import host, paths, qemu, ui

MIB = 1 << 20
# struct flock: type, whence, start, length, process. Python has no name for the command.
FLOCK, F_OFD_GETLK = "hhqqi0q", 36
QEMUS_WRITE_BYTE = 101


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


def overlay(path, base, base_format):
    """A qcow2 that holds what is written, instead of `base`."""
    _quietly([qemu.program("qemu-img"), "create", "-q", "-f", "qcow2", "-F", base_format, "-b", base, path])
    return path


def format_of(path):
    """As qemu-img finds it out."""
    return json.loads(_quietly([qemu.program("qemu-img"), "info", "-U", "--output=json", path]))["format"]


def has_writer(path):
    """Whether a QEMU writes to the image: it locks a byte for each of its permissions."""
    wanted = struct.pack(FLOCK, fcntl.F_WRLCK, os.SEEK_SET, QEMUS_WRITE_BYTE, 1, 0)
    with open(path, "rb") as file:
        return struct.unpack(FLOCK, fcntl.fcntl(file, F_OFD_GETLK, wanted))[0] != fcntl.F_UNLCK


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
