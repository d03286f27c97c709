# SPDX-License-Identifier: MIT
"""The conformance suite on each subject, as its profile says; and how it takes bad input."""

import json
import os
import signal
import subprocess

import pytest

from pvblk import conformance, paths, subjects, ui

MACHINES = [*subjects.BLKBACKS, subjects.UNMENDED, subjects.XEN_DISK, subjects.OURS]


@pytest.mark.parametrize("subject", [
    pytest.param(subject, marks=pytest.mark.needs(*subject.steps), id=subject.name) for subject in MACHINES])
@pytest.mark.claim("conformance/{subject.name}", "{subject.title} passes the suite, but for what its profile lists")
def test_subject(subject, name):
    status = conformance.command([subject.name], paths.GUEST / name)
    if status:
        raise ui.Problem(f"./pvblk conformance {subject.name} ended with status {status}")


def suite(*words):
    return subprocess.run([subjects.program(), *map(str, words)], capture_output=True, text=True, timeout=60)


PROFILE = """
[[deviation]]
id = "X"
case = "request/op/*"
note = "made up"
"""

# Words, the exit code, and a part of the one sentence. {file} is a profile of the text that comes last.
BAD = [
    (("--loopback", "no/such/case"), 2, "no case is called no/such/case", ""),
    (("--loopback", "--no-such-option"), 2, "--no-such-option is no option", ""),
    (("--loopback", "--shard", "5/4"), 2, "is not like 1/4", ""),
    (("--vbd", "xvda"), 2, "is not the number of a vbd", ""),
    (("--vbd", "51712"), 3, "there is no /dev/xen/xenbus", ""),
    ((), 2, "name a subject", ""),
    (("--loopback", "--plan", "at nowhere: response/status -1"), 2, "--plan: ", ""),
    (("--loopback", "--plan", "at respond op=write: response/status -1"), 3, "cannot write", ""),
    (("--loopback", "--profile", "/no/such/file"), 2, "cannot be read", ""),
    (("--loopback", "--profile", "{file}"), 2, "line 2", "a = 1\n= 2\n"),
    (("--loopback", "--profile", "{file}"), 2, "names no/such/case", PROFILE.replace("request/op/*", "no/such/case")),
    (("--loopback", "--profile", "{file}"), 2, "needs a case and a note", "[[deviation]]\nid = 'X'\n"),
    (("--loopback", "--profile", "{file}"), 2, "FAIL, WEDGED, CRASH, CORRUPT or LEAK", PROFILE + "verdict = ['FAIL', 'PASS']\n"),
    (("--loopback", "--profile", "/"), 2, "cannot be read", ""),
    (("--loopback", "--profile", "{file}"), 2, "do two extend each other", 'extends = "file"\n'),
    (("--serve", "xvda"), 2, "is not the number of a vbd", ""),
    (("--serve", "51712"), 2, "--serve needs --domain", ""),
    (("--serve", "51712", "--domain", "1", "--scenario", "front/none"), 2, "no scenario is called front/none", ""),
    (("--serve", "51712", "--domain", "1", "--config", "flash=off"), 2, "flash=off is no property", ""),
    (("--serve", "51712", "--domain", "1", "--plan", "at nowhere: response/status -1"), 2, "--plan: ", ""),
    (("--serve", "51712", "--domain", "1"), 3, "/dev/xen/", ""),
    (("--report", "/no/such/file"), 2, "cannot be read", ""),
    (("--report", "/"), 2, "cannot be read", ""),
    (("--report", "{file}"), 2, "line 1", "no JSON\n"),
    (("--loopback", "-o", "/no/such/folder/x"), 3, "cannot be written", ""),
    (("--loopback", "--fail", "page:1"), 2, "is not like grant:7", ""),
    (("--loopback", "--fail", "grant"), 2, "is not like grant:7", ""),
    (("--serve", "51712", "--domain", "1", "--config", "flush=maybe"), 2, "flush=maybe is no property", ""),
    (("--serve", "51712", "--domain", "1", "--config", "max-queues=4x"), 2, "max-queues=4x is no property", ""),
]


@pytest.mark.needs("core")
@pytest.mark.claim("conformance/bad-input", "wrong words, files and subjects get one sentence, and an exit code that is "
                   "never that of a good run")
