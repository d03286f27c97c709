# SPDX-License-Identifier: MIT
"""Our judging backend as a program in domain 0 of a real Xen (`blkif-conformance --serve`), and what it saw of the frontend.

It has the interface of pluggedback.Plugged. tests/guest/real-xen-serve.sh has the functions that run in domain 0.
"""

import json

from . import ui
from .scenarios import config_of, read_only

SECTOR = 512
# In domain 0: the disk that nobody can write.
FIXED = "/fixed"


class Served:
    def __init__(self, machine, _):
        self._machine = machine

    def plug(self, scenario, plan):
        self._do("attach")
        self._do("start_judge", "--scenario", scenario["id"], *(["--image", FIXED] if read_only(config_of(scenario)) else []))
        if not plan and scenario["plan"]:
            self.make_honest()

    def unplug(self):
        """Whether the frontend let it go."""
        status, _ = self._machine.run("unplug_judge", seconds=60)
        self._do("end_judge")
        return status == 0

    def resize(self, size):
        self._do("tell", "resize", size // SECTOR)

    def judgement(self):
        return self._seen()["judgement"]

    def requests(self):
        return self._seen()["requests"]

    def faults(self):
        return self._seen()["faults"]

    def make_honest(self):
        self._do("tell", "faults")

    def _seen(self):
        return json.loads(self._do("tell", "judgement").removeprefix("ok "))

    def _do(self, *words):
        status, lines = self._machine.run(*words, seconds=60)
        if status:
            raise ui.Problem(f"{' '.join(map(str, words))}: {' | '.join(lines[-2:])}")
        return lines[-1] if lines else ""
