# SPDX-License-Identifier: MIT
"""tests/guest/linux-front, BlockFront as a program in Linux: its words about a run, and the data that it leaves."""

from . import core, images, paths, ui

# tests/guest/linux-front/main.cc: kSectors.
WORK = images.MIB
PROGRAMS = [paths.CORE / program for program in core.LINUX_FRONT]


def pattern(seed):
    """The data of the last writes: tests/support/pattern.h, of as many bytes as the program works on."""
    lines = [bytes((7 * k + base) & 255 for k in range(509)) for base in range(256)]
    return b"".join(lines[(7 * 509 * n + n + 131 * seed + 1) & 255] for n in range(WORK // 509 + 1))[:WORK]


def words(options):
    return [f"{key}={value}" for key, value in options.items()]


def complaint(options, said, wanted):
    """What is wrong with a run that said these lines, or None. `wanted` are numbers that it has to say."""
    facts = {key: int(value) for line in said for key, _, value in (word.partition("=") for word in line.split())
             if value.isdigit()}
    ui.say(f"  {' '.join(words(options))}: {facts}")
    differs = {key: facts.get(key) for key, value in wanted.items() if facts.get(key) != value}
    if differs:
        return f"should be {wanted}, and these are not: {differs}"
    if (facts["indirect"] > 0) != (facts["segments"] > 11):
        return f"{facts['indirect']} indirect requests"
    if facts["requests"] < 80 or not facts["bounced"]:
        return f"too little was done: {facts}"
    return None
