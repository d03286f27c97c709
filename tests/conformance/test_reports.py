# SPDX-License-Identifier: MIT
"""Reports of the conformance suite, read by other people's programs; the HTML page, in Chromium."""

import json
import re
import subprocess

import pytest

from pvblk import browser, paths

pytestmark = pytest.mark.needs("core", "reports")

PROGRAM = paths.CORE / "conformance" / "blkif-conformance"
HEAD = {"format": "blkif-conformance/1", "subject": "xen-disk", "version": "10.0", "suite": "0.1.0",
        "date": "2026-11-29T20:00:00Z", "command": "blkif-conformance --vbd 51712", "planned": 0}
KEYS = ("id", "verdict", "clause", "level", "class", "what", "expected", "seen", "why", "deviation", "ms", "happened")
# Verdict -> the program's exit code for a run with nothing else.
CODES = {"PASS": 0, "FAIL": 1, "DEVIATION": 0, "SKIP": 77, "WEDGED": 4, "CRASH": 4, "CORRUPT": 1, "LEAK": 1,
         "INCONCLUSIVE": 3}
JUNIT = {"PASS": [], "FAIL": ["Failure"], "DEVIATION": [], "SKIP": ["Skipped"], "WEDGED": ["Error"], "CRASH": ["Error"],
         "CORRUPT": ["Failure"], "LEAK": ["Failure"], "INCONCLUSIVE": ["Error"]}
# Each ends, or opens, something in one of the formats.
HOSTILE = ["\"'`\\", "]]>", "</script><script>alert(1)</script>", "<!-- <script>", "<img src=x onerror=alert(1)>",
           "a\nnot ok 9 - b\n", "# SKIP x", "\x00\x01\x1b[31m\x7f", "\ufffe\uffff\u2028\u2029\u202e", "&amp;&#0;",
           "x" * (1 << 20)]


def case(verdict, name="", **fields):
    base = {"id": f"request/op/{name or verdict.lower()}", "verdict": verdict, "clause": "blkif:op", "level": "MUST",
            "class": "hostile", "what": f"The case of {verdict}."}
    if verdict == "SKIP":
        return {**base, "why": "needs discard", "ms": 0, **fields}
    last = {"ms": 3} if verdict == "PASS" else {"ms": 3, "happened": [
        {"us": 5, "lane": "front", "what": "READ id 3"}, {"us": 3000000, "lane": "back", "what": "response id 3"},
        {"us": 3000007, "lane": "store", "what": "state Closing"}]}
    return {**base, "expected": "EOPNOTSUPP", "seen": "OKAY", **last, **fields}


def lines(cases, **head):
    """As the program writes them."""
    ordered = [{key: case[key] for key in KEYS if key in case} for case in cases]
    return "".join(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n"
                   for line in [{**HEAD, **head}, *ordered])


ALL = [case(verdict) for verdict in CODES]
HOSTILE_CASES = [case(verdict, f"{verdict.lower()}-{number}", seen=text, expected=text, why=text,
                      happened=[{"us": 1, "lane": "store", "what": text}])
                 for number, text in enumerate(HOSTILE) for verdict in ("FAIL", "SKIP")]


@pytest.fixture
def run_file(tmp_path):
    def write(cases, name="run.jsonl", **head):
        path = tmp_path / name
        path.write_text(lines(cases, **head))
        return path
    return write


def suite(*words):
    return subprocess.run([PROGRAM, *words], capture_output=True)


def report(form, *files):
    answer = suite("--report", "--format", form, *files)
    assert not answer.stderr, answer.stderr
    return answer.stdout


def read_by(program, text):
    answer = subprocess.run(program, input=text, capture_output=True)
    said = answer.stdout.decode(errors="replace") + answer.stderr.decode(errors="replace")
    assert answer.returncode == 0, said[-2000:]
    return said


def refusal(*words, code):
    answer = suite(*words)
    assert answer.returncode == code, answer
    sentence, = answer.stderr.decode().splitlines()
    return sentence


# ---- formats for other programs ----------------------------------------------------------------------------


