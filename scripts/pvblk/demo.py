# SPDX-License-Identifier: MIT
"""The main job: a Linux guest that knows only virtio-blk uses two disks through the hosted blkfront."""

import guest
import images
import initramfs
import paths
import setup
import ui

SIZE = 64 * images.MIB
GROWN = 96 * images.MIB
NODES = {"vda": "raw-node", "vdb": "qcow2-node"}
DEVICES = {"vda": "raw", "vdb": "qcow2"}
MODULES = ["drivers/block/virtio_blk"]

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
# What must have happened on each disk, and what must not have happened on any.
HAPPENED = {"vda": ("guest-requests", "ring-reads", "ring-writes", "ring-flushes", "grants", "events-sent"),
            "vdb": ("guest-requests", "ring-reads", "ring-writes", "ring-flushes", "ring-discards", "grants",
                    "events-sent")}
ABSENT = ("guest-errors", "errors", "unsupported", "violations", "quarantined")


def command(accel):
    """`pvblk demo`: the exit status. Its last line says ok or why not."""
    try:
        ui.say("set-up")
        setup.ensure("qemu", "guest")
        ui.say("demo")
        run(accel)
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
    """All of the demo once; raises a Problem if anything is not as it should be."""
    folder = images.folder(name)
    raw = images.raw(folder / "disk.raw", SIZE)
    qcow2 = images.qcow2(folder / "disk.qcow2", SIZE)
    initrd = _initrd(folder)
    with guest.Guest(name, arguments(accel, raw, qcow2, initrd)) as machine:
        say("  guest: booting Linux" + (" under TCG" if accel == "tcg" else ""))
        _follow(machine, say)
        facts = {disk: _read_properties(machine, DEVICES[disk]) for disk in DEVICES}
        machine.tell("poweroff")
        status = machine.wait_end()
        if status:
            raise machine.problem(f"QEMU ended with status {status} at power-off")
    say("  guest: powered off")
    say(f"  host: e2fsck -fn: {images.check_ext4(raw)}")
    say(f"  host: qemu-img check: {images.check_qcow2(qcow2)}")
    say("")
    for line in table(facts):
        say(line)
    say("")
    check(facts)


def _initrd(folder):
    image = initramfs.linux("demo.sh", MODULES, ext4=True)
    image.add_file("lib/pvblk/demo.fio", paths.GUEST_SCRIPTS / "demo.fio")
    return image.write(folder / "initrd")


def arguments(accel, raw, qcow2, initrd):
    """QEMU's command line: two nodes, a device of ours on each."""
    machine = ["-machine", "pc,xen-emu=on", *guest.accelerator(accel), "-m", "256"]
    disks = ["-blockdev", f"driver=file,node-name=raw-file,filename={guest.escaped(raw)},discard=unmap",
             "-blockdev", f"driver=raw,node-name={NODES['vda']},file=raw-file,discard=unmap",
             "-blockdev", f"driver=file,node-name=qcow2-file,filename={guest.escaped(qcow2)},discard=unmap",
             "-blockdev", f"driver=qcow2,node-name={NODES['vdb']},file=qcow2-file,discard=unmap,detect-zeroes=off"]
    for disk, device in DEVICES.items():
        disks += ["-device", f"xen-pvblk-pci,id={device},drive={NODES[disk]},serial=pvblk-{device}"]
    return [*machine, *disks, *guest.linux(initrd)]


def _follow(machine, say):
    """Shows what the guest reports, and resizes when it asks."""
    def on_mark(text):
        word, _, rest = text.partition(" ")
        if word == "step":
            say(f"  guest: {rest}")
        elif word == "resize":
            machine.qmp("block_resize", node_name=NODES[rest], size=GROWN)

    machine.wait_for("finished", 300, on_mark)


def _read_properties(machine, device):
    """plan and counters of a device, in one dictionary."""
    path = f"/machine/peripheral/{device}"
    facts = {}
    for name in ("plan", "counters"):
        value = machine.qmp("qom-get", path=path, property=name)
        if not isinstance(value, dict):
            raise ui.Problem(f"device {device}: property {name} is no structure: {value!r}")
        facts.update(value)
    needed = [key for _, key in (*PLAN_ROWS, *COUNTER_ROWS)]
    needed += [*ABSENT, "latency-ns-total", "latency-ns-max", "responses"]
    absent = [key for key in needed if key not in facts]
    if absent:
        raise ui.Problem(f"device {device}: its properties plan and counters lack {', '.join(absent)}")
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
    """The two disks side by side."""
    rows = [("", "vda (raw)", "vdb (qcow2)")]
    for title, keys in (("negotiated plan", PLAN_ROWS), ("counters", COUNTER_ROWS)):
        rows.append((title, "", ""))
        rows += [("  " + label, *(shown(facts[disk][key]) for disk in DEVICES)) for label, key in keys]
    rows.append(("  mean latency", *(microseconds(facts[disk]["latency-ns-total"] / max(facts[disk]["responses"], 1))
                                     for disk in DEVICES)))
    rows.append(("  longest latency", *(microseconds(facts[disk]["latency-ns-max"]) for disk in DEVICES)))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return [f"  {row[0]:<{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:>{widths[2]}}".rstrip() for row in rows]


def check(facts):
    """The counters must tell the same story as the guest."""
    for disk, keys in HAPPENED.items():
        for key in keys:
            if not facts[disk][key]:
                raise ui.Problem(f"{disk}: the counter {key} is 0, so what the guest did went another way")
        if facts[disk]["sectors"] != GROWN // 512:
            raise ui.Problem(f"{disk}: the plan says {facts[disk]['sectors']} sectors after it grew to {GROWN // 512}")
        for key in ABSENT:
            if facts[disk][key]:
                raise ui.Problem(f"{disk}: the counter {key} is {facts[disk][key]}, it should be 0")