def test_bad_input(tmp_path):
    for words, code, part, text in BAD:
        file = tmp_path / "file"
        file.write_text(text)
        said = suite(*(word.replace("{file}", str(file)) for word in words))
        first = said.stderr.splitlines()[0] if said.stderr else ""
        if said.returncode != code or part not in first or not first.startswith("blkif-conformance: "):
            raise ui.Problem(f"{' '.join(words)}: exit code {said.returncode} and '{first}', not {code} and '{part}'")


@pytest.mark.needs("core")
@pytest.mark.claim("conformance/profile", "a profile makes a known failure a deviation, and is wrong where the case passes, "
                   "fails in another way, or is skipped unseen")
def test_profile(tmp_path):
    worse = ("--loopback", "--plan", "at respond op=other: response/status -1", "request/op/255-unknown")
    file = tmp_path / "profile"

    def verdict(text, *words):
        file.write_text(text)
        said = suite(*words, "--profile", file)
        return said.returncode, said.stdout.split()[0]

    assert verdict("", *worse) == (1, "FAIL")
    assert verdict(PROFILE, *worse) == (0, "DEVIATION")
    assert verdict(PROFILE + 'seen = "OKAY"\n', *worse) == (1, "FAIL")
    assert verdict(PROFILE + 'seen = "ERROR"\n', *worse) == (0, "DEVIATION")
    assert verdict(PROFILE + 'verdict = "WEDGED"\n', *worse) == (1, "FAIL")
    assert verdict(PROFILE + 'verdict = ["WEDGED", "FAIL"]\n', *worse) == (0, "DEVIATION")
    assert verdict(PROFILE, "--loopback", "request/op/255-unknown") == (1, "FAIL")
    assert verdict(PROFILE + "sometimes = true\n", "--loopback", "request/op/255-unknown") == (0, "PASS")
    # The file's own entry comes before those of the file that it extends.
    (tmp_path / "base").write_text(PROFILE + 'seen = "OKAY"\n')
    assert verdict('extends = "base"\n', *worse) == (1, "FAIL")
    assert verdict('extends = "base"\n' + PROFILE, *worse) == (0, "DEVIATION")
    wants = ("--loopback", "--plan", "at publish-node name=feature-persistent: store/node-missing", "-q",
             "persistent/reuse/again")
    assert verdict('skips = "any"\n', *wants)[0] == 77
    assert verdict('skips = "listed"\n', *wants)[0] == 1


@pytest.mark.needs("core")
@pytest.mark.claim("conformance/selection", "shards have each case once, and a seed changes only the order")
def test_selection():
    def ids(*words):
        lines = suite("--loopback", *words).stdout.splitlines()
        return [line.split()[1].rstrip(":") for line in lines if line[:1].isupper()]

    everything = ids()
    shards = [id for number in (1, 2, 3) for id in ids("--shard", f"{number}/3")]
    assert len(everything) > 10 and sorted(shards) == sorted(everything)
    assert ids("--seed", "7") != everything and sorted(ids("--seed", "7")) == sorted(everything)


@pytest.mark.needs("core")
@pytest.mark.claim("conformance/granules", "discards of a granule that is no small part of the disk are skipped, as announced; "
                   "those that need no granule are not")
@pytest.mark.parametrize("node", ["granularity", "alignment"])
@pytest.mark.parametrize("bytes", [3 << 20, 4 << 20, 1 << 40, (1 << 64) - 512, (1 << 64) - 1])
def test_granules(node, bytes):
    said = suite("--loopback", "--plan", f'at publish-node name=discard-{node} always: store/node-value "{bytes}"',
                 "discard/**")
    played = {line.split()[1].rstrip(":") for line in said.stdout.splitlines()[:-1]}
    assert said.returncode == 0 and "discard/beyond/by-one" in played, said.stdout
    assert not {"discard/range/granule", "discard/content/neighbours", "discard/flag/unknown-bits"} & played, said.stdout


@pytest.mark.needs("core")
@pytest.mark.claim("conformance/guarded", "a case that may change guarded sectors leaves them guarded for the next case")
def test_guarded():
    def noticed(number):
        plan = f"at data op=read nth={number}: data/flipped 0"
        return suite("--loopback", "-q", "--plan", plan, "discard/range/twice", "grant/gref/reserved").returncode == 1

    # Of all READs, only the first one of what was discarded may have any data.
    unnoticed = [number for number in range(1, 32) if not noticed(number)]
    assert unnoticed[0] < 10 and unnoticed[1:] == list(range(unnoticed[1], 32)) and len(unnoticed) < 20, unnoticed


