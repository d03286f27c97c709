# SPDX-License-Identifier: MIT
"""The main job: a Linux guest that knows only virtio-blk uses two disks through the hosted blkfront."""

from . import guest, images, initramfs, paths, setup, ui

SIZE = 64 * images.MIB
GROWN = 96 * images.MIB
NODES = {"raw": "raw-node", "qcow2": "qcow2-node"}
# Name in the guest: our id.
HOSTED = {"vda": "raw", "vdb": "qcow2"}
OWN = {"xvda": "raw", "xvdb": "qcow2"}

# (what it is called, key) of the property `plan`.
PLAN_ROWS = (("ABI", "protocol"), ("ring pages", "ring-pages"), ("ring entries", "ring-entries"),
             ("segments a request", "max-segments"), ("sector size", "sector-size"),
             ("physical sector size", "physical-sector-size"), ("sectors", "sectors"),
             ("unit of sectors", "sector-units"), ("flush", "flush"), ("discard", "discard"),
             ("discard granularity", "discard-granularity"), ("read-only", "read-only"))
# ... and of `counters`.
COUNTER_ROWS = (("guest requests", "guest-requests"), ("ring reads", "ring-reads"), ("ring writes", "ring-writes"),
                ("ring flushes", "ring-flushes"), ("ring discards", "ring-discards"), ("segments", "segments"),
                ("bounced segments", "bounced-segments"), ("grants", "grants"), ("batches", "batches"),
                ("events sent", "events-sent"), ("events suppressed", "events-suppressed"),
                ("events received", "events-received"), ("bytes read", "bytes-read"),
                ("bytes written", "bytes-written"), ("bytes discarded", "bytes-discarded"))
# The comparison: (what it is called, key) of the guest's queue, and of QEMU's statistics.
QUEUE_ROWS = (("sectors", "sectors"), ("sector size", "logical_block_size"),
              ("physical sector size", "physical_block_size"), ("segments a request", "max_segments"),
              ("KiB a request", "max_sectors_kb"), ("discard granularity", "discard_granularity"),
              ("cache", "write_cache"), ("requests", "requests"), ("of these flushes", "flushes"),
              ("of these discards", "discards"))
# xen-block keeps no account of flushes and discards.
BACKEND_ROWS = (("reads", "rd_operations"), ("writes", "wr_operations"), ("bytes read", "rd_bytes"),
                ("bytes written", "wr_bytes"))
# What must have happened on each disk, and what must not have happened on any.
HAPPENED = {"vda": ("guest-requests", "ring-reads", "ring-writes", "ring-flushes", "grants", "events-sent"),
            "vdb": ("guest-requests", "ring-reads", "ring-writes", "ring-flushes", "ring-discards", "grants",
                    "events-sent")}
ABSENT = ("guest-errors", "errors", "unsupported", "violations", "quarantined")


def command(accel, xen, all_is_built):
    """`pvblk demo`: the exit status. Its last line says ok or why not."""
    try:
        ui.say("set-up")
        setup.ensure("qemu", "guest")
        all_is_built()
        ui.say("demo")
        hosted = run(accel)
        if xen:
            compare(hosted, run_xen())
    except ui.Problem as problem:
        ui.explain(problem)
        print(f"demo: FAILED: {problem}")
        return 1
    except KeyboardInterrupt:
        ui.clear_status()
        print("demo: FAILED: interrupted")
        return 1
    print("demo: ok")
    return 0


def run(accel="tcg", name="demo", say=ui.say):
    """The hosted disks' part; returns what was measured. Raises a Problem if anything is not as it should be."""
    machine_words = ["-machine", "pc,xen-emu=on", *guest.accelerator(accel)]
    disks = {disk: [f"xen-pvblk-pci,id={device},drive={NODES[device]},serial=pvblk-{device}"]
             for disk, device in HOSTED.items()}
    facts = {}

    def ask(machine):
        facts.update({disk: _read_properties(machine, device) for disk, device in HOSTED.items()})

    measured = _run(name, machine_words, HOSTED, disks, ["virtio_blk"], say,
                    "Linux" + (" under TCG" if accel == "tcg" else ""), ask)
    say("")
    for line in table(facts):
        say(line)
    say("")
    check(facts)
    return measured


