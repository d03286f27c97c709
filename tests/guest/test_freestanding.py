# SPDX-License-Identifier: MIT
"""Guests without an operating system: mini-blkfront, one that asks for what must be refused, and one that is hostile."""

import re
import time

import pytest

from pvblk import freestanding, guest, images, nested, paths, qemu, ui, xenguest

UPCALLS = {"vector": "each vCPU's own upcall vector", "callback": "the callback vector", "gsi": "a GSI",
           "intx": "PCI INTx"}
# How mini-blkfront runs.
WAYS = {"pc": [*xenguest.ACCEL, "-smp", "1"],
        "q35-single": ["-machine", "q35", "-accel", "tcg,xen-version=0x40011,thread=single", "-smp", "2"],
        "icount": [*xenguest.ACCEL, "-smp", "1", "-icount", "shift=auto"]}
# Of a read-only disk.
CDROMS = {xenguest.QEMUS: "xen-cdrom", xenguest.OURS: f"{xenguest.OURS},cdrom=on"}
# Bytes of memory whose checksum takes the monitor longer than the guest needs to react: a third of a second. The guest
# has to get its share of the machine meanwhile, so nothing runs beside it.
LONG_SUM = 16 << 20
BUSY = ("human-monitor-command", {"command-line": f"sum 0 {LONG_SUM}"})
# The hostile guest: seeds 1, 2, 3 … for so long in all, each for a few seconds.
FUZZ_SECONDS = 45
SEED_SECONDS = 5
# Which frontends it can be, by the seed. xen-disk has one queue.
SHAPES = {xenguest.QEMUS: ("", "calm pages=2"),
          xenguest.OURS: ("", "calm", "queues=2", "calm queues=2 pages=2")}
# Until a guest that goes on for SEED_SECONDS is taken to be stuck: sanitizers are slow.
PATIENCE = 25
# Of the sanitizers. QEMU leaks at its end, which is nobody's fault; that it grows meanwhile would be the guest's.
# The quarantine is of small pieces, and its own tables would be most of it.
SANITIZERS = {"ASAN_OPTIONS": "detect_leaks=0:hard_rss_limit_mb=2000:quarantine_size_mb=32",
              "UBSAN_OPTIONS": "print_stacktrace=1"}
COMPLAINTS = ("runtime error:", "ERROR: AddressSanitizer", "hard rss limit")

with_backends = pytest.mark.parametrize(("suffix", "backend"), xenguest.BACKENDS.items(), ids=xenguest.BACKENDS)


def arguments(name, image, options, backend):
    """QEMU's words, all but the accelerator: one disk for the guest, whose image is made anew."""
    disk = images.raw(images.folder(name) / "own.raw", nested.SIZE)
    return ["-m", "64", "-kernel", image, "-append", options, *guest.raw_disk("own", disk),
            "-device", f"{backend},id=own,drive=own,vdev=xvda"]


@pytest.mark.claim("xen/mini-{upcall}-{way}{suffix}", "mini-blkfront, a frontend without an operating system, on {way} and "
                   "{backend}; events by {claim}")
@pytest.mark.needs("qemu", "firmware", "freestanding")
@with_backends
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("upcall", "claim"), UPCALLS.items(), ids=UPCALLS)
def test_mini(name, upcall, claim, way, suffix, backend):
    """mini-blkfront connects, writes, reads back, runs code that it read, closes, and powers off. It tests timers once."""
    options = f"upcall={upcall}" + (" timers" if backend == xenguest.QEMUS else "")
    words = [*WAYS[way], *arguments(name, freestanding.build("mini-blkfront"), options, backend)]
    with guest.Guest(name, words) as machine:
        machine.wait_for("finished", 60)
        machine.power_off()
    said = machine.console.read_text(errors="replace")
    for line in (f"upcall={upcall}: ok", "wrote and read back 704 sectors: ok", "and ran it: ok"):
        if line not in said:
            raise machine.problem(f"mini-blkfront does not say '{line}'")


@pytest.mark.claim("xen/refusals-{way}{suffix}", "a guest or a frontend of {backend} that breaks the rules is refused, and "
                   "harms nobody; {way}")
