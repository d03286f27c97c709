# SPDX-License-Identifier: MIT
"""`pvblk qemu`: the built QEMU with firmware paths and Xen emulation switched on."""

import os

from . import firmware, paths, qemu

PROGRAM = "qemu-system-x86_64"
MACHINE_OPTIONS = ("-machine", "--machine", "-M", "--M")
ACCEL_OPTIONS = ("-accel", "--accel", "-enable-kvm", "--enable-kvm")
# Machines that have the property; others would refuse it.
XEN_CAPABLE = ("pc", "q35")


def arguments(words):
    """The user's words with xen-emu=on and an accelerator, unless they say otherwise."""
    words = list(words)
    if not _shows_xen(words):
        _add_xen_emulation(words)
    if not _names_accelerator(words):
        words = ["-accel", "tcg", *words]
    return words


def _machine_positions(words):
    return [index + 1 for index, word in enumerate(words[:-1]) if word in MACHINE_OPTIONS]


def _shows_xen(words):
    """kvm,xen-version=... and tcg,xen-version=... bring the emulation along."""
    return any("xen-version=" in word for word in words)


def _add_xen_emulation(words):
    positions = _machine_positions(words)
    if not positions:
        words[:0] = ["-machine", "pc,xen-emu=on"]
        return
    if any("xen-emu" in words[position] for position in positions):
        return
    kind = words[positions[0]].split(",")[0].removeprefix("type=")
    if "=" in kind:
        # Only properties, so it is the default machine.
        kind = "pc"
    if kind.split("-")[0] in XEN_CAPABLE or kind.startswith("pc-"):
        words[positions[0]] += ",xen-emu=on"


def _names_accelerator(words):
    return (any(word in ACCEL_OPTIONS for word in words)
            or any("accel=" in words[position] for position in _machine_positions(words)))


def command(words):
    """Replaces this process, so that signals and the terminal are QEMU's."""
    program = str(qemu.program(PROGRAM))
    command_line = [program, "-L", str(paths.FIRMWARE), *arguments(words)]
    os.execv(program, command_line)


def is_built():
    return qemu.program(PROGRAM).exists() and paths.FIRMWARE.is_dir()


def ensure():
    qemu.ensure()
    firmware.ensure()
