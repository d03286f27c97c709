# SPDX-License-Identifier: MIT
"""`pvblk matrix`: plays frontends on backends, pair by pair, and records the answers (docs/clients.rst)."""

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from . import cell, domain0pairs, driverfront, frontends, images, inprocesspairs, matrixtable, pairplay, paths, \
    setup, ui, xenguest, xenhost

HELP = """\
./pvblk matrix: plays pairs of a frontend and a backend (docs/clients.rst)

  ./pvblk matrix                       all {pairs} pairs, one after the other: 10 to 30 minutes
  ./pvblk matrix linux-6.12 grub       frontends, each on all of its backends
  ./pvblk matrix linux-6.12:xen-disk   one pair
  ./pvblk matrix --update grub         ... and record the answers in docs/clients.toml and in the table of docs/clients.rst
  ./pvblk matrix --rst                 print that table, and play nothing

Each pair connects, writes and reads back, names the features that both agreed on, changes its disk's size, connects once
more, and does it with sectors of 4096 bytes. The answers of a run are in {results}.

Frontends, and their backends:

{rows}
"""
RESULTS = paths.BUILD / "matrix" / "matrix.toml"


@dataclass(frozen=True)
class Frontend:
    """`play(backends, folder)` yields a Cell for each backend."""

    name: str
    title: str
    backends: tuple
    steps: tuple
    play: Callable

    def results(self, backends):
        """An entry of the record for each pair."""
        today = datetime.date.today().isoformat()
        for pair in self.play(backends, images.folder(f"matrix-{self.name}")):
            yield {"frontend": self.name, "frontend-version": pair.frontend_version, "backend": pair.backend,
                   "backend-version": pair.backend_version, "date": today,
                   **{item: pair.answers[item] for item in cell.ITEMS}}


def _in_qemu(subject, play):
    return Frontend(subject.name.removeprefix("frontend:"), subject.title, (xenguest.OURS, xenguest.QEMUS), subject.steps,
                    play)


def _in_process(subject):
    return Frontend(subject.name.removeprefix("frontend:"), subject.title, (inprocesspairs.LOOPBACK,), subject.steps,
                    partial(inprocesspairs.play, subject))


def _blkfront(host, linux):
    return Frontend(f"domain0-{linux}", f"Linux {linux}'s xen-blkfront, in domain 0 of a real Xen {host.version}",
                    (f"{domain0pairs.SERVE}-{host.version}", f"{domain0pairs.BLKBACK}-{host.version}"),
                    ("qemu", "real-xen", "serve"), partial(domain0pairs.blkfront, host))


HOSTS = {f"{domain0pairs.BLKBACK}-{host.version}": host for host in xenhost.ALL}
ALL = {one.name: one for one in (
    *(_in_qemu(subject, partial(pairplay.in_guest, subject)) for subject in (*frontends.LINUXES, frontends.HOSTED)),
    _in_qemu(frontends.MINI, partial(pairplay.passive, frontends.MINI.guest)),
    _in_qemu(frontends.GRUB, partial(pairplay.passive, frontends.GRUB.guest)),
    *map(_in_process, driverfront.ALL),
    _blkfront(xenhost.BOOKWORM, "6.1"), _blkfront(xenhost.TRIXIE, "6.12"),
    Frontend("linux-front", "our frontend, a program in domain 0 of a real Xen", tuple(HOSTS),
             ("qemu", "real-xen", "linux-front"), partial(domain0pairs.linux_front, HOSTS)))}
PAIRS = {(one.name, backend): one for one in ALL.values() for backend in one.backends}


def help_text():
    rows = "\n".join(f"  {one.name:16} {one.title}\n{'':18} {', '.join(one.backends)}" for one in ALL.values())
    return HELP.format(pairs=len(PAIRS), results=paths.shown(RESULTS), rows=rows)


def chosen(words):
    """Backends by frontend. A ValueError is a sentence for the user."""
    wanted = {}
    for word in words or ALL:
        name, colon, backend = word.partition(":")
        if word.startswith("-"):
            raise ValueError(f"matrix does not take {word}")
        if name not in ALL:
            raise ValueError(f"{name} is no frontend of the matrix: choose {', '.join(ALL)}")
        if colon and backend not in ALL[name].backends:
            raise ValueError(f"{name} does not meet {backend or 'nothing'}: its backends are "
                             + ", ".join(ALL[name].backends))
        backends = wanted.setdefault(name, [])
        backends += [one for one in ([backend] if colon else ALL[name].backends) if one not in backends]
    return wanted


def command(words):
    """The exit status: 0 if each pair was played, whatever its answers are."""
    if "--help" in words or "-h" in words:
        print(help_text(), end="")
        return 0
    if words == ["--rst"]:
        print(matrixtable.rst(matrixtable.recorded(), ALL), end="")
        return 0
    try:
        wanted = chosen([word for word in words if word != "--update"])
    except ValueError as problem:
        raise ui.Usage(f"{problem}; see ./pvblk matrix --help") from None
    entries, all_is_well = play(wanted)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(matrixtable.toml(entries))
    if "--update" in words:
        matrixtable.update(entries, PAIRS, ALL)
    return 0 if all_is_well else 1


def play(wanted):
    """The entries of all pairs that could be played, each said as it comes; and whether there was no trouble."""
    entries, all_is_well = [], True
    for name, backends in wanted.items():
        try:
            setup.ensure(*ALL[name].steps)
            ui.status(f"  {name}")
            for entry in ALL[name].results(backends):
                entries.append(entry)
                for line in matrixtable.told(entry):
                    ui.say(line)
        except ui.Problem as problem:
            ui.explain(problem)
            all_is_well = False
    ui.clear_status()
    return entries, all_is_well
