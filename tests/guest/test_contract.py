# SPDX-License-Identifier: MIT
"""The contract by which a host has a guest use its disk: Linux's side in a guest, and the host's."""

import pytest

from pvblk import contract, guest, images, initramfs, kernel, xenguest

SIZE = 64 * images.MIB


class Script:
    """A line on which the guest says what the test wants; None: nothing more comes in time."""

    def __init__(self, *said):
        self.said, self.heard = list(said), []

    def read(self, deadline):
        said = self.said.pop(0) if self.said else None
        if said == "":
            raise TimeoutError
        return said

    def write(self, text):
        self.heard.append(text)


@pytest.mark.claim("command/contract-late", "an answer that comes too late belongs to the command that it answers")
def test_late():
    line = Script("PVBLK: ready ok 8", "noise", "PVBLK: note x", "", "PVBLK: error x", "PVBLK: ok")
    others = []
    host = contract.Contract(line, on_line=others.append)
    assert host.ready(1) == "ok 8"
    assert host.ask("flush", 1) is None
    with pytest.raises(contract.Broken, match="still owes an answer to 'flush'"):
        host.ask("size", 1)
    assert host.late(1) == "error x" and host.pending is None
    assert host.ask("size", 1) == "ok"
    assert others == ["noise", "PVBLK: note x"] and line.heard == ["flush", "size"]


@pytest.mark.claim("command/contract-{how}", "the host notices a guest that is gone, or that gives up")
@pytest.mark.parametrize(("how", "said", "sentence"), [("gone", None, "the guest is gone"),
                                                       ("failed", "PVBLK: FAILED x", "FAILED x")])
def test_gone(how, said, sentence):
    with pytest.raises(contract.Broken, match=sentence):
        contract.Contract(Script(said)).ready(1)


@pytest.mark.claim("xen/contract-{which.name}", "{which.title} does the commands of the contract, each as requests of its own "
                   "blkfront, and tells a wrong byte, an error and an unknown command apart")
@pytest.mark.needs("qemu", "guest-kernels")
@pytest.mark.parametrize("which", [kernel.CLOUD, kernel.DEBIAN12_PAE], ids=lambda which: which.name)
def test_linux(name, which):
    folder = images.folder(name)
    disk = images.raw(folder / "own.raw", SIZE)
    initrd = initramfs.contract(which).write(folder / "initrd")
    words = [*xenguest.ACCEL, "-m", "256", *guest.raw_disk("own", disk),
             "-device", f"{xenguest.OURS},id=own,drive=own,vdev=xvda", *guest.linux(initrd, xenguest.CLOCK, which)]
    expected = {"size": f"ok {SIZE // 512}", contract.write(8, 4096, 7): "ok", contract.read(8, 4096, 7): "ok",
                contract.read(8, 8, 9): "wrong sector 8 word 0: 0000000700000008 instead of 0000000900000008",
                "flush": "ok", "discard 8 16": "ok", contract.read(SIZE // 512, 8, 0): "error the disk ends too early",
                "dance 1 2": "unsupported"}
    with guest.Guest(name, words) as machine:
        host = contract.Contract(machine.control)
        answers = {"ready": host.ready(120), **{command: host.ask(command, 30) for command in expected}}
        written = disk.read_bytes()
        host.ask("end", 30)
        machine.power_off()
    assert answers == {"ready": f"ok {SIZE // 512}", **expected}
    assert written[24 * 512:4104 * 512] == contract.pattern(24, 4080, 7)
    assert written[8 * 512:24 * 512] == bytes(16 * 512)
