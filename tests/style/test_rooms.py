# SPDX-License-Identifier: MIT
"""The table of rooms in docs/design.rst: it names every file of the core and of a provider, and who may include whom.

The table is a list-table after the comment `.. rooms`; a row has the room's name, the rooms that it includes, what it
knows nothing of, and its files: with a folder where that is not the room's own (``pvblk/front.h``).
"""

import re
from dataclasses import dataclass

import pytest

from pvblk import paths, ui

DESIGN = paths.ROOT / "docs" / "design.rst"
CORE = paths.ROOT / "hw" / "xen-pvblk" / "core"
PROVIDERS = paths.ROOT / "providers"
INCLUDE = paths.ROOT / "include"
FOLDERS = ("proto", "front", "back", "fault", "judge", "virtio", "c", "loopback", "linux")


@dataclass
class Room:
    name: str
    includes: list
    files: list


def rooms():
    """The rows of the table, in order."""
    table = re.search(r"^\.\. rooms\n\n\.\. list-table::\n((?:   .*\n|\n)+)", DESIGN.read_text(), re.M)[1]
    found = []
    for row in re.split(r"^   \* ", table, flags=re.M)[2:]:
        cells = re.split(r"^(?:     )?- ", row, flags=re.M)[1:]
        room, includes, _, files = (re.findall(r"``([^`]+)``", cell) for cell in cells)
        name = room[0].rstrip("/")
        found.append(Room(name, includes, [file if "/" in file else f"{name}/{file}" for file in files]))
    return found


def source_files():
    """Every file by the name that an include has."""
    return {path.relative_to(folder).as_posix(): path for folder in (INCLUDE, CORE, PROVIDERS)
            for path in folder.rglob("*") if path.suffix in (".cc", ".h")}


def fail_with(problems):
    if problems:
        raise ui.Problem(f"docs/design.rst: {'; '.join(problems[:8])}" + (" ..." if len(problems) > 8 else ""))


@pytest.mark.claim("style/rooms", "docs/design.rst lists each file of the core and of a provider in one room, and a room "
                   "after the rooms that it includes")
def test_rooms():
    table, files = rooms(), source_files()
    named = [file for room in table for file in room.files]
    problems = [f"{name} is no row" for name in FOLDERS if name not in [room.name for room in table]]
    problems += [f"{file} is in no room" for file in sorted(set(files) - set(named))]
    problems += [f"{file} does not exist" for file in sorted(set(named) - set(files))]
    problems += [f"{file} is in two rooms" for file in sorted({file for file in named if named.count(file) > 1})]
    earlier = []
    for room in table:
        problems += [f"{room.name} includes {other}, which is no earlier room" for other in room.includes
                     if other not in earlier]
        earlier.append(room.name)
    fail_with(problems)


@pytest.mark.claim("style/layers", "a file of the core includes only its own room, and rooms that docs/design.rst "
                   "allows")
def test_layers():
    files, home = source_files(), {file: room for room in rooms() for file in room.files}
    problems = []
    for file, room in home.items():
        for other in re.findall(r'^\s*#\s*include\s+["<]([^">]+)[">]', files[file].read_text(), re.M):
            beside = f"{file.rpartition('/')[0]}/{other}"
            target = home.get(other) or home.get(beside)
            if target and target is not room and target.name not in room.includes:
                problems.append(f"{file} of {room.name} includes {other} of {target.name}")
    fail_with(problems)