@pytest.mark.claim("conformance/tap", "prove reads our TAP: a test for each case, and those fail that should")
@pytest.mark.parametrize("cases", [ALL, HOSTILE_CASES], ids=["all-verdicts", "hostile-text"])
def test_tap(run_file, tmp_path, cases):
    stream = tmp_path / "run.tap"
    stream.write_bytes(report("tap", run_file(cases)))
    answer = subprocess.run(["prove", "--exec", "cat", stream], capture_output=True, text=True)
    said = answer.stdout + answer.stderr
    bad = [number for number, one in enumerate(cases, 1) if CODES[one["verdict"]] not in (0, 77)]
    assert "Parse errors" not in said, said
    assert f"Failed {len(bad)}/{len(cases)} subtests" in said, said
    failed = re.search(r"Failed tests?: +([-\d, \n]+)", said)[1]
    assert numbers(failed) == bad, said


def numbers(text):
    """Of "1-3, 5"."""
    found = []
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


@pytest.mark.claim("conformance/junit", "xmllint and junitparser read our JUnit, and its sums are those of its cases")
@pytest.mark.parametrize("cases", [ALL, HOSTILE_CASES], ids=["all-verdicts", "hostile-text"])
def test_junit(run_file, cases):
    import junitparser  # which the set-up installs after this file is read
    text = report("junit", run_file(cases))
    read_by(["xmllint", "--huge", "--noout", "-"], text)
    one, = junitparser.JUnitXml.fromstring(text)
    read = list(one)
    assert [test.name for test in read] == [case["id"] for case in cases]
    for test, case in zip(read, cases):
        assert [type(result).__name__ for result in test.result] == JUNIT[case["verdict"]], case
    told = [one.tests, one.failures, one.errors, one.skipped]
    one.update_statistics()
    assert told == [one.tests, one.failures, one.errors, one.skipped]


@pytest.mark.claim("conformance/bytes", "bytes that are no UTF-8 break no format")
@pytest.mark.parametrize(("form", "reader"), [("junit", ["xmllint", "--noout", "-"]), ("jsonl", ["jq", "-e", "."])])
def test_bytes(form, reader):
    answer = suite("--loopback", "--format", form, "--subject", b"\xff\xc0\xaf\xed\xa0\x80<", "request/op/7-unknown")
    assert answer.returncode == 0, answer
    answer.stdout.decode()
    read_by(reader, answer.stdout)


@pytest.mark.claim("conformance/terminal", "text of a backend cannot direct the terminal")
def test_terminal(run_file):
    assert b"\x1b" not in report("text", run_file(HOSTILE_CASES))


@pytest.mark.claim("conformance/jsonl", "jq reads our JSON lines; read back and written again they are the same bytes")
def test_jsonl(run_file):
    path = run_file(ALL + HOSTILE_CASES)
    again = report("jsonl", path)
    assert again == path.read_bytes()
    said = read_by(["jq", "-r", "select(.id) | .verdict"], again)
    assert said.split() == [case["verdict"] for case in ALL + HOSTILE_CASES]


@pytest.mark.claim("conformance/terse", "--terse leaves out the text of each case, and --report adds it")
def test_terse(tmp_path):
    words = ("--loopback", "--format", "jsonl", "state/connected/*")
    whole, terse = (suite(*words, *more).stdout for more in ((), ("--terse",)))
    assert len(terse) < len(whole) / 2 and b"clause" not in terse
    (tmp_path / "run").write_bytes(terse)
    without = [{**json.loads(line), "ms": 0, "date": ""} for line in whole.splitlines()]
    assert [{**json.loads(line), "ms": 0, "date": ""} for line in report("jsonl", tmp_path / "run").splitlines()] == without


# ---- exit codes, changes, refusals ---------------------------------------------------------------------------


@pytest.mark.claim("conformance/exit-codes", "a report has the exit code of its worst run")
@pytest.mark.parametrize(("verdicts", "code"), [*(((verdict,), code) for verdict, code in CODES.items()),
                                                (("FAIL", "INCONCLUSIVE"), 1), (("CRASH", "FAIL"), 4),
                                                (("SKIP", "PASS"), 0)])
def test_exit_codes(run_file, verdicts, code):
    files = [run_file([case(verdict)], f"{verdict}.jsonl") for verdict in verdicts]
    assert suite("--report", *files).returncode == code
    assert suite("--report", run_file([case(verdict) for verdict in verdicts])).returncode == code


