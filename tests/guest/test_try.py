# SPDX-License-Identifier: MIT
"""`./pvblk try`: a guest's frontend gets its verdict, its exit status and a sentence, whatever the guest does."""

import hashlib
import os
import subprocess
from types import SimpleNamespace

import pytest

from pvblk import contract, freestanding, grubdisk, images, initramfs, kernel, paths, qemu, triage, tryguest, trymachine, tryseeds, \
    tryverdict, trywords, ui

LINUX = str(kernel.CLOUD.image)
PATIENCE = ["--seconds", 400]
# tests/guest/try-image.sh writes it here.
WRITTEN_AT, WRITTEN = 700 << 16, b"PVBLK\n"
ENOUGH = {"kept": ("ring:req-prod", "ring:init", "blkif:gref", "xenbus:state"), "contract": ("28 commands ok",)}

linux_guest = pytest.mark.needs("qemu", "guest")


@pytest.fixture
def tried(name, capsys):
    """Runs the command; (exit status, output)."""
    def run(*words):
        # On a busy machine, a guest takes ten times as long.
        words = [str(word) for word in (*words[:2], *PATIENCE[:2 if len(words) > 1 else 0], *words[2:])]
        try:
            status = tryguest.command(words, name=name)
        except ui.Problem as problem:
            print(problem)
            status = problem.status
        return status, capsys.readouterr().out
    return run


def last_line(said):
    return said.splitlines()[-1]


def initrd(folder, script):
    return initramfs.linux(script, ["xen_blkfront"], fio=False).write(folder / "initrd")


@pytest.mark.claim("xen/try-linux", "./pvblk try: Linux keeps all clauses, does all commands of the contract, and its data is on "
                   "the disk")
@linux_guest
def test_linux(tried):
    status, said = tried("--kernel", LINUX)
    assert status == 0, said
    assert last_line(said).startswith("try: the frontend kept ") and "BROKEN" not in said
    assert all(word in said for words in ENOUGH.values() for word in words), said


@pytest.mark.claim("xen/try-elf", "./pvblk try: mini-blkfront, an ELF file, is judged by the I/O that it does by itself")
@pytest.mark.needs("qemu", "firmware", "freestanding")
def test_elf(tried):
    status, said = tried("--kernel", freestanding.build("mini-blkfront"))
    assert status in (0, 1) and "requests 50, responses 50" in said, said
    assert "the guest does not keep it" in said


@pytest.mark.claim("xen/try-image-{firmware}", "./pvblk try: an image boots by {firmware}, and its disk is the judged xvda alone; "
                   "the image's file stays as it was")
@pytest.mark.needs("qemu", "guest", "uefi", "grub-disk")
@pytest.mark.parametrize("firmware", ["SeaBIOS", "OVMF"])
def test_image(name, tried, firmware):
    folder = images.folder(f"{name}-image")
    image = grubdisk.make(folder / "disk.raw", kernel.CLOUD.image, initrd(folder, "try-image.sh"), "console=ttyS0 quiet")
    before = hashlib.md5(image.read_bytes()).digest()
    # With SeaBIOS, --write is tried as well: there the image changes.
    writes = firmware == "SeaBIOS"
    status, said = tried("--image", image, *(["--write"] if writes else ["--uefi"]), "--memory", "768")
    assert status == 0 and "powered off" in said, said
    assert "bytes-written 1048576" in said, said
    with open(image, "rb") as file:
        file.seek(WRITTEN_AT)
        assert (file.read(len(WRITTEN)) == WRITTEN) == writes
    assert (hashlib.md5(image.read_bytes()).digest() == before) != writes


@pytest.mark.claim("xen/try-{does}", "./pvblk try: a guest that {claim} is ended, and the sentence and the exit status say so")
@linux_guest
@pytest.mark.parametrize(("does", "claim", "status", "sentence"), [
    ("crash", "panics", 4, "try: the guest crashed: panic: Kernel panic - not syncing: sysrq triggered crash"),
    ("flood", "floods its console", 3, "try: the guest flooded its console and was ended")])
def test_bad_guest(name, tried, monkeypatch, does, claim, status, sentence):
    monkeypatch.setattr(trymachine, "MOST_CONSOLE", 1 << 18)
    script = initrd(images.folder(f"{name}-initrd"), "try-crash.sh")
    got, said = tried("--kernel", LINUX, "--initrd", script, "--append", f"does={does}")
    assert (got, last_line(said)[:len(sentence)]) == (status, sentence), said


