# SPDX-License-Identifier: MIT
"""`./pvblk conformance` over machines that only say what a test tells them: they die, hang, and refuse at will."""

import itertools
import json
import re
import shutil
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from pvblk import conformance, guest, paths, qmp, setup, subjects, ui, userqemu

pytestmark = pytest.mark.needs("core")

A, B, C = "request/op/4-reserved", "request/op/7-unknown", "request/op/255-unknown"


def head(planned=3):
    return json.dumps({"format": "blkif-conformance/1", "planned": planned})


def result(case, verdict="PASS"):
    return json.dumps({"id": case, "verdict": verdict})


def played(*cases, verdict="PASS"):
    return [line for case in cases for line in (f"case {case}", result(case, verdict))]


def ended(status=0):
    return f"{guest.MARK}ended {status}"


DIES, HANGS = object(), object()


class Machine:
    """Says its lines, and then dies or hangs."""

    versions, console = "Linux of a test", None

    def __init__(self, *lines, boots=True, leaves=True):
        self.lines, self.boots, self.leaves = list(lines), boots, leaves
        self.process = SimpleNamespace(poll=lambda: self.status)
        self.status = None

    def __enter__(self):
        if not self.boots:
            raise ui.Problem("the guest did not say 'ready'")
        return self

    def __exit__(self, *_):
        pass

    def start(self, *words, **_):
        self.words = list(words)

    def next_line(self, seconds):
        line = self.lines.pop(0)
        if line is DIES:
            self.status = -6
            raise ui.Problem("QEMU ended with status -6")
        if line is HANGS:
            raise ui.Problem("the guest said nothing")
        return line

    def power_off(self):
        if not self.leaves:
            raise ui.Problem("QEMU did not end")


@dataclass(frozen=True)
class Scripted(subjects.InMachine):
    boots: Any = ()

    def machine(self):
        return next(self.boots), ["51712"]


@pytest.fixture
def play(monkeypatch, tmp_path, capsys):
    """Plays on these machines, one after the other; the exit status, verdicts by ID, and all that was said."""
    def play(*machines, words=()):
        rest = iter(machines)
        monkeypatch.setitem(subjects.ALL, "made-up", Scripted("made-up", "a subject of a test", boots=rest))
        status = conformance.command(["made-up", *words], tmp_path)
        said = capsys.readouterr()
        assert not list(rest), "a machine was not booted"
        file = tmp_path / "made-up.jsonl"
        results = conformance.lines_of(file)[1:] if file.exists() else []
        return status, {result["id"]: result["verdict"] for result in results}, said.out + said.err
    return play


ALL_PASS = dict.fromkeys((A, B, C), "PASS")


@pytest.mark.claim("conformance/death-between", "a machine that dies between two cases loses no result: another one plays "
                   "the rest, and the exit code is 3")
def test_death_between(play):
    second = Machine(head(), *played(B, C), ended())
    status, verdicts, said = play(Machine(head(), *played(A), DIES), second)
    assert (status, verdicts) == (3, ALL_PASS)
    assert second.words[second.words.index("--after") + 1] == A
    assert f"after {A}: QEMU ended with status -6" in said


@pytest.mark.claim("conformance/death-before", "a machine that dies before its first case is tried once; the exit code is 3")
@pytest.mark.parametrize("machine", [
    Machine(boots=False), Machine(DIES), Machine(head(), DIES), Machine(HANGS), Machine(ended(0)),
    Machine("blkif-conformance: this domain has no vbd 51712", ended(3))],
    ids=["no-boot", "no-line", "only-head", "hang", "silent-end", "refusal"])
def test_death_before(play, machine):
    status, verdicts, said = play(machine)
    assert (status, verdicts) == (3, {})
    assert "made-up: " in said


@pytest.mark.claim("conformance/death-after", "a machine that dies, hangs or does not leave after its last case loses no "
                   "result, and the exit code is 3")