@pytest.mark.claim("conformance/baseline", "--baseline shows each case that is new, gone, or has another verdict")
def test_baseline(run_file):
    gone, other = "request/op/gone", "request/op/7-unknown"
    before = run_file([{**case("PASS"), "id": gone}, {**case("FAIL"), "id": other}])
    words = ["--loopback", "request/op/7-unknown", "request/op/4-reserved"]
    changed = ["request/op/4-reserved: new, PASS", f"{other}: FAIL -> PASS", f"{gone}: gone, it was PASS"]
    assert suite(*words, "-q", "--baseline", before).stdout.decode().splitlines() == changed
    report = suite(*words).stdout
    assert suite(*words, "--baseline", before).stdout.decode().splitlines() == report.decode().splitlines() + changed
    # What another program reads stays as it is.
    answer = suite(*words, "--format", "tap", "--baseline", before)
    assert answer.stdout.startswith(b"TAP") and answer.stderr.decode().splitlines() == changed
    after = suite(*words, "--format", "jsonl").stdout
    run = before.with_name("after.jsonl")
    run.write_bytes(after)
    assert suite("--report", "-q", run, "--baseline", before).stdout.decode().splitlines() == changed
    assert suite(*words, "-q", "--baseline", run).stdout == b"no case changed\n"


@pytest.mark.claim("conformance/baseline-exit", "--baseline does not change the exit code, and a file that cannot be read is "
                   "refused before any case runs")
def test_baseline_exit(run_file):
    before = run_file([case("PASS")])
    plan = "at respond op=other: response/status -1"
    words = ["--loopback", "--plan", plan, "request/op/255-unknown", "--baseline"]
    assert suite(*words, before).returncode == 1
    assert "cannot be read" in refusal("--progress", *words, before.with_name("none"), code=2)


@pytest.mark.claim("conformance/judged-once", "a run that a profile judged is not judged again: the profile hides what was seen")
def test_judged_once(run_file, tmp_path):
    profile, judged = tmp_path / "known.toml", tmp_path / "judged.jsonl"
    profile.write_text('[[deviation]]\nid = "X"\ncase = "request/op/7-unknown"\nnote = "known"\n')
    assert suite("--report", run_file([case("FAIL", "7-unknown")]), "--profile", profile, "--format", "jsonl", "-o",
                 judged).returncode == 0
    assert "judged by a profile already" in refusal("--report", judged, "--profile", profile, code=2)
    assert suite("--report", judged).returncode == 0
    # A file of an older suite does not name its profile.
    old = run_file([case("DEVIATION")], "old.jsonl")
    assert "judged by a profile already" in refusal("--report", old, "--profile", profile, code=2)


@pytest.mark.claim("conformance/same-subject", "two runs of one subject stay two, by the names of their files")
def test_same_subject(run_file, tmp_path):
    files = [run_file([case("PASS")], "a.jsonl"), run_file([case("FAIL")], "b.jsonl")]
    said = report("text", *files).decode()
    assert all(f"xen-disk ({file}): " in said for file in files), said
    page = html(tmp_path, *files).read_text()
    assert all(f'"subject":"xen-disk ({file})"' in page for file in files)


@pytest.mark.claim("conformance/times", "a time in a file that is below zero or absurd breaks no format")
@pytest.mark.parametrize("ms", [-5, -(1 << 63), (1 << 63) - 1, 1 << 64, 1.5e300, "5"])
def test_times(run_file, ms):
    path = run_file([case("FAIL", ms=ms, happened=[{"us": ms, "lane": "front", "what": "READ"}])] * 2)
    text = report("junit", path)
    read_by(["xmllint", "--noout", "-"], text)
    assert all(0 <= float(time) < 1e8 for time in re.findall(r'time="([^"]*)"', text.decode())), text
    kept = [json.loads(line) for line in report("jsonl", path).splitlines()[1:]]
    assert all(0 <= one["ms"] <= 10**9 and 0 <= one["happened"][0]["us"] <= 10**12 for one in kept), kept


