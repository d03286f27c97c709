# SPDX-License-Identifier: MIT
"""QEMU with xen-block as upstream has it: the conformance suite runs on both, so that it shows what the series mends.

It is no second build. Two files are compiled from their originals, which the series keeps, and the program is linked
once more with them.
"""

import json
import shlex
import subprocess

from . import buildtools, paths, qemu, series, stamp, ui

PROGRAM = paths.BUILD / "qemu-unmended" / "qemu-system-x86_64"
LOG = paths.LOGS / "qemu-unmended-build.log"
FILES = ("hw/block/xen-block.c", "hw/block/dataplane/xen-block.c")


def ensure():
    build = qemu.builddir()
    originals = series.Tree(paths.QEMU_SOURCE).saved
    missing = [file for file in FILES if not (originals / file).exists()]
    if qemu.existing_build() or missing:
        raise ui.Problem("xen-disk@unmended needs the QEMU that this project builds: it has xen-block's originals. "
                         "Unset PVBLK_QEMU_BUILD, or run ./pvblk build --qemu-src debian")
    mark = stamp.Stamp("qemu-unmended", [stamp.files_digest([build / "qemu-system-x86_64",
                                                             *(originals / file for file in FILES)])], [PROGRAM])
    if mark.fresh():
        return
    mark.clear()
    PROGRAM.parent.mkdir(parents=True, exist_ok=True)
    LOG.unlink(missing_ok=True)
    with ui.step("qemu: linking it with upstream's xen-block"):
        link = next(command["command"] for command in _commands(build, "cpp_LINKER", "cpp_LINKER_RSP")
                    if command["output"] == "qemu-system-x86_64")
        for command in _commands(build, "c_COMPILER"):
            file = next((file for file in FILES if command["file"].endswith("/" + file)), None)
            if file and command["output"] in link.split():
                ours = PROGRAM.parent / (file.replace("/", "_") + ".o")
                words = shlex.split(command["command"].replace(command["file"], str(originals / file))
                                    .replace(command["output"], str(ours)))
                _run([*words, "-iquote", (paths.QEMU_SOURCE / file).parent], build)
                link = link.replace(command["output"], str(ours))
        _run(shlex.split(link.replace("-o qemu-system-x86_64", f"-o {PROGRAM}")), build)
    mark.write()


def _commands(build, *rules):
    """What build.ninja does by these rules, of which a tree has some."""
    said = subprocess.run(["ninja", "-t", "compdb", "-x", *rules], cwd=build, capture_output=True, text=True,
                          env=buildtools.environment())
    return json.loads(said.stdout)


def _run(words, build):
    ui.run([str(word) for word in words], LOG, "qemu: linking it with upstream's xen-block", cwd=build,
           env=buildtools.environment())