@pytest.mark.parametrize("machine", [
    Machine(head(), *played(A, B, C), DIES), Machine(head(), *played(A, B, C), HANGS),
    Machine(head(), *played(A, B, C), ended(139)), Machine(head(), *played(A, B, C), ended(), leaves=False)],
    ids=["death", "hang", "bad-status", "no-leaving"])
def test_death_after(play, machine):
    status, verdicts, said = play(machine)
    assert (status, verdicts) == (3, ALL_PASS)
    assert f"made-up: after {C}: " in said


@pytest.mark.claim("conformance/death-within", "a machine that dies or hangs in a case is booted again after that case; the "
                   "exit code is 4")
@pytest.mark.parametrize(("last", "verdict"), [(DIES, "CRASH"), (HANGS, "WEDGED")], ids=["death", "hang"])
def test_death_within(play, last, verdict):
    status, verdicts, _ = play(Machine(head(), *played(A), f"case {B}", last), Machine(head(), *played(C), ended()))
    assert (status, verdicts) == (4, {**ALL_PASS, B: verdict})


@pytest.mark.claim("conformance/second-boot", "if the second machine does not get to a case, the first one's results are "
                   "shown, and so is the number of cases that did not run")
@pytest.mark.parametrize(("last", "second", "sentence"), [
    (DIES, Machine(boots=False), "did not say 'ready'"), (DIES, Machine(DIES), "QEMU ended"),
    (DIES, Machine("blkif-conformance: the backend does not connect", ended(3)), "the backend does not connect")],
    ids=["no-boot", "death", "refusal"])
def test_second_boot(play, last, second, sentence):
    status, verdicts, said = play(Machine(head(), *played(A), last), second)
    assert (status, verdicts) == (3, {A: "PASS"})
    assert sentence in said and "did not run" in said


@pytest.mark.claim("conformance/most-boots", "a subject that dies again and again keeps its results when it gets no "
                   "further machine")
def test_most_boots(play, monkeypatch):
    monkeypatch.setattr(subjects, "MOST_BOOTS", 2)
    status, verdicts, said = play(Machine(head(), *played(A), DIES), Machine(head(), *played(B), DIES))
    assert (status, verdicts) == (3, {A: "PASS", B: "PASS"})
    assert "2 machines" in said and "did not run" in said


@pytest.mark.claim("conformance/parts", "two machines share a run of many cases; its results are in the suite's order, and a part "
                   "that says nothing makes the exit code 3")
@pytest.mark.parametrize(("second", "status", "verdicts"), [
    (Machine(head(1), *played(B), ended()), 0, [A, B, C]), (Machine(boots=False), 3, [A, C])], ids=["both", "one"])
def test_parts(monkeypatch, tmp_path, second, status, verdicts):
    machines = {"1/2": Machine(head(2), *played(A, C), ended()), "2/2": second}

    class Parted(Scripted):
        def machine(self):
            return machines[self.part], ["51712"]

    monkeypatch.setattr(subjects, "MANY_CASES", 3)
    monkeypatch.setitem(subjects.ALL, "made-up", Parted("made-up", "a subject of a test", machines=2))
    assert conformance.command(["made-up", A, B, C], tmp_path) == status
    run, *results = map(json.loads, (tmp_path / "made-up.jsonl").read_text().splitlines())
    assert [result["id"] for result in results] == verdicts and run["planned"] == len(verdicts)
    for part, machine in machines.items():
        assert not machine.boots or machine.words[-2:] == ["--shard", part]
    few = Parted("made-up", "a subject of a test", machines=2)
    assert few.parts([A], 2) == [(few, [A])] and few.parts(["--shard", "1/2"], 3) == [(few, ["--shard", "1/2"])]


