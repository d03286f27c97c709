# SPDX-License-Identifier: MIT
"""The series of patches on a QEMU tree: applied, and taken off again when it changes.

Only the files that the series touches are saved and restored, and a file that ends up as it was keeps its
time, so that a changed patch rebuilds what it changed and not all of QEMU.
"""

import json
import os
import shutil
import subprocess

from . import paths, ui


def patches():
    found = sorted(paths.PATCHES.glob("*.patch"))
    if not found:
        raise ui.Problem(f"{paths.shown(paths.PATCHES)} holds no *.patch: the checkout is incomplete")
    return found


def touched_files(patch_files):
    """Names of the files that the patches change, add or remove."""
    names = set()
    for patch in patch_files:
        for line in patch.read_text(errors="replace").splitlines():
            if line.startswith(("--- a/", "+++ b/")):
                names.add(line[6:].split("\t")[0])
            elif line.startswith(("rename from ", "rename to ", "copy to ")):
                names.add(line.split(" ", 2)[2])
    return sorted(names)


class Tree:
    """A QEMU source tree below build/, and the originals of what the series changed in it."""

    def __init__(self, source):
        self.source = source
        self.saved = source.with_name(source.name + ".orig")
        self.index = self.saved / "index.json"

    def apply(self, patch_files):
        touched = touched_files(patch_files)
        before = self._remember({*touched, *self._saved_names()})
        self._restore()
        self._save(touched)
        for patch in patch_files:
            self._apply_one(patch)
        self._keep_times(before)

    def _saved_names(self):
        return json.loads(self.index.read_text()) if self.index.exists() else {}

    def _remember(self, names):
        found = {}
        for name in names:
            path = self.source / name
            if path.is_file():
                found[name] = (path.read_bytes(), path.stat().st_mtime_ns)
        return found

    def _restore(self):
        for name, existed in self._saved_names().items():
            path = self.source / name
            if existed:
                shutil.copy2(self.saved / name, path)
            else:
                path.unlink(missing_ok=True)

    def _save(self, names):
        shutil.rmtree(self.saved, ignore_errors=True)
        index = {}
        for name in names:
            original = self.source / name
            index[name] = original.is_file()
            if index[name]:
                (self.saved / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(original, self.saved / name)
        self.saved.mkdir(parents=True, exist_ok=True)
        # Written last and at once: with it, an interrupted run can be undone; without it, nothing was changed.
        part = self.index.with_suffix(".part")
        part.write_text(json.dumps(index))
        part.rename(self.index)

    def _apply_one(self, patch):
        ui.status(f"  qemu: applying {patch.name}")
        answer = subprocess.run(["patch", "-p1", "--batch", "--forward", "--no-backup-if-mismatch",
                                 "--reject-file=-", "-i", str(patch)], cwd=self.source,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        log = paths.LOGS / "qemu-patches.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "a") as out:
            out.write(f"$ patch -p1 < {patch.name}\n{answer.stdout}")
        if answer.returncode:
            raise ui.Problem(f"{paths.shown(patch)} does not apply to {paths.shown(self.source)}; patch "
                             "says:", log)

    def _keep_times(self, before):
        for name, (content, mtime) in before.items():
            path = self.source / name
            if path.is_file() and path.read_bytes() == content:
                os.utime(path, ns=(mtime, mtime))
