# SPDX-License-Identifier: MIT
"""A frontend that runs in a process of its own meets our backend there: a Cell of the matrix."""

from .cell import YES, Cell
from .version import ours

LOOPBACK = "loopback"
PLAIN, LARGE_SECTORS = "front/offer/all", "front/disk/sector-4096"


def play(subject, backends, folder):
    """A driverfront.DriverFrontend on the loopback."""
    facts = {fact["id"]: fact for fact in subject.facts([PLAIN, LARGE_SECTORS])}
    plain, large = facts[PLAIN], facts[LARGE_SECTORS]
    for backend in backends:
        cell = Cell(backend, subject.version(None), ours())
        if plain.get("connected"):
            cell.answers["connects"] = YES
            cell.note("io", _wrong(plain))
            cell.note("reconnect", None if plain.get("again") else plain.get("said") or "it serves no I/O")
            cell.not_tried("its program does not tell it", "features", "resize")
            cell.note("sectors-4096", _wrong(large))
        else:
            cell.no("connects", plain.get("died") or plain.get("said") or "it gives up")
            cell.rest("it does not connect")
        yield cell


def _wrong(facts):
    """Of a scenario's I/O, or None."""
    if facts.get("died"):
        return facts["died"]
    if facts.get("hung"):
        return "it hangs"
    if facts.get("wrong"):
        return "it transfers wrong data, or none"
    return (facts.get("said") or "I/O fails") if facts.get("errors") or not facts.get("ok") else None