@pytest.mark.claim("conformance/limit-of-all", "--time-limit is for all machines of a subject together")
def test_limit_of_all(play, monkeypatch):
    # An hour passes with each look at the clock.
    monkeypatch.setattr(subjects, "time", SimpleNamespace(monotonic=itertools.count(1, 3600).__next__))
    first, second = Machine(head(), *played(A), DIES), Machine(head(), *played(B, C), ended())
    play(first, second, words=["--time-limit", "40000"])
    limits = [int(machine.words[machine.words.index("--time-limit") + 1]) for machine in (first, second)]
    assert 0 < limits[1] <= limits[0] - 3600
    assert subjects.within_limit(["--time-limit", "5", A], 7) == ["--time-limit", "1", A]


# What no suite writes, and what is left of a line where it was killed.
NOISE = ["case of whisky", '{"id": "request/op', '{"id": []}', '{"id": "a b", "verdict": "PASS"}', '{"id":' + "[" * 100000,
         '{"format"', "operator", "operator 1 tell 51712", "PVBLK: end", "\x1b[2J", ""]


@pytest.mark.claim("conformance/noise", "lines that are not the suite's, and lines that were cut, are no results, and harm none")
@pytest.mark.parametrize("line", NOISE)
def test_noise(play, line):
    assert play(Machine(line, head(), line, *played(A), line, f"case {B}", line, result(B), *played(C), line, ended()))[:2] \
        == (0, ALL_PASS)
    assert not subjects.OURS.operator(None).takes(line)


@pytest.mark.claim("conformance/doubled-results", "a result that comes twice counts once: the cases that did not run are seen")
def test_doubled(play):
    assert play(Machine(head(), *played(A), *played(A), result(A, "FAIL"), ended()))[:2] == (3, {A: "PASS"})


@pytest.mark.claim("conformance/no-status", "a command that ends without a status did not end well")
@pytest.mark.parametrize("end", ["", " ", " -1", " 0x0", " \u0660", " 99999"])
def test_no_status(play, end):
    assert play(Machine(head(), *played(A, B, C), f"{guest.MARK}ended{end}"))[:2] == (3, ALL_PASS)


@pytest.mark.claim("conformance/line-ends", "a backend's text with characters that end lines elsewhere is shown like any other")
def test_line_ends(play, tmp_path):
    said = json.dumps({"id": A, "verdict": "FAIL", "expected": "x", "seen": "\u2028\u2029\x85\x0b\x1c\r\n{}"}, ensure_ascii=False)
    assert play(Machine(head(1), said, ended(1)))[:2] == (1, {A: "FAIL"})
    baseline = str(tmp_path / "made-up.jsonl")
    status, _, told = play(Machine(head(1), said, ended(1)), words=["--baseline", baseline])
    assert status == 1 and "no case changed" in told


@pytest.mark.claim("conformance/suite-dies", "if the suite itself dies in a case, that case is INCONCLUSIVE, and the others "
                   "are played")
def test_suite_dies(play):
    status, verdicts, _ = play(Machine(head(), *played(A), f"case {B}", ended(139)),
                               Machine(head(), *played(C), ended()))
    assert (status, verdicts) == (3, {**ALL_PASS, B: "INCONCLUSIVE"})


@pytest.mark.claim("conformance/last-dies", "no machine is booted for nothing after a last case that takes its machine along")
def test_last_dies(play):
    status, verdicts, _ = play(Machine(head(), *played(A, B), f"case {C}", DIES))
    assert (status, verdicts) == (4, {**ALL_PASS, C: "CRASH"})


@pytest.mark.claim("conformance/loopback-dies", "results of the loopback are kept if its process dies")
def test_loopback_dies(monkeypatch, tmp_path, capsys):
    program = tmp_path / "suite"
    program.write_text(f"""#!/bin/sh
case "$*" in
--loopback*) echo '{head()}'; echo '{result(A)}'; kill -9 $$ ;;
*) exec {subjects.program()} "$@" ;;
esac
""")
    program.chmod(0o755)
    monkeypatch.setattr(subjects, "program", lambda: program)
    assert conformance.command(["loopback"], tmp_path) == 3
    assert json.loads((tmp_path / "loopback.jsonl").read_text().splitlines()[1])["id"] == A
    assert f"loopback: after {A}: the suite ended with status -9" in capsys.readouterr().err


