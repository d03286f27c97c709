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
        _link(build, originals)
    mark.write()


def _link(build, originals):
    """Compiles the originals, and links the program with them. Both files have to be other ones than the series has."""
    link = next((command["command"] for command in _commands(build, "cpp_LINKER", "cpp_LINKER_RSP")
                 if command["output"] == "qemu-system-x86_64"), "")
    words, left = shlex.split(link), list(FILES)
    for command in _commands(build, "c_COMPILER"):
        file = next((file for file in left if command["file"].endswith("/" + file)), None)
        if not file or command["output"] not in words:
            continue
        ours = PROGRAM.parent / (file.replace("/", "_") + ".o")
        # Its list of dependencies, too, has the object's name.
        compiler = [str(originals / file) if word == command["file"] else word.replace(command["output"], str(ours))
                    for word in shlex.split(command["command"])]
        _run([*compiler, "-iquote", (paths.QEMU_SOURCE / file).parent], build)
        if not ours.exists() or _code(ours) == _code(build / command["output"]):
            raise ui.Problem(f"xen-disk@unmended: upstream's {file} has the same code as that of the series, so there is "
                             "nothing to compare. Does the series still change it?", LOG)
        words[words.index(command["output"])] = str(ours)
        left.remove(file)
    if left or "-o" not in words:
        missing = left[0] if left else "program"
        raise ui.Problem(f"xen-disk@unmended: the build of QEMU in {paths.shown(build)} links no {missing}, so upstream's "
                         "cannot take its place. Build it anew: ./pvblk build", LOG)
    words[words.index("-o") + 1] = str(PROGRAM)
    _run(words, build)


def _code(file):
    """Of an object: its instructions. Names of files and lines differ anyway."""
    said = subprocess.run(["objdump", "-d", "--no-show-raw-insn", str(file)], capture_output=True, text=True)
    if said.returncode:
        raise ui.Problem(f"objdump cannot read {paths.shown(file)}: {said.stderr.strip()[:200]}")
    # The first lines name the file.
    return said.stdout.partition("Disassembly")[2]


def _commands(build, *rules):
    """What build.ninja does by these rules, of which a tree has some."""
    said = subprocess.run(["ninja", "-t", "compdb", "-x", *rules], cwd=build, capture_output=True, text=True,
                          env=buildtools.environment())
    return json.loads(said.stdout)


def _run(words, build):
    ui.run([str(word) for word in words], LOG, "qemu: linking it with upstream's xen-block", cwd=build,
           env=buildtools.environment())
