# SPDX-License-Identifier: MIT
"""Our judging backend in the QEMU of the guest: what a scenario does to it, and what it saw of the frontend."""

from . import images, qmp, ui, xenguest
from .scenarios import config_of, read_only

DISK, BACKEND = "xvdb", "judged"
SIZE = 4 * images.MIB
PERIPHERAL = "/machine/peripheral"


class Gone(Exception):
    """A fault plan took the backend away."""


class Plugged:
    """A backend in the QEMU of the guest. Whoever inherits may name another one than ours."""

    def __init__(self, machine, folder):
        self._machine = machine
        self._plan = folder / "plan"

    def plug(self, scenario, plan):
        self.resize(SIZE)
        self._plan.write_text(plan + "\n")
        config = config_of(scenario)
        options = {name: value == "on" if value in ("on", "off") else int(value) for name, value in config.items()
                   if name != "read-only"}
        self._qmp("device_add", **self._driver(), id=BACKEND, vdev=DISK, drive="fixed" if read_only(config) else "disk",
                  **options)

    def _driver(self):
        """In the words of device_add."""
        return {"driver": xenguest.OURS, "judge": True, "faults": str(self._plan)}

    def unplug(self):
        """Whether the guest let it go."""
        self._qmp("device_del", id=BACKEND)
        return gone(self._machine, BACKEND, 10)

    def forget(self):
        """Of a backend that a plan took away: the news of its end are not those of the next one."""
        gone(self._machine, BACKEND, 10)

    def resize(self, size):
        self._qmp("block_resize", **{"node-name": "disk", "size": size})

    def judgement(self):
        return self._property("judgement")

    def requests(self):
        return self._property("counters")["requests"]

    def faults(self):
        """How many have happened. Without a plan, there are none."""
        return sum(self._property("fault-counters").values())

    def make_honest(self):
        self._qmp("qom-set", path=f"{PERIPHERAL}/{BACKEND}", property="fault-plan", value="")

    def _property(self, name):
        return property_of(self._machine, name)

    def _qmp(self, command, **arguments):
        return ask_qmp(self._machine, command, **arguments)


def property_of(machine, name):
    """Of the backend."""
    try:
        return ask_qmp(machine, "qom-get", path=f"{PERIPHERAL}/{BACKEND}", property=name)
    except ui.Problem as problem:
        if isinstance(problem.__cause__, qmp.Refused) and "not found" in str(problem.__cause__):
            raise Gone from problem
        raise


def ask_qmp(machine, command, **arguments):
    # Names of properties may have an underscore; QMP's own have none.
    return machine.qmp_in_a_row((command, arguments), seconds=20)[0]


def gone(machine, device, seconds):
    """Whether a device that is being unplugged leaves QEMU in time."""
    try:
        machine.wait_event("DEVICE_DELETED", seconds, device=device)
    except ui.Problem:
        if machine.process.poll() is not None:
            raise
        return False
    return True