@pytest.mark.claim("conformance/refusals", "a file that cannot be used is refused in one sentence")
def test_refusals(run_file, tmp_path):
    good = run_file(ALL)
    broken = tmp_path / "broken.jsonl"
    broken.write_text(lines(ALL[:2]) + "{\"id\":")
    assert "line 4 is no JSON object" in refusal("--report", broken, code=2)
    broken.write_bytes(lines(ALL[:1]).encode() + b"{\"id\":\"\xff\"}\n")
    assert "line 3 is no JSON object" in refusal("--report", broken, code=2)
    broken.write_text("{}\n")
    assert "line 1" in refusal("--report", broken, code=2)
    broken.write_text("")
    assert "empty" in refusal("--report", broken, code=2)
    for form in ("tap", "junit", "jsonl"):
        assert "one run" in refusal("--report", "--format", form, good, good, code=2)
    assert "cannot be read" in refusal("--report", tmp_path / "none.jsonl", code=2)
    assert "cannot be written" in refusal("--report", good, "-o", tmp_path / "no" / "folder", code=3)


@pytest.mark.claim("conformance/command", "the command in a run repeats it, with its fault plan")
def test_command():
    plan = 'at publish-node name=mode times=1: store/node-value "w"'
    answer = suite("--loopback", "--plan", plan, "--format", "jsonl", "request/op/7-unknown")
    assert answer.stdout, answer
    assert json.loads(answer.stdout.splitlines()[0])["command"] == f"blkif-conformance --loopback --plan '{plan}'"


# ---- the page ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    folder = tmp_path_factory.mktemp("chromium")
    one = browser.Browser(folder, folder / "chromium.log")
    yield one
    one.close()


@pytest.fixture
def page(run_file, tmp_path):
    """The page of two runs that differ in two cases; the second lacks one."""
    ours = [{**case, "verdict": "PASS"} for case in ALL[:2]]
    files = [run_file(ALL, "a.jsonl"), run_file([*ours, *ALL[3:]], "b.jsonl", subject="xen-pvblk", version="0.2")]
    return html(tmp_path, *files)


def html(tmp_path, *files):
    path = tmp_path / "page.html"
    answer = suite("--report", "--format", "html", "-o", path, *files)
    assert not answer.stderr, answer.stderr
    return path


def rows(chromium):
    return chromium.value("[...document.querySelectorAll('tr.case')].filter(r => !r.hidden)"
                          ".map(r => r.querySelector('.id').textContent)")


def names(*verdicts):
    return [f"request/op/{verdict.lower()}" for verdict in verdicts]


@pytest.mark.claim("conformance/page", "the page has a row for each case and a word for each verdict; it loads "
                   "nothing, and the console stays empty")
def test_page(chromium, page):
    chromium.show(page)
    assert rows(chromium) == names(*CODES)
    cells = chromium.value("[...document.querySelectorAll('tr.case')].map(r => [...r.querySelectorAll('.v')]"
                           ".map(v => v.textContent))")
    assert cells == [[verdict, other] for verdict, other in zip(CODES, [
        "PASS", "PASS", "not run", "SKIP", "WEDGED", "CRASH", "CORRUPT", "LEAK", "INCONCLUSIVE"])]
    assert chromium.complaints == [] and chromium.requests == [f"file://{page}"]


@pytest.mark.claim("conformance/page-filter", "the page's address keeps its filter and its open cases")
@pytest.mark.parametrize(("fragment", "left"), [
    ("verdict=CRASH", names("CRASH")), ("verdict=unexpected", names("FAIL", "WEDGED", "CRASH", "CORRUPT", "LEAK", "INCONCLUSIVE")),
    ("differ=1", names("FAIL", "DEVIATION")), ("q=case of wedged", names("WEDGED")), ("area=ring", []),
    ("level=MUST&class=hostile&verdict=FAIL", names("FAIL"))])
def test_page_filter(chromium, page, fragment, left):
    chromium.show(page, fragment)
    # What the page does not offer as a choice does not filter.
    assert rows(chromium) == (left or names(*CODES))


@pytest.mark.claim("conformance/page-case", "an open case shows its answers, its last operations in lanes, and the "
                   "command that repeats it")
def test_page_case(chromium, page):
    chromium.show(page, "open=request/op/crash")
    detail = chromium.value("document.querySelector('.detail').innerText")
    for words in ("The case of CRASH.", "blkif:op", "EOPNOTSUPP", "OKAY", "3.00 s later", "state Closing",
                  "blkif-conformance --vbd 51712 'request/op/crash'"):
        assert words in detail, detail
    assert chromium.value("[...document.querySelectorAll('.panel')][0].querySelectorAll('.lanes i').length") == 3


