# SPDX-License-Identifier: MIT
"""A frontend in a guest meets a backend in QEMU: each pair becomes a Cell of the matrix."""

import itertools
import re

from . import contract, frontends, frontplay, userqemu, xenguest
from .cell import DIRECT_SEGMENTS, YES, Cell, features
from .frontplay import LONG, PER_PAGE, SHORT, LinuxPlay
from .hostedplay import FRONTEND, HostedPlay
from .pluggedback import BACKEND, PERIPHERAL, SIZE, Plugged, property_of
from .version import ours

# QEMU's emulated XenStore tells which nodes its backends read and write.
TRACE = ["-trace", "xs_node_read", "-trace", "xs_node_vprintf"]
LARGE_SECTORS = {"logical_block_size": 4096, "physical_block_size": 4096}
SECTOR = contract.SECTOR
# Each round of I/O has data of its own, so that what an earlier one left on the disk is wrong.
ROUNDS = itertools.count(1)


def version_of(machine, backend):
    """Of a backend in this QEMU."""
    qemu = f"QEMU {userqemu.ask(machine.program, '--version').split()[3]}"
    return f"{ours()} in {qemu}" if backend == xenguest.OURS else qemu


# ---- what a backend in QEMU says of the connection

def ring_of(machine, backend, since):
    """(queues, pages of a ring, persistent grants) of the backend's connection. `since` is a place in QEMU's log."""
    if backend == xenguest.OURS:
        plan = property_of(machine, "plan")
        return plan["queues"], plan["ring-pages"], plan["persistent"]
    nodes = _nodes(machine, since)
    return (int(nodes.get("multi-queue-num-queues", 1)), 1 << int(nodes.get("ring-page-order", 0)),
            nodes.get("feature-persistent") == "1")


def _log(machine, since):
    with open(machine.errors, "rb") as log:
        log.seek(since)
        return log.read().decode(errors="replace")


def _nodes(machine, since):
    """The last value of each node that the backend read or wrote, by the node's name."""
    said = re.findall(r"^xs_node_(?:read|vprintf) \S*/(?:vbd|qdisk)/\S*/(\S+) (\S+)$", _log(machine, since), re.M)
    return {name: value for name, value in said if value != "(null)"}


def _connected(machine, backend):
    """Whether the backend was Connected once."""
    if backend == xenguest.OURS:
        return property_of(machine, "counters")["connects"] > 0
    return bool(re.search(r"^xs_node_vprintf \S*/qdisk/\S*/state 4$", _log(machine, 0), re.M))


def _flushes(machine, backend):
    """Whether a frontend that writes can flush: ours counts what it flushed, and QEMU's has a node."""
    if backend == xenguest.OURS:
        return any(disk["stats"]["flush_operations"] for disk in machine.qmp("query-blockstats"))
    return _nodes(machine, 0).get("feature-flush-cache") == "1"


def _complaint(machine, backend, since):
    """Of the backend, that did not connect; "" if it says nothing."""
    if backend == xenguest.OURS:
        return property_of(machine, "last-error")
    said = [line for line in _log(machine, since).splitlines() if not line.startswith("xs_node_")]
    return said[-1].partition("qemu-system-x86_64: ")[2] if said else ""


# ---- frontends in a guest that does as it is told

class Named(Plugged):
    """A backend that only has a name."""

    def __init__(self, machine, folder, name):
        super().__init__(machine, folder)
        self._name = name

    def _driver(self):
        return {"driver": self._name}


