# SPDX-License-Identifier: MIT
"""Stamps: a finished step leaves a hash of what it was made from, and is not done again until that changes."""

import hashlib
import json

from . import paths


def digest(inputs):
    """A hash of anything that JSON can hold."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def file_digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def files_digest(files):
    """A hash of names and contents."""
    return digest([[path.name, file_digest(path)] for path in files])


class Stamp:
    """A step asks fresh(), calls clear(), works, and calls write() at its end: a crash leaves no stamp."""

    def __init__(self, name, inputs, outputs=()):
        self.path = paths.STAMPS / name
        self.key = digest(inputs)
        self.outputs = outputs

    def fresh(self):
        try:
            return self.path.read_text() == self.key and all(path.exists() for path in self.outputs)
        except OSError:
            return False

    def clear(self):
        self.path.unlink(missing_ok=True)

    def write(self):
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(self.key)
