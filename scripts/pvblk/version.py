# SPDX-License-Identifier: MIT
"""The version of this project."""

import re

from . import paths


def ours():
    return "xen-pvblk " + re.search(r"version: '([^']+)'", (paths.ROOT / "meson.build").read_text())[1]
