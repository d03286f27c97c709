# SPDX-License-Identifier: MIT
"""Frontends in guests that nobody drives: whatever such a guest does at boot is judged. Each scenario has a boot."""

import hashlib
import json
import re
import time
from dataclasses import dataclass

from . import freestanding, frontplay, grub, guest, images, paths, ui, xenguest
from .pluggedback import BACKEND, Gone, Plugged
from .scenarios import config_of, read_only
from .version import ours

# For a guest that says nothing: then the backend behaves, and the guest has its own `patience`.
QUIET = 10


@dataclass
class Word:
    """A guest's word about its disk: `kind` is ok, wrong, errors or died."""

    kind: str
    text: str = ""


class PassivePlay:
    """One scenario, from boot to end."""

    def __init__(self, subject, scenario, folder):
        self.subject, self.scenario, self.folder = subject, scenario, folder
        self.facts = {"id": scenario["id"]}
        self.plan = folder / "plan"

    def run(self):
        begin = time.monotonic()
        why = self.subject.lacks(self.scenario)
        if why:
            self.facts["skip"] = why
        else:
            try:
                with self.subject.machine(self.folder, self._backend()) as machine:
                    # The session begins before the guest can end: the event of its end is no greeting.
                    machine.qmp("query-status")
                    back = Plugged(machine, self.folder)
                    self._watch(machine, back)
                    self._judge(back)
            except Gone:
                self.facts["skip"] = "the backend has gone, and with it what it saw of the frontend"
            except ui.Problem as problem:
                self.facts["trouble"] = str(problem)[:300]
        self.facts["ms"] = int(1000 * (time.monotonic() - begin))
        return self.facts

    def _backend(self):
        """As a driver of `-device`, with options."""
        self.plan.write_text(self.scenario["plan"] + "\n")
        options = [word for word in self.scenario["config"].split(",") if word and not word.startswith("read-only=")]
        fixed = read_only(config_of(self.scenario))
        return ",".join([f"{xenguest.OURS},id={BACKEND},drive={'fixed' if fixed else 'disk'},vdev=xvda,judge=on",
                         f"faults={guest.escaped(self.plan)}", *options])

    def _watch(self, machine, back):
        word = self.subject.listen(machine, QUIET if self.scenario["plan"] else self.subject.patience)
        if not word and self.scenario["plan"]:
            self._count_faults(back)
            back.make_honest()
            word = self.subject.listen(machine, self.subject.patience)
            self.facts["waited"] = bool(word and word.kind == "ok")
        if not word:
            self.facts["hung"] = True
        elif word.kind == "died":
            self.facts["died"] = word.text
        else:
            self.facts[word.kind] = 1
            if word.text:
                self.facts["said"] = word.text

    def _count_faults(self, back):
        self.facts["fired"] = max(self.facts.get("fired", 0), back.faults())

    def _judge(self, back):
        judgement = back.judgement()
        self._count_faults(back)
        state = judgement["frontend-state"]
        # GRUB never says Connected, and is served all the same.
        self.facts["connected"] = judgement["connections"] > 0 or \
            back.requests() > 0
        if self.facts.get("ok") and self.subject.closes:
            self.facts["closed"] = state in ("Closed", "Unknown", "Initialising")
            self.facts["grants-left"] = judgement["grants-left"]
        self.facts["judgement"] = {name: text for name, text in judgement.items()
                                   if isinstance(text, str) and name not in frontplay.Play.not_seen}


def common(machine_words):
    """A guest that ends stays, so that its backend can be asked."""
    return [*xenguest.ACCEL, *machine_words, "-action", "shutdown=pause"]


class Mini:
    """mini-blkfront: it writes, reads back and closes."""

    closes = writes = True
    version = staticmethod(ours)
    patience = 40  # it gives up after 30 s

    def lacks(self, scenario):
        if scenario["act"]:
            return "nobody is there to change the disk in time"
        if any(word in scenario["config"] for word in ("logical_block_size", "read-only", "cdrom")):
            return "mini-blkfront wants a disk of 512-byte sectors that it may write"
        return ""

    def prepare(self, folder):
        pass

    def machine(self, folder, driver):
        disk = frontplay.make_disk(folder / "disk.raw", False)
        return guest.Guest(folder.name, common(
            ["-smp", "1", "-m", "64", "-kernel", freestanding.build("mini-blkfront"), "-append", "upcall=vector",
             *guest.raw_disk("disk", disk), "-device", driver]))

    def listen(self, machine, seconds):
        deadline = time.monotonic() + seconds
        while True:
            try:
                line = machine.control.read(deadline)
            except TimeoutError:
                return None
            if line is None:
                return Word("died", "QEMU ended")
            said = line.removeprefix(guest.MARK)
            if said == "finished":
                return Word("ok")
            if said.startswith("FAILED"):
                return self._of_failure(said.removeprefix("FAILED").strip())

    def _of_failure(self, text):
        if text.startswith("exception"):
            return Word("died", text)
        wrong = text.startswith(("what was read", "a read into", "code of round", "the old code"))
        return Word("wrong" if wrong else "errors", text)


class Grub:
    """GRUB's xendisk: it reads, and never writes. It looks for its configuration on the disk."""

    closes = writes = False
    version = grub.TRIXIE.version
    patience = 15
    data = b"".join(hashlib.sha256(bytes([i & 255, i >> 8])).digest() for i in range(16384))

    def lacks(self, scenario):
        return "nobody is there to change the disk in time" if scenario["act"] else ""

    def prepare(self, folder):
        config = "md5sum /data\necho finished\n"
        grub.ext4(folder / "disk.raw", 16 * images.MIB, images.folder(f"{folder.name}/tree"),
                  {"boot/grub/grub.cfg": config.encode(), "data": self.data})

    def machine(self, folder, driver):
        self.console = paths.LOGS / f"{folder.name}.grub.log"
        self.console.unlink(missing_ok=True)
        return guest.Guest(folder.name, common(
            ["-m", "512", "-kernel", grub.TRIXIE.image, "-chardev", f"file,id=grub,path={guest.escaped(self.console)}",
             "-device", "xen-console,chardev=grub", *guest.raw_disk("disk", folder / "disk.raw"),
             "-blockdev", "driver=raw,node-name=fixed,file=disk,read-only=on", "-device", driver]))

    def listen(self, machine, seconds):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if machine.process.poll() is not None:
                return Word("died", "QEMU ended")
            text = self.console.read_text(errors="replace") if self.console.exists() else ""
            # The command has no echo; a prompt comes where GRUB found no configuration, or after it.
            if "finished" in text or "grub>" in text or "grub rescue>" in text:
                return self._of_console(text)
            time.sleep(0.2)
        return None

    def _of_console(self, text):
        # While it looks for its configuration, GRUB has errors on a good disk, too.
        errors = [line.strip()[:200] for line in text.splitlines() if "error:" in line]
        sums = re.findall(r"([0-9a-f]{32})  /data", text)
        if "finished" not in text or not sums:
            return Word("errors", errors[-1] if errors else "it finds no configuration on the disk")
        return Word("ok" if sums == [hashlib.md5(self.data).hexdigest()] else "wrong")


def facts_of(which, scenarios, folder, on_result):
    """One after the other."""
    which.prepare(folder)
    facts = []
    for scenario in scenarios:
        facts.append(PassivePlay(which, scenario, folder).run())
        on_result(json.dumps(facts[-1]))
    return facts