@pytest.mark.needs("core")
@pytest.mark.claim("conformance/own-trouble", "if a call of the suite's own fails, no verdict blames the backend: the case is "
                   "INCONCLUSIVE and names the call, or the suite ends")
@pytest.mark.parametrize(("call", "count", "word"), [("grant", 60, "grant"), ("channel", 6, "channel"), ("event", 30, "event"),
                                                     ("node", 30, "XenStore")])
def test_own_trouble(call, count, word):
    cases = ["state/initialising/connected", "node/ring-ref/text", "ring/front-inits/*", "request/read/after-write",
             "node/multi-queue-num-queues/with-pages", "event/spurious/before-connect"]
    for number in range(1, count):
        said = suite("--loopback", "--fail", f"{call}:{number}", "--format", "jsonl", *cases)
        results = [json.loads(line) for line in said.stdout.splitlines()[1:]]
        bad = [result for result in results if result["verdict"] not in ("PASS", "INCONCLUSIVE")
               or result["verdict"] == "INCONCLUSIVE" and word not in result["why"]]
        ended = said.returncode == 3 and word in said.stderr
        if bad or not (results or ended):
            raise ui.Problem(f"{call} {number}: exit code {said.returncode}, {said.stderr}{bad[:1]}")


@pytest.mark.needs("core")
@pytest.mark.claim("conformance/repeat", "--repeat plays each case that often, says so each time, and has one result for all")
def test_repeat():
    said = suite("--loopback", "--progress", "--repeat", "3", "--format", "jsonl", "request/op/7-unknown")
    assert said.stderr.splitlines() == ["case request/op/7-unknown"] * 3
    assert [json.loads(line)["id"] for line in said.stdout.splitlines()[1:]] == ["request/op/7-unknown"]
    worse = ("--plan", "at respond op=other times=1: response/status -1", "--repeat", "3", "-q", "request/op/255-unknown")
    assert suite("--loopback", *worse).returncode == 1


@pytest.mark.needs("core")
@pytest.mark.claim("conformance/after", "--after plays the cases that follow one, and a run without all of them is not good")
def test_after():
    def ids(*words):
        said = suite("--loopback", "--format", "jsonl", "request/*/*", *words)
        return [json.loads(line)["id"] for line in said.stdout.splitlines()[1:]], said.returncode

    for order in ((), ("--seed", "7")):
        everything, status = ids(*order)
        assert len(everything) > 10 and status == 0
        assert ids(*order, "--after", everything[3]) == (everything[4:], 3)
    assert ids("--after", everything[-1], *order) == ([], 3)
    assert ids("--after", "no/such/case") == ([], 3)


FOR_EVER = ("--loopback", "--repeat", "9999999", "request/op/7-unknown", "request/op/4-reserved")


@pytest.mark.needs("core")
@pytest.mark.claim("conformance/time-limit", "a run that --time-limit ends has a report of all its cases, and exit code 3")
@pytest.mark.parametrize("form", ["jsonl", "text"])
def test_time_limit(form):
    said = suite(*FOR_EVER, "--time-limit", "5", "--format", form)
    assert said.returncode == 3, said
    assert said.stdout.count("INCONCLUSIVE") >= 2 and said.stdout.count("time limit was over") == 2, said.stdout


def killed(*words):
    """What the suite says when the backend in its process dies in the middle of a case."""
    process = subprocess.Popen([subjects.program(), *FOR_EVER, "--progress", *words], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    process.stderr.readline()  # the case begins
    process.send_signal(signal.SIGSEGV)
    return process.communicate(timeout=60)[0], process.returncode


@pytest.mark.needs("core")
@pytest.mark.claim("conformance/crash", "after a crash each format has the run once, and the case that crashed")
@pytest.mark.parametrize("form", ["jsonl", "tap", "text"])
def test_crash(form):
    said, status = killed("--format", form)
    assert status == 4 and said.count("CRASH") >= 1, said
    if form == "jsonl":
        head, result = map(json.loads, said.splitlines())
        assert head["planned"] == 2 and result["id"] == "request/op/4-reserved" and result["clause"], said


@pytest.mark.needs("core")
@pytest.mark.claim("conformance/crash-ends", "a report that cannot be written after a crash does not keep the suite alive")
def test_crash_ends(tmp_path):
    os.mkfifo(tmp_path / "nobody-reads")
    assert killed("-o", tmp_path / "nobody-reads")[1] == -signal.SIGALRM