# ---- what comes of it -----------------------------------------------------------------------------------------

DEVIATION = f'[[deviation]]\nid = "X"\ncase = "{A}"\nnote = "made up"\n'
# Exit code -> runs of subjects: lines each, and the profile.
CODES = [
    (0, [played(A)], "none"), (0, [played(A), played(A)], "none"), (0, [played(A, verdict="FAIL")], DEVIATION),
    (1, [played(A, verdict="FAIL")], "none"), (1, [played(A, verdict="FAIL"), None], "none"),
    (1, [played(A)], DEVIATION), (3, [played(A, verdict="INCONCLUSIVE")], "none"),
    (3, [played(A), None], "none"), (3, [None, None], "none"), (3, [[], played(A)], "none"),
    (4, [played(A, verdict="CRASH")], "none"), (4, [played(A, verdict="WEDGED"), played(A, verdict="FAIL")], "none"),
    (4, [None, played(A, verdict="CRASH")], "none"), (77, [played(A, verdict="SKIP")], "none"),
]


def documented():
    """The exit codes of the manual's table."""
    text = (paths.ROOT / "docs" / "conformance.rst").read_text()
    return [int(code) for code in re.findall(r"^(\d+) +\S", text, re.M)]


@pytest.mark.claim("conformance/command-codes", "the command's exit codes are those of the manual: of its worst subject, "
                   "and never 0 if one could not be judged")
def test_command_codes(monkeypatch, tmp_path, capsys):
    profile = tmp_path / "profile"
    for code, runs, text in CODES:
        for number, lines in enumerate(runs):
            machine = Machine(boots=False) if lines is None else Machine(head(1), *lines, ended())
            boots = iter([machine, Machine(boots=False)])
            monkeypatch.setitem(subjects.ALL, f"made-up-{number}", Scripted(f"made-up-{number}", "", boots=boots))
        profile.write_text(text)
        words = [f"made-up-{number}" for number in range(len(runs))]
        status = conformance.command([*words, "--profile", text if text == "none" else str(profile)], tmp_path)
        assert status == code, (runs, capsys.readouterr())
    # 2 is that of wrong words, 130 of a user who interrupts.
    assert sorted({2, 130, *(code for code, *_ in CODES)}) == documented()


@pytest.mark.claim("conformance/set-up-fails", "a set-up that fails has the exit code of a subject that cannot be judged")
def test_set_up_fails(monkeypatch, tmp_path):
    monkeypatch.setitem(subjects.ALL, "made-up", Scripted("made-up", "", steps=("made-up",)))
    monkeypatch.setitem(setup._outcome, "made-up", ui.Problem("no compiler"))
    with pytest.raises(ui.Problem, match="no compiler") as raised:
        conformance.command(["made-up"], tmp_path)
    assert raised.value.status == 3


@pytest.mark.claim("conformance/command-baseline", "--baseline of the command shows each case that is new, gone or has "
                   "another verdict, also if the file is that of the subject's last run; the exit code is that of the run")
def test_command_baseline(play, tmp_path):
    file = tmp_path / "made-up.jsonl"
    # The last one is none of the cases that this run chose.
    file.write_text("\n".join([head(), result(A, "FAIL"), result(f"{C}~queues"), result("ring/not/chosen")]) + "\n")
    status, _, said = play(Machine(head(2), *played(A), *played(B, verdict="FAIL"), ended(1)),
                           words=["request/op/*", "--baseline", str(file)])
    at = said.index("made-up, since ")
    assert status == 1
    assert said[at:].splitlines()[1:] == [f"  {A}: FAIL -> PASS", f"  {B}: new, FAIL", f"  {C}~queues: gone, it was PASS"]
    status, _, said = play(Machine(head(2), *played(A), *played(B, verdict="FAIL"), ended(1)),
                           words=["--baseline", str(file), A, B])
    assert status == 1 and said.endswith("no case changed\n")


