# SPDX-License-Identifier: MIT
"""A guest's frontend that xen-pvblk-backend refuses."""

import pytest

from pvblk import freestanding, guest, images, nested, ui, xenguest

RULE = "the frontend's protocol is unknown (blkif:protocol, value 0)"
DEVICE = "/machine/peripheral/own"


@pytest.mark.claim("xen/refused-frontend", "xen-pvblk-backend names the clause for which it refused a guest's frontend: in "
                   "QEMU's log, a trace event and last-error")
@pytest.mark.needs("qemu", "firmware", "freestanding")
def test_refused_frontend(name):
    """mini-blkfront, whose node `protocol` says something else."""
    folder = images.folder(name)
    bent = folder / "bent.elf"
    bent.write_bytes(freestanding.build("mini-blkfront").read_bytes().replace(b"x86_64-abi", b"x86_65-abi"))
    words = [*xenguest.ACCEL, "-m", "64", "-kernel", bent, "-append", "upcall=vector", "-action", "shutdown=pause",
             *guest.raw_disk("disk", images.raw(folder / "own.raw", nested.SIZE)),
             "-device", "xen-pvblk-backend,id=own,drive=disk,vdev=xvda", "-trace", "xen_pvblk_back_violation"]
    with guest.Guest(name, words) as machine:
        with pytest.raises(ui.Problem, match="the backend is Closing"):
            machine.wait_for("finished", 60)
        error = machine.qmp("qom-get", path=DEVICE, property="last-error")
    lines = machine.errors.read_text(errors="replace").splitlines()
    logged = [line for line in lines if "xen-pvblk-backend: " in line and line.endswith(RULE)]
    traced = [line for line in lines if line.startswith("xen_pvblk_back_violation") and line.endswith(RULE)]
    if error != RULE or len(logged) != 1 or len(traced) != 1:
        raise machine.problem(f"last-error is '{error}', {len(logged)} lines are logged and {len(traced)} traced")