@pytest.mark.claim("xen/try-no-xen", "./pvblk try: a kernel that does not look for Xen is told apart")
@linux_guest
def test_no_xen(tried):
    status, said = tried("--kernel", LINUX, "--append", "xen_nopv quiet")
    assert status == 3 and "the guest never looked for Xen" in last_line(said), said


@pytest.mark.claim("xen/try-faults", "./pvblk try --faults: a plan that crashes Linux 6.12 is said to, with the place in the kernel")
@linux_guest
def test_faults(name, tried):
    plan = images.folder(f"{name}-plan") / "plan.faults"
    plan.write_text("at respond nth=6: response/operation 20\n")
    status, said = tried("--kernel", LINUX, "--faults", plan, "--hot", "--append", "quiet")
    assert status == 4 and "the guest crashed: bug: kernel BUG at drivers/block/xen-blkfront.c" in last_line(said), said
    assert "fault 1: at respond nth=6: response/operation 20: 1 time" in said, said


@pytest.mark.claim("xen/try-lost-event", "./pvblk try --faults: a frontend that waits for a lost event goes on when the backend is "
                   "honest, and is not blamed")
@linux_guest
def test_lost_event(name, tried, monkeypatch):
    monkeypatch.setattr(tryguest, "ANSWER_SECONDS", 5)
    monkeypatch.setattr(tryguest, "HONEST_SECONDS", 100)
    plan = images.folder(f"{name}-plan") / "plan.faults"
    plan.write_text("at notify nth=9 every=1 always: notify/lost\n")
    status, said = tried("--kernel", LINUX, "--faults", plan, "--append", "quiet")
    assert status == 0 and "only when the backend had become honest" in said, said


@pytest.mark.claim("xen/try-no-frontend-{what}", "./pvblk try: a guest without a frontend has no verdict, also {claim}")
@pytest.mark.needs("qemu", "guest", "core")
@pytest.mark.parametrize(("what", "claim", "words"), [
    ("offer", "if the backend only offers something else", ["--scenario", "front/offer/queues-2"]),
    ("fault", "if no fault could happen", ["--scenario", "front/notify/lost/notify"])])
def test_no_frontend(tried, what, claim, words):
    status, said = tried("--kernel", LINUX, *words, "--append", "quiet module_blacklist=xen_blkfront")
    assert status == 3, said


@pytest.mark.claim("command/try-wrong-data", "./pvblk try: wrong data is the frontend's, unless a fault changed it or a write failed")
def test_wrong_data():
    def status(fault, *answers):
        facts = {"judgement": {"connections": 1, "xenbus:state": "kept 1"}, "fault-counters": {f"1: at take: {fault}": 1}}
        machine = SimpleNamespace(end="was ended", facts=facts, crash=None, seconds=1, console=None, said_ready="", gave_up=None,
                                  waited=False, found_xen=lambda: True)
        wanted = trywords.Words(faults="plan")
        return tryverdict.Verdict(machine, [("", contract.Answer(answer)) for answer in answers], wanted).status
    assert status("response/replayed", "ok", "wrong sector 8") == 1
    assert status("response/status -1", "error 5", "wrong sector 8") == 0
    assert status("data/flipped 77", "ok", "wrong sector 8") == 0
    assert status("grants/unmap-early", "ok", "wrong sector 8") == 0
    assert status("response/replayed", "ok", "unsupported") == 0


@pytest.mark.claim("xen/try-scenario", "./pvblk try --scenario: Linux meets the backend of a scenario of the suite, by its ID")
@pytest.mark.needs("qemu", "guest", "core")
def test_scenario(tried):
    status, said = tried("--kernel", LINUX, "--scenario", "front/offer/nothing", "--append", "quiet")
    assert status in (0, 1) and "persistent no" in said and "ring-pages 1" in said and "indirect 0" in said, said


@pytest.mark.claim("xen/try-seeds", "./pvblk try --seed --minutes: several made-up plans meet one boot of Linux")
@pytest.mark.needs("qemu", "guest", "sim")
def test_seeds(name, monkeypatch):
    """Four plans that crash no Linux, however long they take here."""
    wanted = trywords.read(["--kernel", LINUX, "--seed", "7", "--seconds", "400"])
    wanted.hot = True
    bench = tryseeds.Bench(wanted, name)
    campaign = tryseeds.Campaign(bench)
    monkeypatch.setattr(campaign, "_has_time", lambda: campaign.outcomes.total() < 4)
    try:
        campaign.run()
    finally:
        bench.close()
    assert bench.boots < 4 and campaign.outcomes[3] == 0, (bench.boots, campaign.outcomes)