@pytest.mark.claim("conformance/command-report", "of a report on standard output, nothing else is there")
def test_command_report(monkeypatch, tmp_path, capfd):
    monkeypatch.setattr(ui, "_to_standard_error", False)
    monkeypatch.setitem(subjects.ALL, "made-up", Scripted("made-up", "", boots=iter(
        [Machine(head(1), *played(A), DIES)])))
    assert conformance.command(["made-up", "--format", "tap"], tmp_path) == 3
    assert capfd.readouterr().out.startswith("TAP version 13\n")


# ---- machines that flood and hang ------------------------------------------------------------------------------

# In the place of QEMU; BODY is what it does.
PROGRAM = """#!/usr/bin/python3 -SE
import re, socket, sys, time

words = " ".join(sys.argv)
control = socket.socket(fileno=int(re.search("id=control,fd=(\\\\d+)", words)[1]))
console = re.search("id=console,path=(\\\\S+)", words)[1]

def say(*lines):
    control.sendall("".join(line + "\\n" for line in lines).encode())

def flood(path):
    with open(path, "wb", 0) as out:
        for _ in range(32):
            try:
                out.write(bytes(1 << 20))
            except OSError:
                pass

BODY
"""
READY, START = 'say("PVBLK: ready Linux 1")', "control.recv(65536)"
GOOD_RUN = f"say(*{[head(1), *played(A), ended()]!r}); control.recv(65536)"
IN_CASE = f"say(*{[head(1), f'case {A}']!r})"
# What it does; the exit code, the verdict, and a part of the sentence.
PROGRAMS = {
    "good": ([READY, START, GOOD_RUN], 0, "PASS", ""),
    "console": (["flood(console)", READY, START, "flood(console)", GOOD_RUN], 0, "PASS", ""),
    "errors": (["flood('/proc/self/fd/2')", READY, START, GOOD_RUN], 0, "PASS", ""),
    "noise": ([READY, START, IN_CASE, "while True: say('noise')"], 4, "WEDGED", ""),
    "endless-line": ([READY, START, IN_CASE, "while True: control.send(bytes(65536))"], 4, "WEDGED", ""),
    "no-kernel": (["print('no such kernel', file=sys.stderr)", "sys.exit(1)"], 3, None, "QEMU ended with status 1"),
    "no-ready": (["open(console, 'w').write('Kernel panic\\n')", "time.sleep(100)"], 3, None,
                 "the guest did not say 'ready'"),
    "half-dead": ([READY, START, "control.close()", "time.sleep(100)"], 3, None, "QEMU ended with status -9"),
}


class Line(guest.Line):
    """Remembers how much of it was kept."""

    MOST, all = 1 << 20, []

    def __init__(self, end):
        super().__init__(end)
        self.all.append(self)


@dataclass(frozen=True)
class Programmed(subjects.InMachine):
    program: str = ""

    def machine(self):
        return guest.Shell(self.name, [], program=self.program), ["51712"]


@pytest.mark.claim("conformance/floods", "a machine that floods its logs or its line, hangs or does not start fills neither "
                   "disk nor memory, is ended in time, and gets one sentence with the end of its log")