@pytest.mark.needs("qemu", "firmware", "freestanding")
@pytest.mark.alone
@with_backends
@pytest.mark.parametrize("way", WAYS)
def test_refusals(name, way, suffix, backend):
    """What the emulation and the block backend must refuse, one check after the other."""
    words = [*WAYS[way], *arguments(name, freestanding.build("refusals"), "", backend)]
    # Its image may be written to, for it is the device that is read-only.
    cdrom = images.raw(images.folder(f"{name}-cdrom") / "cdrom.raw", nested.SIZE)
    # It is slow, so that requests can be caught at the disk.
    words += [*guest.raw_disk("cdrom", cdrom), "-object", "throttle-group,id=slow,x-iops-total=5",
              "-blockdev", "driver=throttle,node-name=slow-cdrom,throttle-group=slow,file=cdrom",
              "-device", f"{CDROMS[backend]},drive=slow-cdrom,vdev=xvdb"]
    late = images.raw(images.folder(f"{name}-late") / "late.raw", nested.SIZE)
    # The size is said, for a frontend that comes too early is refused for another reason while it is unknown.
    words += [*guest.raw_disk("late", late), "-global", f"{backend}.logical_block_size=512"]
    leaving = images.raw(images.folder(f"{name}-leaving") / "leaving.raw", nested.SIZE)
    words += [*guest.raw_disk("leaving", leaving), "-blockdev",
              "driver=throttle,node-name=slow-leaving,throttle-group=slow,file=leaving"]
    # Whoever waits for its requests waits for a second: a drained node is not throttled, but this one stays slow.
    words += ["-blockdev", f"driver=null-co,node-name=lazy,size={nested.SIZE},latency-ns=1000000000,read-zeroes=on",
              "-device", "xen-disk,drive=lazy,vdev=xvde",
              "-blockdev", f"driver=null-co,node-name=spare,size={nested.SIZE},read-zeroes=on"]
    by_console_io = paths.LOGS / f"{name}.console-io.log"
    words += ["-chardev", f"file,id=by-console-io,path={guest.escaped(by_console_io)}",
              "-device", "xen-console-io,chardev=by-console-io"]
    with guest.Guest(name, words) as machine:
        machine.wait_for("finished", 120, lambda text: plug(machine, text, backend))
        machine.power_off()
    if by_console_io.read_text() != "refusals says this by console_io\n":
        raise ui.Problem(f"{name}: what the guest printed by console_io is not in its file", by_console_io)
    done = re.search(r"^refusals: (\d+) checks: ok\s*$", machine.console.read_text(errors="replace"), re.MULTILINE)
    if not done or not int(done.group(1)):
        raise machine.problem("refusals does not say how many checks were ok")


def plug(machine, asked, backend):
    """The operator's part."""
    if asked == "hotplug":
        machine.qmp("device_add", driver=backend, id="late", drive="late", vdev="xvdc")
    elif asked == "plug":
        machine.qmp("device_add", driver=backend, id="leaving", drive="slow-leaving", vdev="xvdd")
    elif asked == "stop":
        expect_untouched_while_stopped(machine)
    elif asked == "unplug":
        # What the guest does while QEMU is at the first comes together with the second.
        machine.qmp_in_a_row(BUSY, ("device_del", {"id": "leaving"}))
        machine.wait_event("DEVICE_DELETED")


def expect_untouched_while_stopped(machine):
    """XenStore's ring is the guest's memory. While the VM is stopped, not even a new disk changes it."""
    ring = ("human-monitor-command", {"command-line": f"xp /1024xw {guest.XENSTORE_PAGE:#x}"})
    _, before = machine.qmp_in_a_row(("stop", {}), ring)
    machine.qmp("device_add", driver="xen-disk", id="added", drive="spare", vdev="xvdf")
    time.sleep(0.1)  # there is no event for what does not happen
    after = machine.qmp_in_a_row(ring)[0]
    if before != after:
        changed = [lines for lines in zip(before.splitlines(), after.splitlines()) if lines[0] != lines[1]]
        raise machine.problem(f"XenStore's ring changed while the VM was stopped: {changed[-1]}")
    machine.qmp("cont")
    machine.qmp("device_del", id="added")
    machine.wait_event("DEVICE_DELETED")
    machine.tell("")  # one byte


