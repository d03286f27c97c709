# SPDX-License-Identifier: MIT
"""The suite and its operator: both ends of their conversation, over pipes and over a machine that is none."""

import json
import subprocess

import pytest

from pvblk import guest, images, operator, subjects, ui

HOLDS = "ring/slot/full-in-flight"
SEES_MAPS = "life/close/unmaps"


def converse(answer, case, can="hold", patience=3, more=()):
    """The result of the case, and what the suite asked. answer(number, what) is a text for it, or None: that is the end."""
    command = [subjects.program(), "--loopback", "--format", "jsonl", "--operator", can, "--patience", str(patience), *more, case]
    asked, results = [], []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as suite:
        for line in suite.stdout:
            if line.startswith("operator "):
                _, number, what = line.rstrip("\n").split(" ", 2)
                asked.append(what)
                text = answer(int(number), what)
                if text is None:
                    suite.stdin.close()
                elif text:
                    suite.stdin.write(text)
                    suite.stdin.flush()
            elif line.startswith('{"id"'):
                results.append(json.loads(line))
    return results, asked


# What is answered to each question, the verdict, and a part of the reason.
ANSWERS = [
    ("right", lambda number, _: f"done {number}\n", "PASS", ""),
    ("of-two-lines", lambda number, _: f"done {number - 1}\r\ndone {number}\r\n", "PASS", ""),
    ("refusal", lambda number, _: f"cannot {number} the disk is a ramdisk\n", "INCONCLUSIVE", "the disk is a ramdisk"),
    ("no-number", lambda number, _: "done\n", "INCONCLUSIVE", "answered 'done'"),
    ("too-early", lambda number, _: f"done {number + 1}\n", "INCONCLUSIVE", "and not done or cannot"),
    ("other-words", lambda number, _: "bash: hold: command not found\n", "INCONCLUSIVE", "answered 'bash: hold"),
    ("no-line-end", lambda number, _: "x" * 5000, "INCONCLUSIVE", "sends lines without an end"),
    ("end", lambda number, _: None, "INCONCLUSIVE", "is gone"),
    ("nothing", lambda number, _: "", "INCONCLUSIVE", "gave no answer to 'hold loopback'"),
]


@pytest.mark.parametrize("kind, answer, verdict, why", [pytest.param(*row, id=row[0]) for row in ANSWERS])
@pytest.mark.needs("core")
@pytest.mark.claim("conformance/operator-{kind}", "the suite believes its operator only a `done` with its number; all "
                   "else makes the case INCONCLUSIVE, and nothing hangs")
def test_answer(kind, answer, verdict, why):
    results, asked = converse(answer, HOLDS, patience=1)
    assert asked[0] == "hold loopback"
    for result in results:
        assert result["verdict"] == verdict and why in result.get("why", ""), result


@pytest.mark.needs("core")
@pytest.mark.claim("conformance/operator-maps", "a number of mapped pages is the operator's; a text that is no number makes "
                   "the case INCONCLUSIVE")
def test_maps():
    def verdict(pages):
        results, _ = converse(lambda number, _: f"done {number} {pages}\n", SEES_MAPS, "maps")
        return results[0]["verdict"]
    assert [verdict("0"), verdict("3"), verdict("many")] == ["PASS", "FAIL", "INCONCLUSIVE"]


@pytest.mark.needs("core")
@pytest.mark.claim("conformance/operator-wedged", "a backend that is wedged is no less so if its operator cannot take it away")
def test_wedged():
    silent = ("--plan", "at connect nth=2 every=1 always: lifecycle/connect-silent")
    results, asked = converse(lambda number, _: f"cannot {number} it hangs\n", "life/reconnect/idle", "restart", more=silent)
    assert asked == ["restart loopback"]
    assert [result["verdict"] for result in results] == ["WEDGED"] + ["INCONCLUSIVE"] * (len(results) - 1)


