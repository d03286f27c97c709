# SPDX-License-Identifier: MIT
"""A user's own QEMU: is it one, and can it run the conformance suite? It answers at once, and no machine boots for that."""

import os
import re
import subprocess
import threading

SECONDS = 30
# Of an answer; what is longer is none of QEMU's.
MOST = 1 << 20
NEEDED = ("drive", "vdev", "logical_block_size", "physical_block_size")
HINT = "give the path of a qemu-system-x86_64"
# -machine none: no firmware is read. A QEMU that takes all words ends by the command.
XEN = ("-machine", "none", "-accel", "tcg,xen-version=0x40011", "-nodefaults", "-display", "none", "-S", "-qmp", "stdio")
QUIT = b'{"execute":"qmp_capabilities"}\n{"execute":"quit"}\n'


def complaint(binary, device):
    """Why it cannot; "" if nothing is known against it."""
    if binary.is_dir():
        return f"{binary} is a folder; {HINT}"
    if not binary.is_file():
        return f"there is no file {binary}; {HINT}"
    if not os.access(binary, os.X_OK):
        return f"{binary} cannot be executed: chmod +x it, or {HINT}"
    said = ask(binary, "--version")
    if not said.startswith("QEMU emulator version"):
        return f"{binary} is no QEMU: it answers --version with '{first_line(said)}'; {HINT}"
    return complaint_of_xen(ask(binary, *XEN)) or complaint_of_device(ask(binary, "-device", f"{device},help"), device)


def complaint_of_xen(said):
    if re.search(r"xen-version.* not found", said):
        return "this QEMU has no emulation of Xen for TCG: build it with the series, by " \
               "`./pvblk build --qemu-src DIR` (docs/conformance.rst)"
    if "invalid accelerator" in said:
        return "this QEMU is built without TCG: configure it with --enable-tcg"
    return ""


def complaint_of_device(said, device):
    if f"{device} options:" not in said:
        return f"this QEMU has no device {device}, it says '{first_line(said)}'; name your backend with --device"
    missing = [name for name in NEEDED if not re.search(rf"^ +{name}=", said, re.M)]
    if missing:
        return f"the device {device} has no property {missing[0]}; --device names a backend with the properties of xen-disk"
    return ""


def ask(binary, *words):
    """The beginning of what it says, within limits of time and size."""
    try:
        process = subprocess.Popen([binary, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, start_new_session=True)
    except OSError as error:
        return str(error.strerror)
    end = threading.Timer(SECONDS, kill, [process])
    end.start()
    try:
        process.stdin.write(QUIT)
        process.stdin.close()
    except BrokenPipeError:
        pass
    with process.stdout as output:
        said = output.read(MOST)
    end.cancel()
    kill(process)
    return said.decode(errors="replace")


def kill(process):
    """It, and what it started."""
    try:
        os.killpg(process.pid, 9)
    except ProcessLookupError:
        pass
    process.wait()


def first_line(said):
    return (said.strip().splitlines() or ["nothing"])[0][:200]
