# SPDX-License-Identifier: MIT
"""One boot of `pvblk try`: QEMU's words for it, and what is seen of the guest and of its frontend while it runs."""

import re
import time

from . import contract, guest, guesttools, images, initramfs, kernel, paths, triage, uefi, ui, xenguest

SIZE = 64 * images.MIB
KVM = ["-accel", "kvm,xen-version=0x40011,kernel-irqchip=split", "-cpu", "host"]
# For Linux: a console, an end at a panic, and no alarm because the host is busy.
APPEND = f"console=ttyS0 panic=-1 {xenguest.CLOCK} {xenguest.KEYS}"
# The judged disk.
DISK = "disk"
PATH = f"/machine/peripheral/{DISK}"
PROPERTIES = ("judgement", "plan", "counters", "fault-counters", "last-error")
# A guest that prints more is ended: it fills no disk.
MOST_CONSOLE = 16 * images.MIB
# Between two looks at a guest that does nothing for us.
LOOK_SECONDS = 0.25
# A crash prints more lines after its first one.
CRASH_SECONDS = 2
# Until a disk that is gone from the guest is gone from QEMU.
PLUG_SECONDS = 5
# Of QEMU's states: the guest ended, or QEMU cannot go on with it.
ENDED = ("shutdown", "guest-panicked", "internal-error", "io-error")


def arguments(wanted, folder, plan=None, append=""):
    """QEMU's words. `plan` is a file, or None for an honest backend; `append` more words for a Linux."""
    words = [*(KVM if wanted.accel == "kvm" else xenguest.ACCEL), "-m", wanted.memory, "-smp", wanted.cpus,
             # What the guest leaves at its end is still to be asked for.
             "-no-shutdown"]
    if wanted.image:
        words += _image(wanted, folder, None if wanted.scratch else plan)
    if wanted.kernel or wanted.scratch:
        words += guest.raw_disk(DISK, images.raw(folder / "disk.raw", SIZE))
        if wanted.backend.get("read-only"):
            words[-1] += ",read-only=on"
        if not wanted.hot:
            words += ["-device", _option(backend(wanted, plan))]
    if wanted.kernel:
        words += _kernel(wanted, folder, append)
    if wanted.uefi:
        words += uefi.arguments(folder)
    return [*words, *wanted.more]


def backend(wanted, plan=None, node=DISK):
    """Properties of the judging backend, as device_add takes them."""
    known = {"driver": xenguest.OURS, "id": DISK, "drive": node, "vdev": wanted.vdev, "judge": True}
    known.update((name, value) for name, value in wanted.backend.items() if name != "read-only")
    return {**known, "faults": str(plan)} if plan else known


def _option(properties):
    driver, *rest = ({True: "on", False: "off"}[value] if isinstance(value, bool) else guest.escaped(value)
                     for value in properties.values())
    return ",".join([driver, *(f"{name}={value}" for name, value in zip(list(properties)[1:], rest))])


def _kernel(wanted, folder, more):
    initrd, append = wanted.initrd, wanted.append
    if wanted.adds_initrd:
        initrd = _initrd(wanted.kernel).write(folder / "initrd")
        # For a disk that comes later, nobody has to wait.
        append = f"{append} seconds=0" if wanted.hot else append
    if wanted.linux:
        append = f"{APPEND} {append} {more}"
    return ["-kernel", wanted.kernel, *(["-initrd", initrd] if initrd else []),
            *(["-append", append.strip()] if append.strip() else [])]


def _initrd(image):
    which = kernel.Foreign(image)
    guesttools.ensure(which.architecture)
    return initramfs.contract(which)


def _image(wanted, folder, plan):
    """The image as xvda, and as an IDE disk for the firmware: a guest that knows xvda unplugs that one.

    By -drive: when a guest unplugs the disk of a -blockdev, QEMU crashes.
    """
    path = wanted.image
    if images.has_writer(path):
        raise ui.Usage(f"--image {path}: another QEMU writes to it; end that one, or give a copy")
    kind = wanted.format or images.format_of(path)
    if not wanted.write:
        path, kind = images.overlay(folder / "overlay.qcow2", path, kind), "qcow2"
    judged = {"driver": xenguest.OURS, "id": "image", "drive": "image", "vdev": "xvda"} if wanted.scratch else \
        backend(wanted, plan, "image")
    return ["-drive", f"if=none,id=ide,node-name=image,driver={kind},file.driver=file,"
            f"file.filename={guest.escaped(path)}",
            "-device", _option({**judged, "share-rw": True}), "-device", "ide-hd,drive=ide,bootindex=0,share-rw=on"]


# How a guest ended.
ENDED_ITSELF, FLOODED, CRASHED = "powered off or was reset", "flooded its console", "crashed"


class Ended(Exception):
    """The guest is over: it powered off, crashed, or was ended."""


