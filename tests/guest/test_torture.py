# SPDX-License-Identifier: MIT
"""Linux's own xen-blkfront under a fault plan of each group: the guest has to live, and what comes of its disk is known."""

from dataclasses import dataclass

import pytest

from pvblk import guest, images, kernel, ui, xenguest

OWN = "/machine/peripheral/own"


# Linux 6.12: once its ring has failed, a backend that writes Connected again has blkfront make its disk a second time.
TWICE = "kernel BUG at drivers/block/xen-blkfront.c"
GIVEN_UP = "xvda disabled for further use"


@dataclass
class Torture:
    """A plan, and what Linux makes of it: `bent` while it is in force, `honest` after it was emptied.

    `says` is in Linux's log then. What was stuck comes back in the end, unless the ring is given up.
    """
    plan: str
    bent: tuple
    honest: tuple
    says: tuple = ()
    trouble: str = ""


TORTURES = {
    "index": Torture("at publish nth=60: index/producer-ahead 40", ("error", "stuck"), ("error", "stuck"),
                     ("illegal number of responses", GIVEN_UP), TWICE),
    "response": Torture("at respond nth=60: response/unknown-id", ("error", "stuck"), ("error", "stuck"),
                        ("response has incorrect id", GIVEN_UP), TWICE),
    "data": Torture("at data op=read nth=60 every=40 always: data/flipped 4242", ("corrupt",), ("ok",)),
    "notify": Torture("at notify nth=60 every=20 always: notify/lost", ("stuck",), ("ok",)),
    "grants": Torture("at map name=data nth=3 every=1 always: grants/map-fails", ("error",), ("ok",),
                      ("I/O error, dev xvda",)),
    "store": Torture("at publish-node name=feature-max-indirect-segments always: store/node-not-a-number", ("ok",),
                     ("ok",), ("indirect descriptors: disabled",)),
    "geometry": Torture("at tick state=Connected nth=60: geometry/size-shrinks 130000", ("error", "short"), ("ok",),
                        ("change from 131072 to 1072", "change from 1072 to 131072")),
    "features": Torture("at before-work op=flush|barrier|discard always: features/unsupported", ("ok",), ("ok",),
                        ("flush op failed",)),
    "lifecycle": Torture("at take nth=60: lifecycle/closing", ("error", "short"), ("error",)),
}


@pytest.mark.claim("xen/torture-{group}", "Linux's own frontend under a fault plan of the group {group}: its guest "
                   "survives, and its disk fails only in known ways")
@pytest.mark.needs("qemu", "guest")
@pytest.mark.parametrize(("group", "torture"), TORTURES.items(), ids=TORTURES)
def test_torture(name, group, torture):
    """One guest; fails unless the faults happened, the guest lived, and its disk fared as it should."""
    folder = images.folder(name)
    xenguest.initrd("xen-torture.sh", kernel.CLOUD, fio=False).write(folder / "initrd")
    plan = folder / "plan.faults"
    plan.write_text(torture.plan + "\n")
    words = xenguest.arguments(folder, kernel.CLOUD, 2, own=f"{xenguest.OURS},faults={guest.escaped(plan)}")
    notes = []
    with guest.Guest(name, words) as machine:
        bent = machine.wait_for("bent", 120, notes.append)
        fired = machine.qmp("qom-get", path=OWN, property="fault-counters")
        machine.qmp("qom-set", path=OWN, property="fault-plan", value="")
        machine.tell("go")
        honest = machine.wait_for("honest", 60, notes.append)
        machine.wait_for("finished", 60, notes.append)
        machine.power_off()
    said = f"{group}: {sum(fired.values())} faults; xvda: {bent}; once they stopped: {honest}"
    if not sum(fired.values()):
        raise ui.Problem(f"{said}; the plan never came true", machine.console)
    if not set(bent.split()) <= {"ok", *torture.bent} or not set(bent.split()) & set(torture.bent) \
            or honest not in torture.honest:
        raise ui.Problem(f"{said}; there should have been {torture.bent}, then {torture.honest}", machine.console)
    ui.say(said + look_at(machine, group, torture, notes))


def look_at(machine, group, torture, notes):
    """What the guest noted of its log, and of requests that were stuck; returns what there is to say of trouble."""
    log = "\n".join(note for note in notes if note.startswith("log"))
    unsaid = [text for text in torture.says if text not in log]
    if unsaid:
        raise ui.Problem(f"{group}: Linux's log does not say {unsaid}", machine.console)
    later, = (note.removeprefix("later ").split() for note in notes if note.startswith("later"))
    if ("stuck" in later) != (GIVEN_UP in torture.says):
        raise ui.Problem(f"{group}: in the end the first three rounds were {later}", machine.console)
    trouble = [note for note in notes if note.startswith("trouble")]
    known = any(torture.trouble in note for note in trouble) if torture.trouble else not trouble
    if not known:
        raise ui.Problem(f"{group}: there should have been the trouble '{torture.trouble}', there was {trouble}",
                         machine.console)
    return f"; {torture.trouble}" if torture.trouble else ""