@pytest.mark.claim("command/try-{what}", "./pvblk try: {what} is refused with a sentence before anything boots")
@pytest.mark.needs("qemu", "firmware")
@pytest.mark.parametrize(("what", "words", "sentence"), [
    ("no-kernel", [], "name one of --kernel and --image"),
    ("a-missing-file", ["--kernel", "/nowhere"], "--kernel /nowhere: No such file or directory"),
    ("a-text-file", ["--kernel", __file__], "neither a bzImage nor an ELF file"),
    ("an-unknown-word", ["--kernel", LINUX, "--turbo"], "try does not take --turbo"),
    ("no-number", ["--kernel", LINUX, "--memory", "ten"], "--memory ten is not a whole number above 0"),
    ("a-word-of-an-image", ["--kernel", LINUX, "--uefi"], "--uefi is for --image"),
    ("two-plans", ["--kernel", LINUX, "--seed", "1", "--faults", __file__], "each make a plan"),
])
def test_bad_words(tried, what, words, sentence):
    status, said = tried(*words)
    assert status == 2 and sentence in said and len(said.splitlines()) == 1, said


@pytest.mark.claim("command/try-no-scenario", "./pvblk try: an unknown scenario is refused with a sentence")
@pytest.mark.needs("qemu", "firmware", "core", "freestanding")
def test_no_scenario(tried):
    status, said = tried("--kernel", freestanding.build("mini-blkfront"), "--scenario", "front/none")
    assert status == 2 and "front/none: no scenarios have this ID" in said and len(said.splitlines()) == 1, said


@pytest.mark.claim("command/try-bad-{what}", "./pvblk try: QEMU's own refusal of {what} is one sentence")
@pytest.mark.needs("qemu", "firmware", "freestanding")
@pytest.mark.parametrize(("what", "sentence"), [("plan", "line 1: no name is called 'rings'"),
                                                ("qemu-word", "'nothing' is not a valid device model name")])
def test_refused_by_qemu(name, tried, what, sentence):
    plan = images.folder(f"{name}-plan") / "plan.faults"
    plan.write_text("at map name=rings: grants/map-fails\n")
    more = {"plan": ["--faults", plan], "qemu-word": ["--", "-device", "nothing"]}[what]
    status, said = tried("--kernel", freestanding.build("mini-blkfront"), *more)
    assert status == 2 and sentence in said and len(said.splitlines()) == 1, said