class Meeting:
    """What a Play is with a backend that only has a name. Who inherits says how the frontend comes back, and what it
    says of the features."""

    def __init__(self, machine, backend, folder, config=""):
        self.backend = backend
        super().__init__(machine, {"id": "", "plan": "", "act": "", "config": config}, folder)
        self.log_at = machine.errors.stat().st_size

    def back_of(self, machine, folder):
        return Named(machine, folder, self.backend)

    def begin(self):
        """Whether the disk comes."""
        self._plug()
        return self._connect() and self._disk()

    def _plug(self):
        self.back.plug(self.scenario, "")

    def _disk(self):
        """The same, of a frontend that connects. Once the backend complains, there is nothing to wait for."""
        for _ in range(LONG // SHORT):
            if self._tell("disk", self.disk, SHORT, seconds=SHORT) != "none":
                return True
            if _complaint(self.machine, self.backend, self.log_at):
                break
        return False

    def end(self):
        """Whether the guest is fit for another pair."""
        self._stop()
        return self._unplug()

    def why(self):
        return self.facts.get("said") or _complaint(self.machine, self.backend, self.log_at) or "the disk does not come"

    def verified(self, *steps):
        """None if I/O is as it has to be, else what was wrong."""
        self.counts = dict.fromkeys(self.counts, 0)
        self.facts.pop("said", None)
        done = all(self._do(*step.split()) for step in steps) if steps else self._round(next(ROUNDS))
        if not done:
            return "it hangs"
        if self.counts["wrong"]:
            return "it reads wrong data"
        return self.facts.get("said", "I/O fails") if self.counts["errors"] else None

    def grows(self):
        """The same, of a disk that becomes larger in use."""
        self.back.resize(2 * SIZE)
        status, _ = self.machine.run("await", f'[ "$(sectors {self.disk})" = {2 * SIZE // SECTOR} ]')
        if status:
            return "it keeps the old size"
        behind = SIZE // SECTOR, PER_PAGE, next(ROUNDS)
        return self.verified(contract.write(*behind), contract.read(*behind))

    def comes_back(self):
        """The same, of a second connection."""
        if not self._leave():
            return "the frontend does not leave the disk"
        return self.verified() if self._start() and self._disk() else self.why()

    def _queue(self, name):
        return self.machine.run("cat", f"/sys/block/{self.disk}/queue/{name}")[1][0]


class LinuxMeeting(Meeting, LinuxPlay):
    @staticmethod
    def version(machine):
        return machine.versions

    def _leave(self):
        return self.end()

    def _start(self):
        """Its driver leaves a device that was Closed alone until the host makes it anew."""
        self._plug()
        return True

    def features(self):
        queues, pages, persistent = ring_of(self.machine, self.backend, self.log_at)
        return features(queues, pages, int(self._queue("max_segments")), persistent_grants=persistent,
                        flush=self._queue("write_cache") == "write back", discard=self._queue("discard_max_bytes") != "0")


class HostedMeeting(Meeting, HostedPlay):
    @staticmethod
    def version(machine):
        return version_of(machine, xenguest.OURS)

    def _leave(self):
        return self._stop()

    def _start(self):
        return self._connect()

    def features(self):
        plan = self.machine.qmp("qom-get", path=f"{PERIPHERAL}/{FRONTEND}", property="plan")
        return features(plan["queues"], plan["ring-pages"], plan["max-segments"], persistent_grants=plan["persistent"],
                        flush=plan["flush"], discard=plan["discard"])


MEETINGS = {frontends.LinuxFrontend: LinuxMeeting, frontends.HostedFrontend: HostedMeeting}


def in_guest(subject, backends, folder):
    """A frontends.GuestFrontend with each of these backends. One guest meets them all, and another one if it is unfit."""
    meeting = MEETINGS[type(subject)]
    left = list(backends)
    while left:
        with _traced(subject.machine(folder)) as machine:
            fit = True
            while fit and left:
                backend = left.pop(0)
                cell = Cell(backend, meeting.version(machine), version_of(machine, backend))
                fit = _meet(machine, meeting, cell, folder)
                yield cell


def _traced(machine):
    machine.arguments += TRACE
    return machine


def _meet(machine, meeting, cell, folder):
    """Fills the cell; whether the guest is fit for another one."""
    try:
        one = meeting(machine, cell.backend, folder)
        _try_all(one, cell)
        fit = one.end()
        large = meeting(machine, cell.backend, folder, ",".join(f"{key}={value}" for key, value in LARGE_SECTORS.items()))
        cell.note("sectors-4096", large.verified() if large.begin() else large.why())
        return large.end() and fit
    except frontplay.Lost as lost:
        cell.rest(f"the guest does not answer: {lost}")
        return False


def _try_all(one, cell):
    if not one.begin():
        cell.no("connects", one.why())
        return cell.not_tried("it does not connect", "io", "features", "resize", "reconnect")
    cell.answers["connects"] = YES
    cell.note("io", one.verified())
    cell.answers["features"] = one.features()
    cell.note("resize", one.grows())
    cell.note("reconnect", one.comes_back())


# ---- frontends in a guest that nobody drives

# For a boot on a busy machine: so many looks at what the guest says, each of so many seconds.
LOOKS, LOOK_SECONDS = 12, 10


def passive(kind, backends, folder):
    """A guest of passivefront with each of these backends; two boots for each."""
    which = kind()
    for backend in backends:
        which.prepare(folder)
        with _passive_machine(which, backend, folder) as machine:
            cell = Cell(backend, which.version(), version_of(machine, backend))
            _use(which, machine, cell)
        with _passive_machine(which, backend, folder, LARGE_SECTORS) as machine:
            cell.note("sectors-4096", _wrong(which, machine, backend))
        yield cell


def _passive_machine(which, backend, folder, options=None):
    driver = ",".join([f"{backend},id={BACKEND},drive=disk,vdev=xvda",
                       *(f"{key}={value}" for key, value in (options or {}).items())])
    return _traced(which.machine(folder, driver))


def _wrong(which, machine, backend):
    """What is wrong with the guest's work on its disk, or None."""
    # The session with QEMU begins before the guest can end: the event of that end is no answer to a greeting.
    machine.qmp("query-status")
    for _ in range(LOOKS):
        word = which.listen(machine, LOOK_SECONDS)
        if word and word.kind == "ok":
            return None
        why = _complaint(machine, backend, 0)
        if word or why:
            return why or word.text or "it reads wrong data"
    return "the guest says nothing"


def _use(which, machine, cell):
    wrong = _wrong(which, machine, cell.backend)
    if wrong and not _connected(machine, cell.backend):
        cell.no("connects", wrong)
        return cell.rest("it does not connect")
    cell.answers["connects"] = YES
    cell.note("io", wrong)
    if not wrong and not which.writes:
        cell.answers["io"] = f"{YES}: it reads, and never writes"
    queues, pages, persistent = ring_of(machine, cell.backend, 0)
    cell.answers["features"] = features(queues, pages, DIRECT_SEGMENTS, persistent_grants=persistent,
                                        flush=which.writes and _flushes(machine, cell.backend))
    cell.not_tried("the guest uses its disk once, at its start", "resize", "reconnect")
