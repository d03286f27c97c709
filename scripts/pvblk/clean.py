# SPDX-License-Identifier: MIT
"""`pvblk clean`: removes what the set-up made, by name, and nothing else."""

import shutil

from . import paths, ui

BUILT = ("qemu-src", "qemu-src.orig", "qemu-src.part", "qemu", "firmware", "firmware.work", "kernel", "kernel.work",
         "guest", "core", "core-asan", "core-cov", "edk2-src", "u-boot-src", "drivers", "drivers-asan",
         "proof", "fuzz", "fuzz-seeds", "qemu-asan", "pytest", ".machine.lock", "logs", "stamps", "tools", "qemu-src.choice")
DOWNLOADED = ("dl",)


def command(everything):
    for name in BUILT + (DOWNLOADED if everything else ()):
        path = paths.BUILD / name
        if path.is_dir() and not path.is_symlink():
            ui.say(f"removing {paths.shown(path)}")
            shutil.rmtree(path)
        elif path.exists():
            path.unlink()
    if not everything and (paths.BUILD / "dl").exists():
        ui.say("the downloads are kept; --all removes them too")
    return 0