def run_xen(name="demo-xen", say=ui.say):
    """The same by a Xen HVM guest under TCG, with Linux's own xen-blkfront; returns what was measured."""
    disks = {disk: [f"xen-disk,id={device},drive={NODES[device]},vdev={disk}"] for disk, device in OWN.items()}
    return _run(name, ["-accel", "tcg,xen-version=0x40011"], OWN, disks, ["xen_blkfront"], say,
                "Linux as a Xen guest under TCG")


def _run(name, machine_words, names, devices, modules, say, what, ask=lambda machine: None):
    """Boots the guest with a raw and a qcow2 disk, and checks the images afterwards; returns the measurements."""
    folder = images.folder(name)
    raw = images.raw(folder / "disk.raw", SIZE)
    qcow2 = images.qcow2(folder / "disk.qcow2", SIZE)
    first, second = names
    words = [*machine_words, "-m", "256", *_nodes(raw, qcow2)]
    for disk in names:
        words += ["-device", *devices[disk]]
    words += guest.linux(_initrd(folder, modules), f"first={first} second={second}")
    with guest.Guest(name, words) as machine:
        say(f"  guest: booting {what}")
        queues = _follow(machine, names, say)
        ask(machine)
        measured = _measure(machine, names, queues)
        machine.tell("poweroff")
        machine.power_off()
    say("  guest: powered off")
    say(f"  host: e2fsck -fn: {images.check_ext4(raw)}")
    say(f"  host: qemu-img check: {images.check_qcow2(qcow2)}")
    return measured


def _initrd(folder, modules):
    image = initramfs.linux("demo.sh", modules, ext4=True, libraries=["disk-lib.sh"])
    image.add_file("lib/pvblk/mixed.fio", paths.GUEST_SCRIPTS / "mixed.fio")
    return image.write(folder / "initrd")


def _nodes(raw, qcow2):
    return ["-blockdev", f"driver=file,node-name=raw-file,filename={guest.escaped(raw)},discard=unmap",
            "-blockdev", f"driver=raw,node-name={NODES['raw']},file=raw-file,discard=unmap",
            "-blockdev", f"driver=file,node-name=qcow2-file,filename={guest.escaped(qcow2)},discard=unmap",
            "-blockdev", f"driver=qcow2,node-name={NODES['qcow2']},file=qcow2-file,discard=unmap,detect-zeroes=off"]


def _follow(machine, names, say):
    """Shows what the guest reports, and resizes when it asks; returns what it says of its queues."""
    queues = {}

    def on_mark(text):
        word, _, rest = text.partition(" ")
        if word == "step":
            say(f"  guest: {rest}")
        elif word == "resize":
            machine.qmp("block_resize", node_name=NODES[names[rest]], size=GROWN)
        elif word == "queue":
            disk, *values = rest.split()
            queues[disk] = dict(value.split("=", 1) for value in values)

    machine.wait_for("finished", 300, on_mark)
    return queues


def _measure(machine, names, queues):
    """For each disk, what the guest sees and what arrived at the backend."""
    stats = {entry["node-name"]: entry["stats"] for entry in machine.qmp("query-blockstats") if entry.get("node-name")}
    measured = {}
    for disk, device in names.items():
        if disk not in queues or NODES[device] not in stats:
            raise machine.problem(f"{disk}: the guest did not report this disk, or QEMU has no statistics of it")
        seen = {key: int(value) if value.isdigit() else value for key, value in queues[disk].items()}
        measured[disk] = {**seen, **stats[NODES[device]]}
    return measured


