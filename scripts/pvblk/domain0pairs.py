# SPDX-License-Identifier: MIT
"""A frontend meets a backend in domain 0 of a real Xen: each pair becomes a Cell of the matrix.

Linux's own xen-blkfront meets our backend, which is a program there, or Linux's own xen-blkback. Our frontend, a program
as well, meets xen-blkback.
"""

from . import core, linuxfront, paths, realxen, ui
from .cell import YES, Cell, features
from .version import ours

# Of the disk that real-xen-serve.sh has, and what it grows by.
SECTORS, MORE = 32 * 2048, 2048
SERVE, BLKBACK = "serve", "blkback"
# All that our frontend and xen-blkback have.
MOST = {"queues": 2, "ring-pages": 16, "segments": 32, "persistent": 1}


def version_of_xen(machine):
    """(Xen, Linux), each with its version."""
    xen, _, linux = machine.versions.partition(" Linux ")
    return xen, f"Linux {linux}"


def blkfront(host, backends, folder):
    """xen-blkfront with `serve-VERSION` and `blkback-VERSION`, in one boot."""
    with realxen.boot_serving(folder.name, host, [paths.CORE / core.SERVE], cpus=2) as machine:
        xen, linux = version_of_xen(machine)
        for backend in backends:
            kind = backend.partition("-")[0]
            version = f"{ours()} on {xen}" if kind == SERVE else f"{linux} on {xen}"
            cell = Cell(backend, linux, version)
            BACKENDS[kind](machine).fill(cell)
            yield cell
        machine.power_off()


def _do(machine, *words):
    status, lines = machine.run(*words, seconds=300)
    if status:
        raise ui.Problem(f"{' '.join(map(str, words))}: {' | '.join(lines[-4:]) or f'status {status}'}")
    return lines


class _Backend:
    """Of xvda. Each step is functions of tests/guest/real-xen-serve.sh, and one that fails is the answer `no`."""

    def __init__(self, machine):
        self.machine = machine

    def do(self, *words):
        return _do(self.machine, *words)

    def fill(self, cell):
        self.begin(512)
        if not self._note(cell, "connects", self.connect):
            return cell.rest("it does not connect")
        self._note(cell, "io", self.verify)
        self._note(cell, "features", lambda: cell.answers.update(features=self.features()))
        self._note(cell, "resize", self.grow)
        self._note(cell, "reconnect", self.reconnect)
        self.end()
        self.begin(4096)
        self._note(cell, "sectors-4096", lambda: (self.connect(), self.verify(4096)))
        self.end()

    def _note(self, cell, item, step):
        try:
            cell.answers[item] = YES
            step()
        except ui.Problem as problem:
            if self.machine.process.poll() is not None:
                raise
            cell.no(item, str(problem))
            return False
        return True

    def connect(self):
        self.attach()
        self.do("await_disk", self.sectors)

    def verify(self, smallest=512):
        """With new data: what an earlier connection left on the disk is wrong."""
        self.do("make_pattern")
        self.do("verify", smallest)

    def features(self):
        said = dict(line.partition(" ")[::2] for line in self.do("agreed"))
        nodes = {name: said[name].split() for name in ("multi-queue-num-queues", "ring-page-order", "feature-persistent")}
        queues, order = (int((nodes[name] or [default])[0])
                         for name, default in (("multi-queue-num-queues", 1), ("ring-page-order", 0)))
        return features(queues, 1 << order, int(said["max_segments"]),
                        persistent_grants=nodes["feature-persistent"] == ["1", "1"],
                        flush=said["write_cache"] == "write back", discard=said["discard_max_bytes"] != "0")

    def grow(self):
        self.sectors += MORE
        self.resize()
        self.do("await_disk", self.sectors)
        self.do("verify_end", self.sectors)

    def reconnect(self):
        self.leave()
        self.connect()
        self.verify()


class _Serve(_Backend):
    """examples/serve.cc."""

    def begin(self, sector_size):
        self.sectors = SECTORS
        self.do("serve_from_program")
        self.do("make_image")
        self.do("attach")
        self.do("start", f"sector-size={sector_size}")

    def attach(self):
        pass

    def resize(self):
        self.do("tell", f"resize {self.sectors}")

    def leave(self):
        self.do("detach", "tell", "close")
        self.do("attach")

    def end(self):
        self.do("detach", "ask_toolstack")
        self.do("end_serve", "quit", 0)


class _Blkback(_Backend):
    def begin(self, sector_size):
        self.sectors = SECTORS
        self.do("blkback", sector_size)

    def attach(self):
        self.do("attach_blkback")

    def resize(self):
        self.do("resize_blkback", self.sectors)

    def leave(self):
        self.do("detach", "ask_toolstack")

    end = leave


BACKENDS = {SERVE: _Serve, BLKBACK: _Blkback}


def linux_front(hosts, backends, folder):
    """Our frontend as a program, with `blkback-VERSION`."""
    for backend in backends:
        host = hosts[backend]
        with realxen.boot(folder.name, host, linuxfront.PROGRAMS, cpus=2) as machine:
            xen, linux = version_of_xen(machine)
            cell = Cell(backend, ours(), f"{linux} on {xen}")
            facts, wrong = linuxfront.run(machine, {"vdev": 51712, **MOST, "seed": 1}, {})
            if not facts:
                cell.no("connects", wrong)
                cell.rest("it does not connect")
            else:
                # Each run connects a second time, with I/O in flight.
                cell.answers["connects"] = YES
                for item in ("io", "reconnect"):
                    cell.note(item, wrong)
                cell.answers["features"] = features(
                    facts["queues"], facts["ring-pages"], facts["segments"], persistent_grants=facts["persistent"],
                    flush=facts["flush"], discard=facts["discard"])
                cell.not_tried("the program does not look at the size", "resize")
                cell.note("sectors-4096", linuxfront.run(machine, {"vdev": 51744, "segments": 32, "seed": 2}, {})[1])
            machine.power_off()
        yield cell
