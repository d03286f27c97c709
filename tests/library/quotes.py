#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""quotes.py SOURCE: what docs quote of programs is there, and a READ is as short as docs/library.rst says."""

import re
import sys
from pathlib import Path

LINES_OF_A_READ = 40  # less than


def quotes(document):
    """(file, markers) of each literalinclude."""
    for found in re.finditer(r"^\.\. literalinclude:: (\S+)\n((?:   +:.*\n)*)", document.read_text(), re.M):
        yield document.parent / found[1], re.findall(r":(?:start-after|end-before): (.+)", found[2])


def main(source):
    seen, wrong = 0, []
    for document in sorted((source / "docs").glob("*.rst")):
        for file, markers in quotes(document):
            seen += 1
            if not file.is_file():
                wrong.append(f"{document.name}: {file} is not there")
                continue
            text = file.read_text()
            wrong += [f"{document.name}: {file.name} has no '{marker}'" for marker in markers if marker not in text]
    lines = len((source / "examples" / "read.cc").read_text().splitlines())
    if lines >= LINES_OF_A_READ:
        wrong.append(f"read.cc has {lines} lines, not less than {LINES_OF_A_READ}")
    print(f"{seen} quotations; read.cc has {lines} lines", *wrong, sep="\n")
    return 1 if wrong or not seen else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
