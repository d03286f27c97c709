# SPDX-License-Identifier: MIT
"""The suite's program in a guest, by hand: wrong vbds and disks, missing modules, and a user who is not root."""

from dataclasses import dataclass

import pytest

from pvblk import guest, images, subjects

EMPTY, DATA, SMALL, READ_ONLY, HUGE, NONE = 51712, 51728, 51744, 51760, 51776, 51792
# In the last sector: the suite has to look at all of it.
TEXT = b"a file system".ljust(512, b"\0")


@dataclass(frozen=True)
class OddDisks(subjects.Emulated):
    def disks(self, folder):
        words = []
        for name, letter, size in (("empty", "a", subjects.DISK), ("data", "b", subjects.DISK), ("small", "c", 256 * 1024),
                                   ("read-only", "d", subjects.DISK), ("huge", "e", 9 << 30)):
            image = images.raw(folder / f"{name}.raw", size)
            if name == "data":
                with open(image, "r+b") as file:
                    file.seek(size - len(TEXT))
                    file.write(TEXT)
            only = ",read-only=on" if name == "read-only" else ""
            words += ["-blockdev", f"driver=raw,node-name={name},file.driver=file,file.filename={guest.escaped(image)}{only}",
                      "-device", f"{self.device},drive={name},vdev=xvd{letter}"]
        return words, []


# Setuid, so that it runs as the user nobody.
AS_NOBODY = "cp /bin/blkif-conformance /tmp/nobody && chown 65534 /tmp/nobody && chmod 4755 /tmp/nobody && exec /tmp/nobody"
# Another suite, which is Connected while it waits for an operator that says nothing.
IN_USE = (f"sleep 60 | {subjects.PROGRAM} --vbd {HUGE} --allow-writes --operator hold -q event/spurious/in-flight >/dev/null & "
          "trap 'kill $!' EXIT; sleep 2;")
# Before it, words, the exit code, and a part of the one sentence.
BAD = [
    ("", f"--vbd {NONE}", 3, f"this domain has no vbd {NONE}: see `xenstore-ls device/vbd`"),
    ("", f"--vbd {DATA}", 3, f"the disk of device/vbd/{DATA} holds data"),
    ("", f"--vbd {SMALL}", 3, f"the disk of device/vbd/{SMALL} is too small: the suite needs 512 KiB"),
    ("", f"--vbd {HUGE}", 3, f"the disk of device/vbd/{HUGE} has more than 8 GiB"),
    (IN_USE, f"--vbd {HUGE}", 3, f"another frontend uses vbd {HUGE}, its state is Connected"),
    ("", f"--vbd {READ_ONLY}", 3, f"the disk of device/vbd/{READ_ONLY} is read-only: name a writable one first"),
    (AS_NOBODY, f"--vbd {EMPTY}", 3, "you may not open /dev/xen/xenbus: run this program as root"),
    ("rmmod xen_gntalloc;", f"--vbd {EMPTY}", 3, "there is no /dev/xen/gntalloc: run 'modprobe xen-gntalloc'"),
    ("rmmod xen_evtchn;", f"--vbd {EMPTY}", 3, "there is no /dev/xen/evtchn: run 'modprobe xen-evtchn'"),
    ("mv /dev/xen /dev/away;", f"--vbd {EMPTY}", 3, "there is no /dev/xen/xenbus"),
]
GOOD = f"{subjects.PROGRAM} --vbd {EMPTY} -q request/op/unknown-beyond-the-end"


@pytest.mark.claim("conformance/bad-vbds", "in a guest, a wrong vbd or disk, one in use, a missing module and missing rights get one "
                   "sentence and exit code 3; a disk that holds data keeps it")
@pytest.mark.needs(*subjects.XEN_DISK.steps)
def test_bad_vbds(name):
    machine, _ = OddDisks(name, "disks of a test", device=subjects.XEN_DISK.device).machine()
    with machine:
        expect(machine, GOOD, 0, "1 PASS", "vbd ")
        for before, words, code, part in BAD:
            program = "" if before.endswith("/tmp/nobody") else subjects.PROGRAM
            expect(machine, f"{before} {program} {words}", code, part, f"{subjects.PROGRAM}: ")
        machine.power_off()
    data = images.paths.GUEST / machine.name / "data.raw"
    if not data.read_bytes().endswith(TEXT) or data.read_bytes().count(0) < subjects.DISK - len(TEXT):
        raise machine.problem("the disk that holds data was written to")


def expect(machine, command, code, part, begin):
    status, lines = machine.run("sh", "-c", command, seconds=120)
    if status != code or len(lines) != 1 or not lines[0].startswith(begin) or part not in lines[0]:
        raise machine.problem(f"{command}: exit code {status} and {lines}, not {code} and '{part}'")