@pytest.mark.needs("core")
@pytest.mark.claim("conformance/operator-gone", "an operator that listens no more does not end the run: there is a report")
def test_gone(tmp_path):
    file = tmp_path / "run.jsonl"
    with subprocess.Popen([subjects.program(), "--loopback", "--operator", "hold", "--format", "jsonl", "-o", file, HOLDS],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as suite:
        suite.stdout.close()
    assert suite.returncode == 3
    _, *results = map(json.loads, file.read_text().splitlines())
    assert results and all(result["verdict"] == "INCONCLUSIVE" for result in results)


@pytest.mark.needs("core")
@pytest.mark.claim("conformance/operator-words", "an ability that no operator can have is refused")
def test_words():
    said = subprocess.run([subjects.program(), "--loopback", "--operator", "hold,fly"], capture_output=True, text=True)
    assert said.returncode == 2 and "--operator hold,fly is none of hold" in said.stderr


class Machine:
    """Of QEMU, only what it is asked by QMP."""

    def __init__(self, problem=None):
        self.problem, self.asked, self.told, self.process, self.answers = problem, [], [], self, {}

    def poll(self):
        return None

    def qmp_in_a_row(self, *commands, seconds):
        if self.problem:
            raise ui.Problem(self.problem)
        self.asked += commands
        return [self.answers.get(command, {}) for command, _ in commands]

    def qmp(self, command, seconds, **words):
        return self.qmp_in_a_row((command, words), seconds=seconds)[0]

    def wait_event(self, name, seconds):
        self.asked.append((name, seconds))

    def tell(self, text):
        self.told.append(text)


@pytest.mark.claim("conformance/operator-qmp", "what the suite asks of a QEMU is done by QMP and answered, and a refusal of "
                   "QEMU is one line")
def test_qmp():
    machine = Machine()
    hands = operator.Operator(machine, subjects.VBDS)
    assert not hands.takes('{"id": "operator"}') and not machine.told
    assert hands.takes("operator 4 resize 51728 9216")
    assert machine.asked == [("block_resize", {"node_name": "ro", "size": 9216 * 512})]
    assert hands.takes("operator 5 hold 51712")
    assert machine.asked[-1] == ("human-monitor-command", {"command_line": 'qemu-io weight "read 0 1M"'})
    assert hands.takes("operator 6 restart 51712")
    assert machine.asked[-3:] == [("device_del", {"id": "xvda"}), ("DEVICE_DELETED", 5),
                                  ("device_add", subjects.VBDS["51712"])]
    machine.problem = "QMP says\nno"
    assert hands.takes("operator 7 release 51712")
    assert machine.told == ["done 4", "done 5", "done 6", "cannot 7 QMP says no"]


@pytest.mark.claim("conformance/operator-drain", "a QEMU is not drained while a disk is held, since a drain would end that")
def test_quiet():
    machine = Machine()
    hands = operator.Operator(machine, subjects.VBDS)

    def drains(question):
        machine.asked.clear()
        assert hands.takes(question)
        return any("aio_flush" in str(words) for _, words in machine.asked)
    assert drains("operator 1 quiet 51712")
    assert not drains("operator 2 hold 51712") and not drains("operator 3 quiet 51712")
    assert not drains("operator 4 release 51712") and drains("operator 5 quiet 51712")


@pytest.mark.needs("qemu")
@pytest.mark.claim("conformance/operator-qemu", "a QEMU whose disk is held does no READ until the release, has the size it is "
                   "given, and gets its disk back after a restart")
def test_qemu(name):
    words, _ = subjects.OURS.disks(images.folder(name))
    with guest.Guest(name, ["-accel", "tcg,xen-version=0x40011", "-m", 64, "-S", *words]) as machine:
        hands = subjects.OURS.operator(machine)

        def reads():
            return next(disk["stats"]["rd_operations"] for disk in machine.qmp("query-blockstats")
                        if disk.get("qdev", "").split("/")[-1] == "xvda")

        def read():
            machine.qmp("human-monitor-command", command_line='qemu-io -d xvda "aio_read 0 4k"')
            hands.quiet(hands.disks["51712"])

        def ask(verb, *words):
            getattr(hands, verb)(hands.disks["51712"], *words)
            return reads()

        for _ in range(2):
            before = ask("hold")
            read()
            read()
            assert reads() == before and ask("release") == before + 2
            read()
            assert reads() == before + 3
        ask("resize", "16384")
        assert next(node["image"]["virtual-size"] for node in machine.qmp("query-named-block-nodes")
                    if node["node-name"] == "rw") == 16384 * 512
        assert ask("restart") == 0
