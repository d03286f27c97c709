# SPDX-License-Identifier: MIT
"""tests/guest/linux-front, BlockFront as a program in Linux: its words about a run, and the data that it leaves."""

import hashlib

from . import core, images, paths, ui

# tests/guest/linux-front/main.cc: kSectors.
WORK = images.MIB
# Where domain 0 has the data of its disks.
STORAGE = {51712: "/disk-51712", 51744: "/dev/disk51744"}
PROGRAMS = [paths.CORE / program for program in core.LINUX_FRONT]


def pattern(seed):
    """The data of the last writes: tests/support/pattern.h, of as many bytes as the program works on."""
    lines = [bytes((7 * k + base) & 255 for k in range(509)) for base in range(256)]
    return b"".join(lines[(7 * 509 * n + n + 131 * seed + 1) & 255] for n in range(WORK // 509 + 1))[:WORK]


def words(options):
    return [f"{key}={value}" for key, value in options.items()]


def facts_of(said):
    """The numbers in the lines of a run."""
    return {key: int(value) for line in said for key, _, value in (word.partition("=") for word in line.split())
            if value.isdigit()}


def complaint(options, said, wanted):
    """What is wrong with a run that said these lines, or None. `wanted` are numbers that it has to say."""
    facts = facts_of(said)
    ui.say(f"  {' '.join(words(options))}: {facts}")
    differs = {key: facts.get(key) for key, value in wanted.items() if facts.get(key) != value}
    if differs:
        return f"should be {wanted}, and these are not: {differs}"
    if (facts["indirect"] > 0) != (facts["segments"] > 11):
        return f"{facts['indirect']} indirect requests"
    if facts["requests"] < 80 or not facts["bounced"]:
        return f"too little was done: {facts}"
    return None


def run(machine, options, wanted):
    """A run in domain 0 on xen-blkback (realxen.boot): its facts, and what is wrong with it or with the sectors that it
    left in the backend's storage, or None."""
    status, said = machine.run("linux-front", *words(options), seconds=300)
    if status:
        return {}, " ".join(said[-2:])
    wrong = complaint(options, said, wanted)
    storage = STORAGE[options["vdev"]]
    if not wrong and _sum_of(machine, storage) != hashlib.md5(pattern(options["seed"])).hexdigest():
        wrong = f"{storage} has not the data of the last writes"
    return facts_of(said), wrong


def _sum_of(machine, storage):
    """Of the sectors that a run works on, as the disk has them."""
    _, lines = machine.run("sh", "-c", f"head -c {WORK} {storage} | md5sum")
    return lines[0].split()[0]