def compare(hosted, own):
    """The hosted frontend and Linux's own, side by side: what each made of the same backend for the same work."""
    disks = {**hosted, **own}
    say = ui.say
    rows = [("", *(f"{disk} ({(HOSTED | OWN)[disk]})" for disk in disks)),
            ("", *("hosted" if disk in hosted else "xen-blkfront" for disk in disks))]
    for title, keys in (("as Linux sees it", QUEUE_ROWS), ("at the backend", BACKEND_ROWS)):
        rows.append((title, *("" for _ in disks)))
        rows += [("  " + label, *(shown(disks[disk][key]) for disk in disks)) for label, key in keys]
    for label, key in (("read", "rd"), ("write", "wr")):
        rows.append((f"  mean {label}", *(microseconds(disks[disk][f"{key}_total_time_ns"]
                                                       / max(disks[disk][f"{key}_operations"], 1)) for disk in disks)))
    say("")
    for line in aligned(rows):
        say(line)
    say("")
    for disk, facts in own.items():
        for key in ("rd_operations", "wr_operations", "flushes", "discards"):
            if not facts[key]:
                raise ui.Problem(f"{disk}: {key} is 0, so the guest's requests did not come this way")
        if facts["sectors"] != GROWN // 512:
            raise ui.Problem(f"{disk}: Linux sees {facts['sectors']} sectors after it grew to {GROWN // 512}")


def _read_properties(machine, device):
    """plan and counters of a device, in one dictionary."""
    path = f"/machine/peripheral/{device}"
    facts = {}
    for name in ("plan", "counters"):
        value = machine.qmp("qom-get", path=path, property=name)
        if not isinstance(value, dict):
            raise ui.Problem(f"device {device}: property {name} is not a structure: {value!r}")
        facts.update(value)
    needed = [key for _, key in (*PLAN_ROWS, *COUNTER_ROWS)]
    needed += [*ABSENT, "latency-ns-total", "latency-ns-max", "responses"]
    absent = [key for key in needed if key not in facts]
    if absent:
        raise ui.Problem(f"device {device}: the properties plan and counters lack {', '.join(absent)}")
    return facts


def shown(value):
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return str(value)


def microseconds(nanoseconds):
    return f"{nanoseconds / 1000:,.0f} us"


def table(facts):
    """The two hosted disks side by side."""
    rows = [("", *(f"{disk} ({HOSTED[disk]})" for disk in facts))]
    for title, keys in (("negotiated plan", PLAN_ROWS), ("counters", COUNTER_ROWS)):
        rows.append((title, *("" for _ in facts)))
        rows += [("  " + label, *(shown(facts[disk][key]) for disk in facts)) for label, key in keys]
    rows.append(("  mean latency", *(microseconds(facts[disk]["latency-ns-total"] / max(facts[disk]["responses"], 1))
                                     for disk in facts)))
    rows.append(("  longest latency", *(microseconds(facts[disk]["latency-ns-max"]) for disk in facts)))
    return aligned(rows)


def aligned(rows):
    """Lines of a table: the first column to the left, the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  " + "  ".join([f"{row[0]:<{widths[0]}}"] + [f"{cell:>{width}}" for cell, width
                                                           in zip(row[1:], widths[1:])]).rstrip() for row in rows]


def check(facts):
    """The counters must tell the same story as the guest."""
    for disk, keys in HAPPENED.items():
        for key in keys:
            if not facts[disk][key]:
                raise ui.Problem(f"{disk}: the counter {key} is 0, so the guest's requests did not come this way")
        if facts[disk]["sectors"] != GROWN // 512:
            raise ui.Problem(f"{disk}: the plan says {facts[disk]['sectors']} sectors after it grew to {GROWN // 512}")
        for key in ABSENT:
            if facts[disk][key]:
                raise ui.Problem(f"{disk}: the counter {key} is {facts[disk][key]}, but should be 0")
