# SPDX-License-Identifier: MIT
"""The steps of the set-up, by name. Each runs at most once in a command, and does only what is not done yet."""

from pathlib import Path

from . import core, coverage, firmware, freestanding, grub, grubdisk, guesttools, host, kernel, nested, qemu, qtest, \
    uefi, ui, unmended, xenhost

# None for a step that is done, what it failed with for others.
_outcome = {}


def outcome():
    """For another process: (sentence, log) of each step that was tried, None where it is done."""
    return {name: problem and (str(problem), problem.log and str(problem.log)) for name, problem in _outcome.items()}


def remember(outcome):
    """What another process came to."""
    for name, failure in outcome.items():
        _outcome[name] = failure and ui.Problem(failure[0], failure[1] and Path(failure[1]))


def _qtests():
    qemu.ensure(tests=qtest.PROGRAMS)
    # It built the other's targets as well.
    _outcome["qemu"] = None


def _guest():
    host.require_x86()
    host.ensure(host.CHECK)
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


def _newest_kernel():
    ensure("guest")
    kernel.ensure(kernel.NEWEST)


def _real_xen():
    host.require_x86()
    firmware.ensure()
    xenhost.ensure()


def _nested():
    ensure("qemu", "guest")
    nested.ensure()


STEPS = {
    "style": lambda: host.ensure(host.STYLE),
    "core": core.ensure,
    "core-asan": core.ensure_asan,
    "sim": core.ensure_sim,
    "linux-front": core.ensure_linux_front,
    "serve": core.ensure_serve,
    "sim-asan": core.ensure_sim_asan,
    "drivers": core.ensure_drivers,
    "drivers-asan": core.ensure_drivers_asan,
    "coverage": coverage.ensure,
    "reports": lambda: host.ensure(host.REPORTS),
    "proof": core.ensure_proof,
    "fuzz": core.ensure_fuzz,
    "qemu": qemu.ensure,
    "qemu-asan": qemu.ensure_sanitized,
    "qemu-unmended": unmended.ensure,
    "qtests": _qtests,
    "guest": _guest,
    "guest-kernels": _guest_kernels,
    "newest-kernel": _newest_kernel,
    "nested": _nested,
    "grub": grub.ensure,
    "real-xen": _real_xen,
    "freestanding": _freestanding,
    "firmware": firmware.ensure,
    "uefi": uefi.ensure,
    "grub-disk": grubdisk.ensure,
    "debugger": lambda: host.ensure(host.DEBUGGER),
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