@pytest.mark.parametrize("which", PROGRAMS)
def test_floods(monkeypatch, tmp_path, capfd, which):
    for place, constant, value in ((subjects, "MOST_FILE_BYTES", 1 << 20), (subjects, "CASE_SECONDS", 3 if "WEDGED" in PROGRAMS[which] else 60),
                                   (guest, "END_SECONDS", 1), (guest, "Line", Line), (paths, "LOGS", tmp_path),
                                   (guest.Shell, "boot_seconds", 3 if which == "no-ready" else 60)):
        monkeypatch.setattr(place, constant, value)
    # It has no QMP.
    monkeypatch.setattr(qmp, "Monitor", Mock(side_effect=TimeoutError))
    body, code, verdict, sentence = PROGRAMS[which]
    program = tmp_path / "qemu"
    program.write_text(PROGRAM.replace("BODY", "\n".join(body)))
    program.chmod(0o755)
    monkeypatch.setitem(subjects.ALL, "made-up", Programmed("made-up", "", program=str(program)))
    assert conformance.command(["made-up"], tmp_path) == code
    said = "".join(capfd.readouterr())
    results = tmp_path / "made-up.jsonl"
    assert verdict is None and not results.exists() or verdict in results.read_text()
    assert sentence in said and (which != "no-kernel" or "| no such kernel" in said), said
    assert which != "no-ready" or "console: Kernel panic" in said, said
    assert all(log.stat().st_size <= 1 << 20 for log in tmp_path.glob("*.log"))
    assert len(Line.all.pop().rest) <= Line.MOST + (1 << 16)


@pytest.mark.claim("conformance/no-program", "a QEMU that cannot be run at all is one sentence")
def test_no_program(monkeypatch, tmp_path, capfd):
    monkeypatch.setitem(subjects.ALL, "made-up", Programmed("made-up", "", program=str(tmp_path)))
    assert conformance.command(["made-up"], tmp_path) == 3
    assert f"cannot run {tmp_path}: Permission denied" in capfd.readouterr().err


# ---- words, files and QEMUs of the user ----------------------------------------------------------------------

PROFILE = '[[deviation]]\nid = "X"\ncase = "no/such/case"\nnote = "made up"\n'


@pytest.fixture
def nothing_boots(monkeypatch):
    """Set-up and machines are out of bounds: a complaint has to come before them."""
    def refuse(step):
        raise AssertionError(f"the step {step} ran before the words were checked")

    monkeypatch.setattr(subjects.InMachine, "play", lambda *_: refuse("machine"))
    monkeypatch.setattr(setup, "ensure", lambda *steps: [refuse(step) for step in steps if step != "core"])
    monkeypatch.setattr(ui, "_to_standard_error", False)


# {place} is a folder that has file, profile and folder.
@pytest.mark.claim("conformance/words", "wrong words and files end with exit code 2 and one sentence, before anything is "
                   "built or boots")
@pytest.mark.parametrize(("words", "part"), [
    ("xen-disk no/such/case", "no case is called no/such/case"),
    ("xen-disk --no-such-option", "does not take --no-such-option"),
    ("xen-disk --format", "--format needs a value"), ("xen-disk --format=", "--format needs a value"),
    ("xen-disk --format xml", "--format xml is none of"),
    ("xen-disk xen-pvblk-backend --format tap", "holds one run"), ("--format jsonl", "holds one run"),
    ("xen-disk --format html", "needs -o FILE"),
    ("xen-disk -o {place}/none/x", "there is no folder {place}/none"), ("xen-disk -o {place}/folder", "is a folder"),
    ("xen-disk --profile {place}/none", "{place}/none cannot be read"),
    ("xen-disk --profile {place}/folder", "{place}/folder cannot be read"),
    ("xen-disk --profile {place}/file", "{place}/file is no TOML"),
    ("xen-disk --profile {place}/profile", "names no/such/case"),
    ("xen-disk --baseline {place}/none", "{place}/none cannot be read"),
    ("xen-disk --baseline {place}/file", "{place}/file cannot be read"),
    ("xen-disk loopback --baseline {place}/run", "is a run of xen-pvblk-backend"),
    ("xen-disk --shard 5/4", "is not like 1/4"), ("xen-disk --repeat 0", "--repeat 0 is not"),
    ("xen-disk --seed x", "--seed x is not"), ("xen-disk --time-limit -1", "--time-limit -1 is not"),
    ("xen-disk ring/** --shard 9999/9999", "no case is left"),
    ("xen-disk --device x", "--device is for a QEMU of your own"), ("xen-disk --gdb x", "--gdb is for one subject"),
    ("loopback --gdb no/such/case", "no case is called"),
    ("qemu:", "is a folder"), ("qemu:{place}/folder", "{place}/folder is a folder"),
    ("qemu:{place}/none", "there is no file {place}/none"), ("qemu:{place}/file", "cannot be executed"),
    ("qemu:{place}/empty", "is no QEMU: it answers --version with 'Exec format error'"),
    ("qemu:" + shutil.which("true"), "is no QEMU"), ("qemu:" + shutil.which("yes"), "is no QEMU"),
])
def test_words(nothing_boots, tmp_path, words, part):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("= 1\n")
    (tmp_path / "profile").write_text(PROFILE)
    (tmp_path / "empty").write_bytes(b"\0")
    (tmp_path / "empty").chmod(0o755)
    (tmp_path / "run").write_text('{"format":"blkif-conformance/1","subject":"xen-pvblk-backend"}\n')
    with pytest.raises(ui.Usage) as raised:
        conformance.command(words.replace("{place}", str(tmp_path)).split(), tmp_path)
    sentence = str(raised.value)
    assert part.replace("{place}", str(tmp_path)) in sentence and "\n" not in sentence
    assert raised.value.status == 2


