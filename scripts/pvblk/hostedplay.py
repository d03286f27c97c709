# SPDX-License-Identifier: MIT
"""A scenario with xen-pvblk-pci, the frontend in QEMU itself. The guest drives it by virtio-blk, and knows no Xen."""

from . import qmp, ui
from .frontplay import LONG, PAGES, Play
from .pluggedback import DISK, PERIPHERAL, ask_qmp, gone

FRONTEND = "hosted"
# Of the handshake, and of each request: a backend that does not answer costs no more. The second one is longer than the
# time after which the backend behaves again.
HANDSHAKE_MS, REQUEST_MS = 3000, 8000


class HostedPlay(Play):
    disk = "vda"

    def _connect(self):
        try:
            ask_qmp(self.machine, "device_add", driver="xen-pvblk-pci", id=FRONTEND, vdev=DISK,
                      **{"handshake-timeout-ms": HANDSHAKE_MS, "request-timeout-ms": REQUEST_MS})
        except ui.Problem as problem:
            if not isinstance(problem.__cause__, qmp.Refused):
                raise
            self.facts["said"] = str(problem.__cause__)[:300]
            return False
        return True

    def _present(self):
        return any(child["name"] == FRONTEND for child in ask_qmp(self.machine, "qom-list", path=PERIPHERAL))

    def _stop(self):
        if not self._present():
            return True
        ask_qmp(self.machine, "device_del", id=FRONTEND)
        if gone(self.machine, FRONTEND, LONG):
            return True
        if self.bent:
            self._behave()
            self.facts["waited"] = gone(self.machine, FRONTEND, LONG)
        return not self._present()

    def _part(self):
        self.bent = False
        return self._stop()

    def _after_close(self, judgement):
        if self.facts["connected"]:
            self.facts["grants-left"] = judgement["grants-left"]
        self._come_back()

    def _come_back(self):
        """The frontend once more, with a backend that is honest now."""
        if self.bent:
            self._behave()
        first, self.facts = self.facts, {}
        counts, self.counts = self.counts, dict.fromkeys(self.counts, 0)
        good = self._connect()
        if not good and self.scenario["plan"]:
            # A plan may have taken the backend away: only another one comes back.
            good = self.back.unplug() and self._plug_honest()
        good = good and self._disk() and self._round(3, PAGES[:2]) and self.counts["ok"] > 0 and \
            not self.counts["errors"] and not self.counts["wrong"]
        said = self.facts.get("said", "it serves no I/O")
        good = self._stop() and good
        self.facts, self.counts = first, counts
        self.facts["again"] = good
        if not good:
            self.facts["said"] = said

    def _plug_honest(self):
        self.back.plug(self.scenario, "")
        return self._connect()

    def _unplug(self):
        fit = super()._unplug()
        # Where the backend asked to close, the frontend is still there.
        return self._stop() and fit
