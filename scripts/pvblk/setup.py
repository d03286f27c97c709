# SPDX-License-Identifier: MIT
"""The steps of the set-up, by name. Each runs at most once in a command, and does only what is not done yet."""

import core
import coverage
import firmware
import freestanding
import guesttools
import host
import kernel
import ovmftests
import prooftests
import qemu
import qtests
import simtests
import ui
import upstreamtests

_outcome = {}


def _qemu():
    qemu.ensure()


def _qtests():
    qemu.ensure(tests=[*qtests.PROGRAMS, *upstreamtests.PROGRAMS])
    # It built the other's targets as well.
    _outcome["qemu"] = None


def _guest():
    host.require_x86()
    firmware.ensure()
    kernel.ensure()
    guesttools.ensure()


def _freestanding():
    """With symbols, for docs/debugging.rst too."""
    host.require_x86()
    for name in freestanding.GUESTS:
        freestanding.build(name)


def _guest_kernels():
    """What tests with several kernels need."""
    ensure("guest")
    for which in kernel.ALL:
        kernel.ensure(which)
        guesttools.ensure(which.architecture)
    guesttools.ensure_kexec()


STEPS = {
    "core": core.ensure,
    "core-asan": core.ensure_asan,
    "sim": simtests.ensure,
    "sim-asan": simtests.ensure_asan,
    "ovmf": ovmftests.ensure,
    "ovmf-asan": ovmftests.ensure_asan,
    "coverage": coverage.ensure,
    "proof": prooftests.ensure,
    "fuzz": core.ensure_fuzz,
    "qemu": _qemu,
    "qemu-asan": qemu.ensure_sanitized,
    "qtests": _qtests,
    "guest": _guest,
    "guest-kernels": _guest_kernels,
    "freestanding": _freestanding,
    "firmware": firmware.ensure,
}


def ensure(*names):
    """Runs steps; a step that failed in this command fails again with the same words."""
    for name in names:
        if name not in _outcome:
            try:
                STEPS[name]()
                _outcome[name] = None
            except ui.Problem as problem:
                _outcome[name] = problem
        if _outcome[name]:
            raise _outcome[name]
