# SPDX-License-Identifier: MIT
"""`./pvblk conformance` over machines that only say what a test tells them: they die, hang, and refuse at will."""

import json
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from pvblk import conformance, guest, subjects, ui

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

    def start(self, *words):
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
        results = list(map(json.loads, file.read_text().splitlines()[1:])) if file.exists() else []
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
