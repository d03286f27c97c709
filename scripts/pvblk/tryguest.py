# SPDX-License-Identifier: MIT
"""`pvblk try`: boots a kernel or an image on a judging backend, and says what came of its frontend."""

import time
from dataclasses import replace

from . import contract, images, paths, scenarios, setup, tryseeds, trywords, ui
from .trymachine import Ended, Machine, arguments
from .tryverdict import CRASHED, UNDECIDED, Verdict, report

NAME = "try"
# A guest that keeps the contract has the rest of the time to boot.
ANSWER_SECONDS = 30
# How long a guest that was told `end` may take to power off.
END_SECONDS = 20
# For a disk of a backend that goes wrong: until it is there, until a command is answered, until one is answered once the
# backend is honest, and until the guest gives the disk up.
CONNECT_SECONDS, BENT_SECONDS, HONEST_SECONDS, UNPLUG_SECONDS = 3, 2, 8, 5
MIB_SECTORS = images.MIB // contract.SECTOR
# Of a disk's size in sectors. Python reads no number of thousands of digits.
MOST_DIGITS = 16


BENT_WORK = (contract.write(0, 8, 1), contract.write(2048, MIB_SECTORS, 1), "flush", contract.read(0, 8, 1),
             contract.read(2048, MIB_SECTORS, 1), "discard 8192 2048", contract.write(0, 88, 2), contract.read(0, 88, 2))


class Undecided(ui.Problem):
    status = UNDECIDED


def command(words, all_is_built=lambda: None, name=NAME):
    """The exit status."""
    if "--help" in words or "-h" in words:
        print(trywords.HELP, end="")
        return 0
    wanted = trywords.read(words)
    try:
        setup.ensure(*wanted.steps)
        all_is_built()
        if wanted.seed is not None:
            return tryseeds.command(wanted, name)
        return single(wanted, name)
    except ui.Usage:
        raise
    except ui.Problem as problem:
        raise Undecided(str(problem), problem.log) from problem


def of_scenario(wanted, folder):
    """The words, with plan and properties of their scenario."""
    try:
        found = scenarios.scenarios_of([wanted.scenario])
    except ui.Problem:
        found = []
    if len(found) != 1:
        raise ui.Usage(f"--scenario {wanted.scenario}: {len(found) or 'no'} scenarios have this ID; "
                       "./pvblk conformance --list --frontend shows all")
    options = scenarios.config_of(found[0])
    plan = folder / "scenario.faults"
    plan.write_text(found[0]["plan"] + "\n")
    return replace(wanted, faults=plan if found[0]["plan"] else None, hot=wanted.adds_initrd, backend={
        name: value == "on" if value in ("on", "off") else int(value) for name, value in options.items()})


def single(wanted, name):
    """One boot; the exit status."""
    folder = images.folder(name)
    if wanted.scenario:
        wanted = of_scenario(wanted, folder)
    with Machine(name, arguments(wanted, folder, wanted.faults)) as machine:
        ui.say(f"try: booting {(wanted.kernel or wanted.image).name} for at most {wanted.seconds} s; its console is "
               + paths.shown(machine.console))
        answers = follow_plan(machine, wanted) if wanted.hot else follow(machine, wanted)
        verdict = Verdict(machine, answers, wanted)
        verdict.look_into_hang(machine)
        machine.quit()
    if not verdict.status and not wanted.bent and not wanted.image:
        verdict.complain_of_image(folder / "disk.raw")
    report(verdict)
    return verdict.status


def follow(machine, wanted):
    """Watches the guest to its end, and has it use its disk if it keeps the contract; (command, answer)s."""
    def all_of_it(answers):
        if machine.await_ready(wanted.seconds) is not None:
            if wanted.image and not wanted.scratch:
                # The disk holds the user's data.
                _ask(machine, answers, "end", ANSWER_SECONDS)
            else:
                _use_disk(machine, answers)
                if machine.contract.pending and wanted.faults:
                    answers[-1] = answers[-1][0], machine.wait_honestly(HONEST_SECONDS)
            machine.run(END_SECONDS)
    return _answers(machine, all_of_it)


def follow_plan(machine, wanted):
    """Plugs the disk in, with a backend that goes wrong by a plan, and has the guest use it. Later the backend is honest:
    what is unanswered then hangs."""
    def all_of_it(answers):
        if machine.said_ready is None and machine.await_ready(wanted.seconds) is None:
            raise contract.Broken("the guest does not keep the contract, and so got no disk: leave --hot out")
        machine.plug(wanted, wanted.faults)
        _try_to_use_disk(machine, answers)
        late = machine.wait_honestly(HONEST_SECONDS)
        if late:
            answers[-1] = answers[-1][0], late
        if not machine.contract.pending and _await_disk(machine, answers, HONEST_SECONDS):
            for line in (contract.write(64, 8, 4), contract.read(64, 8, 4)):
                if not _ask(machine, answers, line, HONEST_SECONDS):
                    return
    return _answers(machine, all_of_it)


def give_back(machine):
    """Whether the guest gave its disk up, and may get another one."""
    try:
        return not machine.is_plugged() or machine.unplug(UNPLUG_SECONDS)
    except Ended:
        return False


def _answers(machine, what):
    answers = []
    try:
        what(answers)
    except Ended:
        pass
    except contract.Broken as broken:
        machine.gave_up = str(broken)
    return answers


def _ask(machine, answers, line, seconds):
    """Whether there was an answer."""
    answers.append((line, None))
    answers[-1] = line, machine.ask(line, seconds)
    return answers[-1][1] is not None


def work(sectors):
    """Commands for a disk of so many sectors: the smallest and largest requests, both ends, each written twice."""
    places = [(0, 8), (8, 88), (1001, 1), (2048, MIB_SECTORS), (sectors - 8, 8)]
    for seed in (1, 2):
        for sector, count in places:
            yield contract.write(sector, count, seed)
        yield "flush"
        for sector, count in places:
            yield contract.read(sector, count, seed)
    yield f"discard 4096 {MIB_SECTORS}"
    yield contract.write(4096, 8, 3)
    yield contract.read(4096, 8, 3)
    yield "flush"


def _sectors(answer):
    """Of the disk, if it is there and large enough for work(), else None."""
    known = answer is not None and answer.verdict == contract.OK and answer.rest.isdecimal() and \
        len(answer.rest) <= MOST_DIGITS
    return int(answer.rest) if known and int(answer.rest) >= 4096 + MIB_SECTORS else None


def _use_disk(machine, answers):
    if not _ask(machine, answers, "size", ANSWER_SECONDS) or not _sectors(answers[-1][1]):
        return
    for line in work(_sectors(answers[-1][1])):
        if not _ask(machine, answers, line, ANSWER_SECONDS):
            return
    _ask(machine, answers, "end", ANSWER_SECONDS)


def _await_disk(machine, answers, seconds):
    """Whether the disk came within CONNECT_SECONDS, by answers that come within `seconds`."""
    deadline = time.monotonic() + CONNECT_SECONDS
    while _ask(machine, answers, "size", seconds):
        if _sectors(answers[-1][1]):
            return True
        if time.monotonic() > deadline:
            return False
        del answers[-1]
        time.sleep(CONNECT_SECONDS / 50)
    return False


def _try_to_use_disk(machine, answers):
    """The backend may keep the disk away, and the guest gets less time than from an honest one."""
    if _await_disk(machine, answers, BENT_SECONDS):
        for line in BENT_WORK:
            if not _ask(machine, answers, line, BENT_SECONDS):
                return