@pytest.mark.claim("conformance/page-keys", "arrows go through the cases, Enter opens one, and the address follows")
def test_page_keys(chromium, page):
    chromium.show(page)
    chromium.value("document.querySelector('tr.case button').focus()")
    chromium.press("ArrowDown")
    assert chromium.value("document.activeElement.textContent") == "request/op/fail"
    chromium.press("Enter")
    assert chromium.value("location.hash") == "#open=request/op/fail"
    chromium.press("ArrowLeft")
    assert chromium.value("location.hash + document.querySelectorAll('.detail').length") == "0"
    chromium.press("/")
    assert chromium.value("document.activeElement.id") == "q"


@pytest.mark.claim("conformance/page-copy", "a button marks and copies the command that repeats a case, and Enter "
                   "still closes the case")
def test_page_copy(chromium, page):
    chromium.show(page, "open=request/op/crash")
    # A headless Chromium may have no clipboard; the command is marked all the same.
    chromium.value("document.querySelector('.command button').click()")
    assert chromium.value("getSelection().toString()") == "blkif-conformance --vbd 51712 'request/op/crash'"
    chromium.press("Enter")
    assert chromium.value("document.querySelectorAll('.detail').length") == 0


@pytest.mark.claim("conformance/page-policy", "the page's policy forbids to load anything, even from beside it")
def test_page_policy(chromium, page):
    chromium.show(page)
    assert chromium.value("new Promise(done => { setTimeout(() => done('allowed'), 9000);"
                          "document.addEventListener('securitypolicyviolation', e => done(e.effectiveDirective));"
                          "new Image().src = 'page.html'; })") == "img-src"


@pytest.mark.claim("conformance/page-hostile", "text of a backend never becomes markup or a script of the page")
def test_page_hostile(chromium, run_file, tmp_path):
    path = html(tmp_path, run_file(HOSTILE_CASES, subject=HOSTILE[2], version=HOSTILE[4]))
    chromium.show(path, "&".join(f"open=request/op/fail-{number}" for number in range(len(HOSTILE))))
    assert len(rows(chromium)) == len(HOSTILE_CASES)
    assert chromium.value("document.querySelectorAll('.detail').length") == len(HOSTILE)
    assert chromium.value("[document.scripts.length, document.images.length]") == [2, 0]
    assert chromium.value("document.querySelectorAll('.panel dd')[4].textContent") is not None
    assert chromium.complaints == [] and chromium.requests == [f"file://{path}"]


@pytest.mark.claim("conformance/page-wide", "with twenty subjects, backends and frontends, a case's name keeps its room")
def test_page_wide(chromium, run_file, tmp_path):
    chromium.show(html(tmp_path, *(run_file(ALL, f"{number}.jsonl", subject=f"subject-{number}") for number in range(20))))
    assert chromium.value("document.querySelector('tr.case .id').getBoundingClientRect().width") >= 60
    assert chromium.value("document.querySelector('tr.case > *').getBoundingClientRect().width") >= 200


@pytest.mark.claim("conformance/page-narrow", "nothing of the page is wider than a telephone of 360 pixels")
def test_page_narrow(chromium, page):
    chromium.size(360)
    chromium.show(page, "open=request/op/crash&open=request/op/fail")
    assert chromium.value("document.documentElement.scrollWidth") <= 360
    chromium.size(1200)


@pytest.mark.claim("conformance/page-schemes", "words stand out from their background in light and in dark by 4.5 to 1")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_schemes(chromium, page, scheme):
    chromium.scheme(scheme)
    chromium.show(page)
    colours = chromium.value("(() => { const s = getComputedStyle(document.documentElement); return Object.fromEntries("
                             "['page', 'band', 'hover', 'ink', 'dim', 'good', 'bad', 'dead', 'known', 'unsure']"
                             ".map(n => [n, s.getPropertyValue('--' + n).trim()])); })()")
    grounds = [colours.pop(name) for name in ("page", "band", "hover")]
    weak = [(name, ground) for name, colour in colours.items() for ground in grounds
            if contrast(colour, ground) < 4.5]
    assert not weak, weak
    assert (luminance(grounds[0]) < 0.2) == (scheme == "dark")


def luminance(colour):
    digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
    parts = [int(digits[at:at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear))


def contrast(one, other):
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)