class Machine(guest.Guest):
    """A guest that is watched. `crash` is what its console tells, `end` how it ended, `facts` what the backend says."""

    def __init__(self, name, words):
        super().__init__(name, words)
        self.facts, self.crash, self.end = {}, None, None
        # The words of a guest that ends its part of the contract.
        self.gave_up = None
        # A command had its answer only when the backend had become honest.
        self.waited = False
        self.contract, self.said_ready, self.seconds = None, None, 0.0
        self._honest = False
        # Where in the console the next search for a crash begins.
        self._searched, self._looked = 0, time.monotonic()

    def __enter__(self):
        super().__enter__()
        self.contract = contract.Contract(self.control)
        try:
            self.qmp("query-status")
        except ui.Problem:
            self.__exit__()
            raise ui.Usage(self._why_refused()) from None
        except BaseException:
            self.__exit__()
            raise
        return self

    def _why_refused(self):
        """QEMU's own sentence: about a plan, an image in use, words after `--`."""
        said = [line.partition("qemu-system-x86_64: ")[2] for line in ui.last_lines(self.errors, 2)]
        if any("Xen HVM guest support not present" in line for line in said):
            return "--accel kvm: this machine's KVM has no Xen support (CONFIG_KVM_XEN); leave --accel out"
        # Without the words that it is about, of which most are ours.
        sentence = re.sub(r"^-\S+ \S+: ", "", said[-1]) if said else ""
        return f"QEMU refuses to start: {sentence or f'see {paths.shown(self.errors)}'}"

    def look(self):
        """Notes what is new; Ended if the guest is over."""
        now = time.monotonic()
        status = self.qmp("query-status")["status"]
        if status == "running":
            # Time under a debugger does not count.
            self.seconds += now - self._looked
        self._looked = now
        self.ask_backend()
        if self._finds_crash() or status in ENDED:
            self._finish(status)
        if max(self.console.stat().st_size, self.control_log.stat().st_size) > MOST_CONSOLE:
            self.end = FLOODED
            raise Ended

    def ask_backend(self):
        """The last known facts stay, if the disk was unplugged."""
        try:
            known = {entry["name"] for entry in self.qmp("qom-list", path=PATH)}
            known -= {"fault-counters"} if self._honest else set()
            self.facts.update({name: self.qmp("qom-get", path=PATH, property=name) for name in PROPERTIES
                               if name in known})
        except ui.Problem:
            if self.process.poll() is not None:
                raise

    def _finds_crash(self):
        with open(self.console, "rb") as console:
            console.seek(self._searched)
            said = console.read(MOST_CONSOLE)
        # The last line may not be all there yet.
        self.crash = self.crash or triage.worst(said.decode(errors="replace"))
        if not self.crash:
            self._searched += said.rfind(b"\n") + 1
        return self.crash

    def _finish(self, status):
        if self.crash and status not in ENDED:
            time.sleep(CRASH_SECONDS)
        self.ask_backend()
        with open(self.console, "rb") as console:
            console.seek(self._searched)
            self.crash = triage.worst(console.read(MOST_CONSOLE).decode(errors="replace"))
        self.end = CRASHED if self.crash else {"shutdown": ENDED_ITSELF}.get(status, f"was stopped by QEMU ({status})")
        raise Ended

    def run(self, seconds, until=lambda: None):
        """Watches the guest, until `until` returns something, which is the result, or the time is over: None."""
        deadline = self.seconds + seconds
        while True:
            result = until()
            if result is not None:
                return result
            self.look()
            if self.seconds >= deadline:
                return None

    def await_ready(self, seconds):
        """What a guest that keeps the contract says first, or None."""
        self.said_ready = self.run(seconds, lambda: self.contract.ready(LOOK_SECONDS))
        return self.said_ready

    def ask(self, command, seconds):
        """A command of the contract; its answer, or None if there is none in time."""
        answer = self.contract.ask(command, LOOK_SECONDS)
        return answer if answer is not None else self.late(seconds)

    def late(self, seconds):
        return self.run(seconds, lambda: self.contract.late(LOOK_SECONDS))

    def plug(self, wanted, plan=None):
        self.facts, self._honest = {}, False
        deadline = time.monotonic() + PLUG_SECONDS
        while True:
            try:
                # Names of properties may have an underscore, which QMP's own never have.
                self.qmp_in_a_row(("device_add", backend(wanted, plan)))
                return
            except ui.Problem:
                # The node belongs to the disk before this one until QEMU has freed that.
                if time.monotonic() > deadline:
                    raise
                time.sleep(LOOK_SECONDS / 10)

    def unplug(self, seconds):
        """Whether the guest gave the disk up in time."""
        self.qmp("device_del", id=DISK)
        return self.run(seconds, lambda: True if not self.is_plugged() else time.sleep(0.02)) is not None

    def is_plugged(self):
        return any(entry["name"] == DISK for entry in self.qmp("qom-list", path="/machine/peripheral"))

    def wait_honestly(self, seconds):
        """The answer to a command that has none yet, by an honest backend; None if it does not come then, either."""
        self.make_honest()
        if not self.contract.pending:
            return None
        answer = self.late(seconds)
        self.waited = answer is not None
        return answer

    def make_honest(self):
        """Empties the plan; what it did stays in the facts."""
        self.ask_backend()
        self._honest = True
        if self.is_plugged():
            self.qmp("qom-set", path=PATH, property="fault-plan", value="")

    def found_xen(self):
        """Whether the guest ever set Xen's shared info page up."""
        for entry in self.qmp("qom-list", path="/machine/unattached"):
            if entry["type"] == "child<xen-overlay>":
                text = self.qmp("qom-get", path=f"/machine/unattached/{entry['name']}", property="shared-info")
                return "shared_info: 0x" in text
        return False

    def quit(self):
        self.qmp("quit")
        self.wait_end()
