# SPDX-License-Identifier: MIT
"""`pvblk conformance`: plays the suite on several backends at a time, and shows what came of it side by side."""

import json
import shlex
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from . import paths, setup, subjects, ui

HELP = """\
./pvblk conformance: which clauses of blkif a backend breaks (docs/conformance.rst)

  ./pvblk conformance                          {default}: side by side
  ./pvblk conformance xen-disk 'ring/**'       one subject, some cases: globs over IDs, level:must, class:hostile,
                                               clause:ring:req-prod, needs:flush
  ./pvblk conformance qemu:/path/to/qemu-system-x86_64 --device my-backend
                                               a QEMU of your own, with the series' emulation of Xen
  ./pvblk conformance --list                   every case; --coverage: every clause with its cases

Subjects:

{subjects}

  --format text|tap|junit|jsonl|html, -o FILE  the report; an HTML page is always written, too
  --profile FILE       what is known of the subject, instead of the profile that comes with the suite; `none`: nothing
  --repeat N, --seed N, --shard I/N, --time-limit SECONDS     see blkif-conformance --help
  --gdb CASE           loopback only: gdb with the suite, before that case
"""
RESULTS = paths.BUILD / "conformance"
# The exit status if a subject could not be judged.
UNDECIDED = 3
# Options of the suite's own, with a value.
FOR_THE_SUITE = ("--repeat", "--seed", "--shard", "--time-limit")


def help_text():
    rows = "\n".join(f"  {subject.name:20} {subject.title}" for subject in subjects.ALL.values())
    return HELP.format(default=", ".join(subjects.DEFAULT), subjects=rows)


class Words:
    """The command line, sorted. A ValueError is a sentence for the user."""

    def __init__(self, words):
        self.subjects, self.cases, self.suite = [], [], []
        self.format, self.output, self.profile, self.device, self.gdb = "text", None, None, "xen-disk", None
        qemus = []
        rest = iter(words)
        for word in rest:
            name, equals, value = word.partition("=")
            if name in ("--format", "-o", "--profile", "--device", "--gdb", *FOR_THE_SUITE):
                value = value if equals else next(rest, None)
                if not value:
                    raise ValueError(f"{name} needs a value")
                if name in FOR_THE_SUITE:
                    self.suite += [name, value]
                else:
                    setattr(self, {"-o": "output"}.get(name, name.strip("-")), value)
            elif word.startswith("-"):
                raise ValueError(f"conformance does not take {word}")
            elif word.startswith("qemu:"):
                qemus.append(word)
            elif word in subjects.ALL:
                self.subjects.append(subjects.ALL[word])
            else:
                self.cases.append(word)
        for word in qemus:
            binary = Path(word.removeprefix("qemu:")).resolve()
            if not binary.is_file():
                raise ValueError(f"{word}: there is no such file; give the path of a qemu-system-x86_64")
            self.subjects.append(replace(subjects.XEN_DISK, name=word, title="your QEMU", profile="", binary=binary,
                                         device=self.device))
        if not self.subjects:
            self.subjects = [subjects.ALL[name] for name in subjects.DEFAULT]
        if self.gdb and self.subjects != [subjects.LOOPBACK]:
            raise ValueError("--gdb is for one subject, loopback: the others are in machines of their own")
        if self.format not in ("text", "tap", "junit", "jsonl", "html"):
            raise ValueError(f"--format {self.format} is none of text, tap, junit, jsonl and html")


def suite(*words, **how):
    return subprocess.run([str(subjects.program()), *map(str, words)], **how)


