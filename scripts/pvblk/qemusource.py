# SPDX-License-Identifier: MIT
"""QEMU's source below build/: from Debian's source package, a user's tree, or an upstream tarball."""

import os
import shutil
import tarfile

from . import archive, paths, series, stamp, ui

# Debian's own, whatever is newest of it; `build --qemu-src` remembers another one here.
DEBIAN = "debian"
CHOICE = paths.BUILD / "qemu-src.choice"

# Our folders inside QEMU's tree: (place in QEMU, place in this repository).
LINKS = (("hw/xen-pvblk", "hw/xen-pvblk"), ("include/pvblk", "include/pvblk"),
         ("tests/qtest/xen-pvblk-test.c", "tests/qtest/xen-pvblk-test.c"))


def choose(source):
    """Remembers where QEMU comes from."""
    if source != DEBIAN:
        source = os.path.abspath(source)
        if not os.path.exists(source):
            raise ui.Problem(f"--qemu-src {source}: no such folder or tarball exists")
        # Before it is remembered: a wrong one would stand in the way of every later command.
        if os.path.isdir(source) and not os.path.exists(os.path.join(source, "VERSION")):
            raise ui.Problem(f"--qemu-src {source} is not a QEMU source: it has no file VERSION")
        if not os.path.isdir(source) and not tarfile.is_tarfile(source):
            raise ui.Problem(f"--qemu-src {source} is neither a folder nor a qemu-*.tar.* file")
    paths.BUILD.mkdir(parents=True, exist_ok=True)
    CHOICE.write_text(source)


def chosen():
    return CHOICE.read_text() if CHOICE.exists() else DEBIAN


def version():
    return (paths.QEMU_SOURCE / "VERSION").read_text().strip()


def ensure():
    """A patched tree; returns it."""
    source = chosen()
    fresh = _ensure_unpacked(source)
    links_changed = _ensure_links()
    patch_files = series.patches()
    mark = stamp.Stamp("qemu-patched", [source, stamp.files_digest(patch_files), 2], [paths.QEMU_SOURCE / "VERSION"])
    if fresh or links_changed or not mark.fresh():
        mark.clear()
        if _already_patched():
            ui.say("  qemu: this tree has the series already; nothing is applied")
        else:
            with ui.step(f"qemu: applying {len(patch_files)} patches to {version()}"):
                (paths.LOGS / "qemu-patches.log").unlink(missing_ok=True)
                series.Tree(paths.QEMU_SOURCE).apply(patch_files)
        mark.write()
    return paths.QEMU_SOURCE


def _already_patched():
    """A developer's tree may have the series as commits; then there is nothing saved and the hook is there."""
    if series.Tree(paths.QEMU_SOURCE).index.exists():
        return False
    return "xen-pvblk" in (paths.QEMU_SOURCE / "hw" / "meson.build").read_text()


def _ensure_unpacked(source):
    """Brings the source to build/qemu-src; True where it did something."""
    kind, key = _kind(source)
    mark = stamp.Stamp("qemu-unpacked", [source, key], [paths.QEMU_SOURCE / "VERSION"])
    if mark.fresh():
        return False
    mark.clear()
    shutil.rmtree(series.Tree(paths.QEMU_SOURCE).saved, ignore_errors=True)
    with ui.step(f"qemu: source from {'Debian' if source == DEBIAN else source}"):
        {"debian": _from_debian, "tarball": _from_tarball, "tree": _from_tree}[kind](source)
    if not (paths.QEMU_SOURCE / "VERSION").exists():
        raise ui.Problem(f"{source} is not a QEMU source: it has no file VERSION. "
                         f"Go back to Debian's with `./pvblk build --qemu-src {DEBIAN}`")
    ui.say(f"  qemu: version {version()}")
    mark.write()
    return True


def _kind(source):
    """Which of the three it is, and what its stamp hangs on."""
    if source == DEBIAN:
        return "debian", ""
    if os.path.isdir(source):
        return "tree", _fingerprint(source)
    if ".tar" in os.path.basename(source):
        status = os.stat(source)
        return "tarball", [status.st_size, status.st_mtime_ns]
    raise ui.Problem(f"--qemu-src {source} is neither a folder nor a qemu-*.tar.* file")


def _from_debian(_):
    dsc = archive.source("qemu")
    part = paths.BUILD / "qemu-src.part"
    shutil.rmtree(part, ignore_errors=True)
    ui.run(["dpkg-source", "--no-copy", "-x", dsc, part], paths.LOGS / "qemu-source.log", "qemu: unpacking")
    _replace(part)


def _from_tarball(source):
    part = paths.BUILD / "qemu-src.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    ui.run(["tar", "-x", "-f", source, "-C", part, "--strip-components=1", "--no-same-owner"],
           paths.LOGS / "qemu-source.log", "qemu: unpacking")
    _replace(part)


def _replace(part):
    shutil.rmtree(paths.QEMU_SOURCE, ignore_errors=True)
    part.rename(paths.QEMU_SOURCE)


def _build_folders(folder, names):
    """What not to copy of a developer's tree: version control and builds."""
    return [name for name in names
            if name == ".git" or os.path.exists(os.path.join(folder, name, "build.ninja"))]


def _from_tree(source):
    """A copy: the user's own tree is never changed. Times are kept, so unchanged files are not rebuilt."""
    shutil.rmtree(paths.QEMU_SOURCE, ignore_errors=True)
    shutil.copytree(source, paths.QEMU_SOURCE, symlinks=True, ignore=_build_folders)


def _fingerprint(source):
    """Changes when any file of the tree does."""
    found = []
    for folder, folders, files in os.walk(source):
        skip = set(_build_folders(folder, folders))
        folders[:] = sorted(set(folders) - skip)
        for name in sorted(files):
            status = os.lstat(os.path.join(folder, name))
            found.append([os.path.join(folder, name), status.st_size, status.st_mtime_ns])
    return stamp.digest(found)


def _ensure_links():
    """Our folders appear inside QEMU's tree; True where one changed."""
    changed = False
    for place, ours in LINKS:
        link, target = paths.QEMU_SOURCE / place, paths.ROOT / ours
        if not target.exists():
            continue
        wanted = os.path.relpath(target, link.parent)
        if link.is_symlink() and os.readlink(link) == wanted:
            continue
        if link.is_symlink() or link.is_file():
            link.unlink()
        elif link.is_dir():
            shutil.rmtree(link)
        link.symlink_to(wanted)
        changed = True
    return changed