@pytest.mark.claim("xen/fuzz{suffix}", "random and near-valid hypercalls on two vCPUs, and requests to {backend}, for "
                   "three quarters of a minute; QEMU, with ASan and UBSan, survives")
@pytest.mark.needs("qemu-asan", "firmware", "freestanding")
@with_backends
def test_fuzz(name, suffix, backend):
    """The hostile guest, with one seed after the other, on the QEMU that sanitizers watch.

    It may break itself: what it asks for can put a page of Xen's over its own code. QEMU has to go on in any case.
    """
    image = freestanding.build("fuzz")
    log = paths.LOGS / f"{name}.log"
    begin, seed, ended, counted, reached = time.monotonic(), 0, 0, [0, 0], {}

    def passed():
        return time.monotonic() - begin

    def enough():
        return bool(ended and all(counted) and reached and all(reached.values()))

    with open(log, "w") as out:
        # On a busy machine a guest gets little done.
        while passed() < FUZZ_SECONDS or (not enough() and passed() < 3 * FUZZ_SECONDS):
            seed += 1
            said, here = fuzz_once(name, image, seed, backend)
            out.write(f"seed {seed}: {said}; {here}\n")
            reached = {what: reached.get(what, 0) + number for what, number in here.items()}
            done = re.search(r": (\d+) calls, (\d+) ring-3 calls refused, .* ok$", said)
            if done:
                ended += 1
                counted = [total + int(number) for total, number in zip(counted, done.groups())]
        out.write(f"{seed} seeds, {ended} came to their end, with {counted[0]} calls, {counted[1]} refused in ring 3\n"
                  f"{backend}: {reached}\n")
    if not enough():
        raise ui.Problem(f"{ended} of {seed} hostile guests came to their end, and reached this of {backend}: {reached}",
                         log)


def fuzz_once(name, image, seed, backend):
    """One guest: its last line, and how much of it reached the backend. A Problem if QEMU did not survive it, or let
    ring 3 call."""
    shapes = SHAPES[backend]
    options = f"seed={seed} seconds={SEED_SECONDS} {shapes[seed % len(shapes)]}"
    words = [*xenguest.ACCEL, "-smp", "2", "-no-shutdown", *arguments(name, image, options, backend),
             "-chardev", "null,id=by-console-io", "-device", "xen-console-io,chardev=by-console-io"]
    with guest.Guest(name, words, program=qemu.SANITIZED, environment=SANITIZERS) as machine:
        try:
            try:
                machine.wait_event("SHUTDOWN", SEED_SECONDS + PATIENCE)
            except ui.Problem:
                # Stuck, or lost in what it did to itself. QEMU must still do as it is told.
                pass
            reached = work(machine, backend)
            machine.qmp("quit", seconds=PATIENCE)
            machine.power_off()
        finally:
            look_for_complaints(machine)
        said = machine.console.read_text(errors="replace")
        if "from ring 3 gave" in said:
            raise machine.problem("a hypercall from ring 3 was not refused")
        return (said.splitlines() or ["nothing"])[-1], reached


def work(machine, backend):
    """What the backend did for the guest, and what it refused."""
    if backend == xenguest.OURS:
        counters = machine.qmp("qom-get", seconds=PATIENCE, path="/machine/peripheral/own", property="counters")
        wanted = ("connects", "connect-failures", "responses", "refused", "indirect", "map-failures", "persistent-hits",
                  "bytes-read", "bytes-written")
        return {what: counters[what] for what in wanted}
    stats, = [entry["stats"] for entry in machine.qmp("query-blockstats", seconds=PATIENCE)
              if entry.get("qdev", "").endswith("own")]
    # xen-block counts no others.
    return {what: stats[what] for what in ("rd_operations", "wr_operations")}


def look_for_complaints(machine):
    """What the sanitizers said counts for more than how it ended."""
    for line in machine.errors.read_text(errors="replace").splitlines():
        if any(complaint in line for complaint in COMPLAINTS):
            raise ui.Problem(f"{machine.name}: {line.strip()[:200]}", machine.errors)
