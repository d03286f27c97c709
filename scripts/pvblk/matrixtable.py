# SPDX-License-Identifier: MIT
"""The record of the matrix frontend x backend, docs/clients.toml, and the tables that are made of it."""

import json
import re
import textwrap
import tomllib

from . import paths, ui
from .cell import ITEMS, NO, NOT_TRIED, YES

RECORD = paths.ROOT / "docs" / "clients.toml"
PAGE = paths.ROOT / "docs" / "clients.rst"
# The page has the table between two comments.
BEGIN, END = ".. matrix: begin\n", ".. matrix: end\n"
HEAD = """\
# SPDX-License-Identifier: MIT
# Pairs of a frontend and a backend, and the answers of the last test of each. `./pvblk matrix --update` writes this file,
# and makes the table in docs/clients.rst of it.
"""
NAMES = {"connects": "connects", "io": "verified I/O", "features": "features", "resize": "resize", "reconnect": "reconnect",
         "sectors-4096": "4096-byte sectors"}
# A column has the backends whose name begins with one of these.
COLUMNS = {"our backend": ("xen-pvblk-backend", "serve-", "loopback"), "QEMU's xen-disk": ("xen-disk",),
           "Linux's xen-blkback": ("blkback-",)}
FIRST, WIDTH = 26, 27


def toml(entries):
    """A string of JSON is one of TOML."""
    return HEAD + "".join("\n[[pair]]\n" + "".join(f"{key} = {json.dumps(text, ensure_ascii=False)}\n"
                                                  for key, text in entry.items()) for entry in entries)


def recorded():
    return tomllib.loads(RECORD.read_text())["pair"] if RECORD.exists() else []


def update(entries, pairs, frontends):
    """Takes entries into the record and into the page. Other pairs keep theirs; `pairs` has the order."""
    known = {(entry["frontend"], entry["backend"]): entry for entry in [*recorded(), *entries]}
    record = [known[pair] for pair in pairs if pair in known]
    RECORD.write_text(toml(record))
    before, begin, rest = PAGE.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ui.Problem(f"{paths.shown(PAGE)} has no place for the table: it needs a line '{BEGIN.strip()}', and "
                         f"after it '{END.strip()}'")
    PAGE.write_text(f"{before}{begin}\n{rst(record, frontends)}\n{end}{after}")


def in_page():
    """The table that the page has."""
    return PAGE.read_text().partition(BEGIN)[2].partition(END)[0].strip("\n") + "\n"


def kind(answer):
    """yes, no or not tried; None for features that were agreed on."""
    word = answer.partition(":")[0]
    return word if word in (YES, NO, NOT_TRIED) else None


# ---- for the terminal

def told(entry):
    """Lines about one pair."""
    yield f"{entry['frontend']} ({entry['frontend-version']}) on {entry['backend']} ({entry['backend-version']}):"
    for item in ITEMS:
        yield f"  {NAMES[item]:18} {entry[item]}"


# ---- for the page

def rst(entries, frontends):
    """A grid table: a row for each frontend, a column for each kind of backend."""
    rows = []
    for name, frontend in frontends.items():
        of_it = [entry for entry in entries if entry["frontend"] == name]
        if of_it:
            versions = dict.fromkeys(entry["frontend-version"] for entry in of_it)
            rows.append([[f"**{name}**", frontend.title, *versions]]
                        + [[line for entry in of_it if entry["backend"].startswith(backends) for line in _cell(entry)]
                           for backends in COLUMNS.values()])
    return _grid([[["frontend"], *([name] for name in COLUMNS)], *rows])


def _cell(entry):
    """Paragraphs about one pair."""
    works = [_with_note(item, entry[item]) for item in ITEMS if item != "features" and kind(entry[item]) == YES]
    if works:
        yield f"Works: {', '.join(works)}"
    for item in ITEMS:
        if kind(entry[item]) == NO:
            yield f"**Not** {NAMES[item]}: {_escaped(_why(entry[item]))}"
    reasons = {}
    for item in ITEMS:
        if kind(entry[item]) == NOT_TRIED:
            reasons.setdefault(_why(entry[item]), []).append(NAMES[item])
    for why, items in reasons.items():
        yield f"Not tried: {', '.join(items)}; {_escaped(why)}"
    if kind(entry["features"]) is None:
        yield f"Agreed: {entry['features']}"
    yield f"{entry['backend-version']}, {entry['date']}"


def _why(answer):
    return answer.partition(": ")[2]


def _with_note(item, answer):
    return NAMES[item] + (f" ({_escaped(_why(answer))})" if _why(answer) else "")


def _escaped(text):
    """What reStructuredText would take for a mark."""
    return re.sub(r"([*`|\\]|_(?!\w))", r"\\\1", text)


def _grid(rows):
    widths = [FIRST] + [WIDTH] * (len(rows[0]) - 1)
    lines = [_rule(widths, "-")]
    for number, row in enumerate(rows):
        cells = [_wrapped(paragraphs, width) for paragraphs, width in zip(row, widths)]
        for line in range(max(map(len, cells))):
            lines.append("| " + " | ".join((cell[line] if line < len(cell) else "").ljust(width)
                                           for cell, width in zip(cells, widths)) + " |")
        lines.append(_rule(widths, "-" if number else "="))
    return "\n".join(lines) + "\n"


def _rule(widths, mark):
    return "+" + "+".join(mark * (width + 2) for width in widths) + "+"


def _wrapped(paragraphs, width):
    lines = []
    for paragraph in paragraphs:
        lines += ([""] if lines else []) + textwrap.wrap(paragraph, width, break_on_hyphens=False)
    return lines or ["–"]