@pytest.mark.claim("command/try-image-in-use", "./pvblk try: an image that another QEMU writes to is refused with a sentence")
@pytest.mark.needs("qemu", "firmware")
def test_image_in_use(name, tried):
    image = images.raw(images.folder(f"{name}-image") / "disk.raw", images.MIB)
    other = [qemu.program("qemu-system-x86_64"), "-L", paths.FIRMWARE, "-S", "-nodefaults", "-display", "none", "-qmp", "stdio",
             "-drive", f"format=raw,file={image}"]
    with subprocess.Popen(other, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as user:
        # It answers once it has opened the image.
        user.stdin.write('{"execute": "qmp_capabilities"}\n')
        user.stdin.flush()
        user.stdout.readline(), user.stdout.readline()
        status, said = tried("--image", image)
        user.kill()
    assert status == 2 and "another QEMU writes to it" in said, said


@pytest.mark.claim("command/try-kvm", "./pvblk try --accel kvm: without /dev/kvm the sentence says what to do")
def test_no_kvm(tried, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)
    status, said = tried("--kernel", __file__, "--accel", "kvm")
    assert status == 2 and "you cannot open /dev/kvm; leave --accel out" in said


SHRINKS = [(("x", "y"), ["seed 7\n", "at x\n", "at y\n"]), (("y",), ["seed 7\n", "at y\n"])]


@pytest.mark.claim("command/try-shrink-{needed}", "a plan is shrunk to the rules without which the crash does not happen")
@pytest.mark.parametrize(("needed", "fewest"), SHRINKS, ids=lambda value: "".join(value) if isinstance(value, tuple) else "")
def test_shrink(needed, fewest):
    plan = ["seed 7\n", "at w\n", "at x\n", "at y\n", "at z\n"]
    tries = []

    def happens(lines):
        tries.append(lines)
        return all(f"at {rule}\n" in lines for rule in needed)
    assert tryseeds.shrink(plan, happens) == fewest
    assert all("seed 7\n" in lines for lines in tries) and len(tries) <= len(plan)


CONSOLES = {
    "bug": ("[   12.345678] kernel BUG at drivers/block/xen-blkfront.c:1084!\r\n[   12.4] Oops: invalid opcode: 0000 [#1]\r\n"
            "[   12.5] RIP: 0010:xlvbd_alloc_gendisk+0x3a/0x40\r\n", "bug: xlvbd_alloc_gendisk"),
    "oops": ("[    1.0][    T1] BUG: kernel NULL pointer dereference, address: 0000000000000008\nRIP: 0010:blkif_interrupt+0x5/9\n",
             "bug: blkif_interrupt"),
    "kasan": ("BUG: KASAN: slab-use-after-free in blkif_interrupt+0x12/0x34\n[ 1.0] Kernel panic - not syncing: kasan\n",
              "sanitizer: BUG: KASAN: slab-use-after-free in blkif_interrupt+/"),
    "hung": ("[  242.1] INFO: task kworker/0:1:12 blocked for more than 120 seconds.\n",
             "hung task: INFO: task kworker/0 blocked for more than 120 seconds."),
    "panic": ("\x1b[0m[    2.2] Kernel panic - not syncing: VFS: Unable to mount root fs\n",
              "panic: Kernel panic - not syncing: VFS: Unable to mount root fs"),
    "freebsd": ("panic: xbd0: bad response id\ncpuid = 0\n", "panic: panic: xbd0: bad response id"),
    "nothing": ("[ 1.0] blkfront: xvda: flush diskcache: enabled\nmark: a debug: Oops-free line\nDEBUG: nothing\n", None),
}


@pytest.mark.claim("command/triage-{what}", "a crash in a console is found, and named the same in another boot")
@pytest.mark.parametrize(("what", "text", "signature"), [(key, *words) for key, words in CONSOLES.items()], ids=CONSOLES)
def test_triage(what, text, signature):
    crash = triage.worst(text)
    assert (crash and crash.signature) == signature


@pytest.mark.claim("command/try-crash-after-binary", "./pvblk try: a crash is found in a console that holds bytes of no text")
def test_crash_after_binary(tmp_path):
    machine = trymachine.Machine("binary", [])
    machine.console = tmp_path / "console"
    machine.console.write_bytes(b"\xb0" * 100 + b"\n")
    assert not machine._finds_crash()
    with open(machine.console, "ab") as console:
        console.write(b"Kernel panic - not syncing: at once\n")
    assert machine._finds_crash() and machine.crash.kind == "panic"


@pytest.mark.claim("command/try-wild-size", "./pvblk try: a guest whose disk has a size of 5000 digits has no disk to use")
def test_wild_size():
    for size in ("9" * 5000, "9" * 20, "-1", "x", ""):
        assert tryguest._sectors(contract.Answer(f"ok {size}")) is None, size[:20]
    assert tryguest._sectors(contract.Answer("ok 131072")) == 131072


class Words:
    """A line with these words of a guest."""

    def __init__(self, *words):
        self.words = list(words)

    def read(self, deadline):
        return self.words.pop(0)

    def write(self, text):
        pass


@pytest.mark.claim("command/try-plain-words", "./pvblk try: a guest's words reach the user's terminal short, and without "
                   "control characters")
def test_plain_words():
    wild = "\x1b]0;title\x07\x1b[2J" + "x" * 100_000
    answer = contract.Contract(Words(f"PVBLK: error {wild}")).ask("flush", 1)
    assert answer.verdict == contract.ERROR and answer.isprintable() and len(answer) < 400
    with pytest.raises(contract.Broken) as broken:
        contract.Contract(Words(f"PVBLK: FAILED {wild}")).ready(1)
    assert str(broken.value).isprintable() and len(str(broken.value)) < 400
    crash = triage.worst(f"panic: {wild}\n")
    assert crash.line.isprintable()


@pytest.mark.claim("command/try-interrupted", "./pvblk try: if the user interrupts the start of a machine, its QEMU ends")
def test_interrupted(name, tmp_path, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt
    monkeypatch.setattr(trymachine.Machine, "qmp", interrupt)
    machine = trymachine.Machine(name, [])
    machine.program = tmp_path / "qemu"
    machine.program.write_text("#!/bin/sh\nexec sleep 60\n")
    machine.program.chmod(0o755)
    with pytest.raises(KeyboardInterrupt):
        machine.__enter__()
    assert machine.process.poll() is not None