# A QEMU's answers: to --version, to the words for Xen, and to those for the device.
GOOD = ("QEMU emulator version 11.0", "{}", "mine options:\n  drive=<str>\n  vdev=<str>\n  logical_block_size=<size>\n"
        "  physical_block_size=<size>")


@pytest.mark.claim("conformance/user-qemu", "a QEMU that lacks the emulation of Xen or the device is refused at once, and "
                   "the sentence says what to do")
@pytest.mark.parametrize(("place", "answer", "part"), [
    (0, "qemu-img version 11.0", "is no QEMU: it answers --version with 'qemu-img version 11.0'"),
    (0, "", "is no QEMU: it answers --version with 'nothing'"),
    (1, "Property 'tcg-accel.xen-version' not found", "build it with the series"),
    (1, "invalid accelerator tcg", "--enable-tcg"),
    (2, "Device 'mine' not found", "no device mine, it says 'Device 'mine' not found'"),
    (2, "mine options:\n  drive=<str>", "no property vdev"), (0, GOOD[0], ""),
    # Endless output, and none.
    (0, "$(while :; do echo x; done >&2)", "is no QEMU"), (0, "$(sleep 100)", "is no QEMU")],
    ids=["qemu-img", "silent", "no-xen", "no-tcg", "no-device", "no-property", "good", "flood", "hang"])
def test_user_qemu(monkeypatch, tmp_path, place, answer, part):
    monkeypatch.setattr(userqemu, "SECONDS", 1)
    answers = [*GOOD[:place], answer, *GOOD[place + 1:]]
    program = tmp_path / "qemu"
    program.write_text('#!/bin/sh\ncase "$*" in\n' + "".join(
        f'*{pattern}*) echo "{text}" ;;\n' for pattern, text in zip(("--version", "-accel", "-device"), answers)) + "esac\n")
    program.chmod(0o755)
    sentence = userqemu.complaint(program, "mine")
    assert part in sentence if part else not sentence


@pytest.mark.claim("conformance/twice", "a subject that is named twice is played once")
def test_twice(monkeypatch):
    monkeypatch.setattr(userqemu, "complaint", lambda *_: "")
    for words, names in ((["xen-disk", "loopback", "xen-disk"], ["xen-disk", "loopback"]),
                         (["qemu:/a/b", "qemu:/a/../a/b"], ["qemu:/a/b"]), ([*subjects.ALL] * 2, [*subjects.ALL])):
        assert [subject.name for subject in conformance.Words(words).subjects] == names
    files = [subject.file_name for subject in conformance.Words(["qemu:/a/b", "qemu:/a-b", "qemu:/" + "x" * 300]).subjects]
    assert len(set(files)) == 3 and all("/" not in file and len(file) < 100 for file in files)