def command(words, folder=RESULTS):
    """The exit status: the suite's, or the worst of several subjects. `folder` gets the results and the page."""
    if "--help" in words or "-h" in words:
        print(help_text(), end="")
        return 0
    if "--list" in words or "--coverage" in words:
        setup.ensure("core")
        return suite(*words).returncode
    try:
        wanted = Words(words)
    except ValueError as problem:
        raise ui.Problem(f"{problem}; see ./pvblk conformance --help") from None
    setup.ensure(*dict.fromkeys(step for subject in wanted.subjects for step in subject.steps))
    # Before any machine boots: is there such a case at all?
    chosen = suite("--list", *wanted.cases, capture_output=True, text=True)
    if chosen.returncode:
        raise ui.Problem(chosen.stderr.strip().splitlines()[0].removeprefix("blkif-conformance: "))
    if wanted.gdb:
        setup.ensure("debugger")
        return subprocess.run(["gdb", "-q", "-ex", "break pvblk::conformance::before_first_case", "-ex", "run",
                               "--args", subjects.program(), "--loopback", wanted.gdb]).returncode
    folder.mkdir(parents=True, exist_ok=True)
    files, all_is_well = play_all(wanted, folder)
    if not files:
        return UNDECIDED
    page = folder / "index.html"
    suite("--report", "--format", "html", "-o", page, *files, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    status = show(wanted, files, page)
    # A subject with trouble of its own is never green.
    return status if all_is_well or status not in (0, 77) else UNDECIDED


def play_all(wanted, folder):
    """Two machines at a time. A file of results for each subject that said something; was there no trouble?"""
    lock, done, troubles = threading.Lock(), {}, []

    def play(subject):
        def on_result(line):
            with lock:
                done[subject.name] = done.get(subject.name, 0) + 1
                ui.status("  " + ", ".join(f"{name}: {count}" for name, count in done.items()) + " cases")
        def trouble(problem):
            with lock:
                ui.explain(problem)
                troubles.append(problem)
        try:
            journal = subject.play([*wanted.suite, *wanted.cases], on_result)
            for problem in journal.troubles:
                trouble(problem)
            return write(subject, journal, wanted, folder)
        except ui.Problem as problem:
            return trouble(problem)
        except OSError as error:
            return trouble(ui.Problem(f"{subject.name}: {error}"))

    with ThreadPoolExecutor(2) as pool:
        files = list(pool.map(play, wanted.subjects))
    ui.clear_status()
    return [file for file in files if file], not troubles


def write(subject, journal, wanted, folder):
    """The results as JSON lines, judged by what is known of the subject."""
    raw, judged = folder / f"{subject.file_name}.raw.jsonl", folder / f"{subject.file_name}.jsonl"
    repeat = "./pvblk conformance " + shlex.quote(subject.name)
    head = {**json.loads(journal.head), "subject": subject.name, "version": subject.version(journal), "command": repeat}
    raw.write_text("\n".join([json.dumps(head), *journal.results]) + "\n")
    profile = subject.profile_file() if wanted.profile is None else \
        None if wanted.profile == "none" else wanted.profile
    said = suite("--report", raw, "--format", "jsonl", "-o", judged, *(["--profile", profile] if profile else []),
                 stderr=subprocess.PIPE, text=True)
    if said.returncode == 2:
        raise ui.Problem(said.stderr.splitlines()[0].removeprefix("blkif-conformance: "))
    return judged


def show(wanted, files, page):
    """The report that was asked for; the exit status."""
    if wanted.format != "text" or wanted.output:
        where = ["-o", wanted.output] if wanted.output else []
        return suite("--report", "--format", wanted.format, *where, *files).returncode
    for line in matrix(files):
        ui.say(line)
    ui.say(f"the page with all of it: {paths.shown(page)}")
    return suite("--report", "-q", *files, stdout=subprocess.DEVNULL).returncode


def matrix(files):
    """A row for each case that some subject does not pass, a column for each subject."""
    runs = []
    for file in files:
        head, *results = map(json.loads, file.read_text().splitlines())
        runs.append((head, {result["id"]: result for result in results}))
    ids = list(dict.fromkeys(id for _, results in runs for id in results))
    widths = [max(22, len(head["subject"]) + 2) for head, _ in runs]

    def cell(result):
        if not result:
            return ""
        return result["verdict"] + (f" {result['deviation']}" if result.get("deviation") else "")

    yield f"{'':44}" + "".join(f"{head['subject']:{width}}" for (head, _), width in zip(runs, widths))
    yield f"{'':44}" + "".join(f"{head['version']:{width}}" for (head, _), width in zip(runs, widths))
    for id in ids:
        row = [results.get(id) for _, results in runs]
        if any(result and result["verdict"] not in ("PASS", "SKIP") for result in row):
            yield f"{id:43} " + "".join(f"{cell(result):{width}}" for result, width in zip(row, widths))
    for verdict in ("PASS", "FAIL", "DEVIATION", "SKIP", "WEDGED", "CRASH", "INCONCLUSIVE"):
        counts = [sum(result["verdict"] == verdict for result in results.values()) for _, results in runs]
        if any(counts):
            yield f"{verdict:44}" + "".join(f"{count:<{width}}" for count, width in zip(counts, widths))
    missing = [max(head.get("planned", 0) - len(results), 0) for head, results in runs]
    if any(missing):
        yield f"{'did not run':44}" + "".join(f"{count:<{width}}" for count, width in zip(missing, widths))
