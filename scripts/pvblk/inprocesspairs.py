# SPDX-License-Identifier: MIT
"""A frontend that runs in a process of its own meets our backend there: a Cell of the matrix."""

from .cell import DIRECT_SEGMENTS, YES, Cell, features
from .version import ours

LOOPBACK = "loopback"
PLAIN, LARGE_SECTORS, GROWS = "front/offer/all", "front/disk/sector-4096", "front/disk/grows"


def play(subject, backends, folder):
    """A driverfront.DriverFrontend on the loopback."""
    facts = {fact["id"]: fact for fact in subject.facts([PLAIN, LARGE_SECTORS, GROWS])}
    plain, large = facts[PLAIN], facts[LARGE_SECTORS]
    for backend in backends:
        cell = Cell(backend, subject.version(None), ours())
        if plain.get("connected"):
            cell.answers["connects"] = YES
            cell.note("io", _wrong(plain))
            cell.note("reconnect", None if plain.get("again") else plain.get("said") or "it serves no I/O")
            cell.answers["features"] = _agreed(plain["agreed"])
            cell.note("resize", _unseen(plain, facts[GROWS]))
            cell.note("sectors-4096", _wrong(large))
        else:
            cell.no("connects", plain.get("died") or plain.get("said") or "it gives up")
            cell.rest("it does not connect")
        yield cell


def _agreed(facts):
    return features(facts["queues"], facts["ring-pages"], DIRECT_SEGMENTS, indirect_requests=facts["indirect"],
                    persistent_grants=facts["persistent"], flush=facts["flush"], discard=facts["discard"])


def _unseen(plain, grown):
    """Of a disk that grew, or None."""
    return _wrong(grown) or (None if grown["shown-bytes"] > plain["shown-bytes"] else "it does not notice a new size")


def _wrong(facts):
    """Of a scenario's I/O, or None."""
    if facts.get("died"):
        return facts["died"]
    if facts.get("hung"):
        return "it hangs"
    if facts.get("wrong"):
        return "it transfers wrong data, or none"
    return (facts.get("said") or "I/O fails") if facts.get("errors") or not facts.get("ok") else None
