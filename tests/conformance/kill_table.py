#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The defects that test the suite (mutants/*.toml), and their table in docs.

    tests/conformance/kill_table.py    writes docs/conformance-mutants.rst again
"""

import re
import textwrap
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CORE = ROOT / "hw" / "xen-pvblk" / "core"
CATALOGUE = ROOT / "include" / "pvblk" / "fault_catalogue.h"
DOCUMENT = ROOT / "docs" / "conformance-mutants.rst"
COMMAND = "tests/conformance/kill_table.py"
WIDTH = 120


@dataclass(frozen=True)
class Mutant:
    """A plan, or a change of a file; each of the cases that it kills must fail."""

    name: str
    kills: tuple
    plan: str = ""
    file: str = ""
    old: str = ""
    new: str = ""
    plays: tuple = ()  # scenarios for a clause, which has none of its own

    @property
    def is_frontend(self):
        return self.kills[0].startswith("front/")


@dataclass(frozen=True)
class Unkilled:
    """A case that no defect of our backend can fail."""

    case: str
    why: str


@dataclass(frozen=True)
class Unnoticed:
    """A plan that no case can notice."""

    plan: str
    why: str


@dataclass(frozen=True)
class Area:
    name: str
    mutants: tuple
    unkilled: tuple
    unnoticed: tuple


@cache
def areas():
    found = []
    for path in sorted((HERE / "mutants").glob("*.toml")):
        text = tomllib.loads(path.read_text())
        mutants = tuple(Mutant(**{**entry, "kills": tuple(entry["kills"]), "plays": tuple(entry.get("plays", ()))})
                        for entry in text.get("mutant", ()))
        found.append(Area(path.stem, mutants, tuple(Unkilled(**entry) for entry in text.get("unkilled", ())),
                          tuple(Unnoticed(**entry) for entry in text.get("unnoticed", ()))))
    return found


def named_cases():
    """Every case of a backend that a mutant kills, or that has a reason."""
    return {plain(case) for area in areas() for mutant in area.mutants if not mutant.is_frontend
            for case in mutant.kills} | \
        {entry.case for area in areas() for entry in area.unkilled}


def plain(case):
    """The ID without its variation."""
    return case.partition("~")[0]


def catalogue():
    """The words of all faults, from the table that the parser of plans reads."""
    return re.findall(r'^    \{\w+, "([a-z]+/[a-z-]+)"', CATALOGUE.read_text(), re.M)


def words(plan):
    return re.findall(r":\s+([a-z]+/[a-z-]+)", plan)


# ---- the document ----

HEAD = f"""\
.. SPDX-License-Identifier: MIT
.. {COMMAND} writes this file from tests/conformance/mutants/*.toml.

Which defect fails which case
=============================

A case that cannot fail shows nothing. So the suite has a test of its own. It gives our backend or our frontend one
defect at a time, and demands that the cases named for this defect fail. Such a defect is a *mutant*. A case that fails
*kills* it. Some mutants change the code, and some are fault plans of the backend (:doc:`faults`). The frontend's
mutants are in the files ``front-*``, and scenarios kill them. ::

    ./pvblk test 'conformance/mutants-*'      every mutant of this page
    ./pvblk test conformance/mutants-ring     those of one file

Every case for backends kills a mutant, or there is a reason why it cannot. Every word of a fault plan is in a mutant,
or there is a reason why no frontend can notice it. The mutants are in ``tests/conformance/mutants``, a file for each
row of this table. ``code`` and ``plans`` count mutants, ``cases`` the cases that kill one of them, and ``kills`` pairs
of a mutant and a case. A case may be in several files.

"""


def document():
    parts = [HEAD, table()]
    for area in areas():
        parts += [heading(f"{area.name}.toml"), *map(entry, area.mutants)]
    parts += [heading("Cases without a mutant"),
              *(item(f"``{one.case}``", one.why) for area in areas() for one in area.unkilled)]
    parts += [heading("Fault plans that no frontend can notice"),
              *(item(f"``{one.plan}``", one.why) for area in areas() for one in area.unnoticed)]
    return "".join(parts).rstrip() + "\n"


def table():
    """A row for each file, and their sums. A case may be in several files."""
    rows = [(f"``{area.name}``", *counts([area])) for area in areas()]
    rows.append(("all", *counts(areas())))
    edge = "================== ======= ======= ======= =======\n"
    row = "{:18} {:>7} {:>7} {:>7} {:>7}\n"
    head = row.format("file", "code", "plans", "cases", "kills")
    return edge + head + edge + "".join(row.format(*cells) for cells in rows) + edge


def counts(chosen):
    """Mutants of code, plans, cases that kill one, and pairs of a mutant and a case."""
    mutants = [mutant for area in chosen for mutant in area.mutants]
    code = sum(bool(mutant.file) for mutant in mutants)
    kills = [plain(case) for mutant in mutants for case in mutant.kills]
    return code, len(mutants) - code, len(set(kills)), len(kills)


def heading(text):
    return f"\n{text}\n{'-' * len(text)}\n\n"


def entry(mutant):
    what = mutant.plan or (ROOT / mutant.file).relative_to(CORE)
    return item(f"{mutant.name}: ``{what}``", ", ".join(f"``{case}``" for case in mutant.kills))


def item(term, text):
    body = textwrap.fill(text, WIDTH, initial_indent="    ", subsequent_indent="    ", break_long_words=False,
                         break_on_hyphens=False)
    return f"{term}\n{body}\n"


if __name__ == "__main__":
    DOCUMENT.write_text(document())
