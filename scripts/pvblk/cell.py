# SPDX-License-Identifier: MIT
"""A cell of the matrix frontend x backend: what works between the two, as an answer for each item.

An answer is `yes`, `yes: with a restriction`, `no: why` or `not tried: why`. That of `features` names what both agreed on.
"""

from dataclasses import dataclass, field

ITEMS = ("connects", "io", "features", "resize", "reconnect", "sectors-4096")
YES, NO, NOT_TRIED = "yes", "no", "not tried"
# Of requests without indirect segments.
DIRECT_SEGMENTS = 11
# Of a sentence that a guest or a backend says.
LONGEST = 160


@dataclass
class Cell:
    """One pair's answers, and the versions of both ends."""

    backend: str
    frontend_version: str
    backend_version: str
    answers: dict = field(default_factory=dict)

    def no(self, item, why):
        self.answers[item] = f"{NO}: {' '.join(why.split())[:LONGEST]}"

    def note(self, item, wrong):
        """`wrong` is a sentence, or None."""
        if wrong:
            self.no(item, wrong)
        else:
            self.answers[item] = YES

    def not_tried(self, why, *items):
        self.answers.update((item, f"{NOT_TRIED}: {why}") for item in items)

    def rest(self, why):
        """Of the items that have no answer yet."""
        self.not_tried(why, *(item for item in ITEMS if item not in self.answers))


def features(queues, ring_pages, segments, **others):
    """The answer to `features`. `others` are features by name, each agreed on or not."""
    words = [f"{count} {what}{'s' if count > 1 else ''}"
             for count, what in ((queues, "queue"), (ring_pages, "ring page"), (segments, "segment"))]
    return ", ".join(words + [name.replace("_", " ") for name, agreed in others.items() if agreed])
