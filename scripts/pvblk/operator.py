# SPDX-License-Identifier: MIT
"""The conformance suite's operator, beside a QEMU: does by QMP what no frontend can (docs/conformance.rst)."""

import re
import struct
import tempfile
from pathlib import Path

from . import ui

# A disk that uses up what all disks of its group may read together: QEMU has limits, but none of zero.
WEIGHT = ["-drive", "if=none,id=weight,driver=null-co,size=1M"]
# Of xen/grant_table.h: entries that no frontend has, their size, and flags. Linux's gntalloc gives 1024 grants at most,
# which need two pages of the table, and the kernel has some of its own.
RESERVED, ENTRY, TABLE = 8, struct.Struct("<HHI"), 8 * 4096
TYPE, PERMIT_ACCESS, IN_USE = 3, 1, 8 | 16
# The suite asks nothing else. A question of somebody else's is none.
QUESTION = re.compile(r"operator ([0-9]{1,9}) (resize(?= \d+ \d+$)|(?:hold|release|restart|quiet|maps)(?= \d+$)) "
                      r"([0-9]+)((?: [0-9]{1,15})?)")
# The suite takes no longer line.
MOST = 400
# For QEMU's answer. A backend that stops its main loop never gives one, and each case would wait for it.
SECONDS = 20


class Operator:
    """Of one machine. `disks` has device_add's words for each vbd, among them `id` and `drive`."""

    def __init__(self, machine, disks, quiet=True):
        """`quiet`: turns of QEMU's main loop are enough for the backend to do all it can."""
        self.abilities = "hold,resize,restart,maps" + (",quiet" if quiet else "")
        self.machine, self.disks, self.held, self.table = machine, disks, set(), None

    def takes(self, line):
        """Whether the line asks us; then it has its answer."""
        words = QUESTION.fullmatch(line)
        if not words or words[3] not in self.disks:
            return False
        number, verb, vbd, more = words.groups()
        try:
            said = getattr(self, verb)(self.disks[vbd], *more.split())
            self.machine.tell(f"done {number}" + ("" if said is None else f" {said}"))
        except ui.Problem as problem:
            if self.machine.process.poll() is not None:
                raise
            self.machine.tell(" ".join(f"cannot {number} {problem}".split())[:MOST])
        return True

    def _qmp(self, command, **words):
        return self.machine.qmp(command, seconds=SECONDS, **words)

    def _monitor(self, text):
        return self._qmp("human-monitor-command", command_line=text)

    def _limit(self, bytes_a_second, **disk):
        none = dict.fromkeys(("bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr"), 0)
        self.machine.qmp_in_a_row(
            ("block_set_io_throttle", {**none, **disk, "bps": bytes_a_second, "group": "held"}), seconds=SECONDS)

    def hold(self, disk):
        # A byte a second for the group; the weight reads a megabyte at once. So nobody else reads or writes for days.
        self._limit(1, device="weight")
        self._limit(1, id=disk["id"])
        self._monitor('qemu-io weight "read 0 1M"')
        self.held.add(disk["id"])

    def release(self, disk):
        # QEMU drains a disk that it takes out of its group: all that was held is done when it answers.
        self._limit(0, id=disk["id"])
        self.held.discard(disk["id"])

    def resize(self, disk, sectors):
        self._qmp("block_resize", node_name=disk["drive"], size=512 * int(sectors))

    def restart(self, disk):
        self._qmp("device_del", id=disk["id"])
        self.machine.wait_event("DEVICE_DELETED", 5)
        self.machine.qmp_in_a_row(("device_add", disk), seconds=SECONDS)
        self.held.discard(disk["id"])

    def quiet(self, _disk):
        # A drain ends what the disks do, and would end what they hold.
        if not self.held:
            self._monitor('qemu-io weight "aio_flush"')
        # Each command is a turn of the main loop, in which a backend does what it was asked to do before.
        for _ in range(3):
            self._qmp("query-status")

    def maps(self, _disk):
        """How many grants are mapped: QEMU marks them in the guest's table."""
        if self.table is None:
            found = re.search(r"([0-9a-f]{16})-[0-9a-f]{16} \(.*@xen:grant_table", self._monitor("info mtree"))
            if not found:
                raise ui.Problem("the guest has no grant table")
            self.table = int(found[1], 16)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "table")
            self._qmp("pmemsave", val=self.table, size=TABLE, filename=str(file))
            entries = list(ENTRY.iter_unpack(file.read_bytes()))[RESERVED:]
        return sum(flags & TYPE == PERMIT_ACCESS and flags & IN_USE != 0 for flags, _domain, _frame in entries)
