# SPDX-License-Identifier: MIT
"""`pvblk conformance`: plays the suite on several backends or frontends at a time, and shows the results side by side."""

import json
import os
import shlex
import subprocess
import threading
import tomllib
from collections import ChainMap
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path

from . import frontends, guest, paths, setup, subjects, ui, userqemu

HELP = """\
./pvblk conformance: the clauses of blkif that a backend (docs/conformance.rst) or a frontend
(docs/conformance-frontends.rst) breaks

  ./pvblk conformance                          {default}: side by side
  ./pvblk conformance xen-disk 'ring/**'       one subject, some cases: globs over IDs, level:must, class:hostile,
                                               clause:ring:req-prod, needs:flush
  ./pvblk conformance qemu:/path/to/qemu-system-x86_64 --device my-backend
                                               a QEMU of your own, with the series' emulation of Xen
  ./pvblk conformance frontend:linux-6.12      a frontend; its cases are called front/...
  ./pvblk conformance --list [CASE...]         every case for backends; for frontends, add --frontend
  ./pvblk conformance --coverage               the number of cases for each clause

Subjects:

{subjects}

  --format text|tap|junit|jsonl|html, -o FILE  the report; an HTML page is always written, too
  --profile FILE       known defects of the subject, instead of the suite's own profile of it; `none`: each of them is
                       a FAIL
  --baseline FILE      an earlier run (jsonl): show each case whose verdict changed; again for other subjects
  --device NAME        with qemu:PATH: the QEMU device of your backend (xen-disk, if you name none)
  --repeat N, --seed N, --shard I/N, --time-limit SECONDS     for backends, see docs/conformance.rst; a frontend
                       takes --shard alone
  --gdb CASE           loopback only: gdb with the suite, before that case

Exit status: 0 as expected, 1 a FAIL, CORRUPT or LEAK, 2 wrong words, 3 could not decide, 4 a CRASH or WEDGED, 77 all
was skipped, 130 interrupted.
"""
RESULTS = paths.BUILD / "conformance"
# The exit status if a subject could not be judged.
UNDECIDED = 3
# Why a case went wrong, below the table.
MOST_REASONS, LONGEST_REASON = 20, 200
# Options of the suite's own, with a value.
FOR_THE_SUITE = ("--repeat", "--seed", "--shard", "--time-limit")
SUBJECTS = ChainMap(subjects.ALL, frontends.ALL)


def help_text():
    rows = "\n".join(f"  {subject.name:22} {subject.title}" for subject in (*subjects.ALL.values(), *frontends.ALL.values()))
    return HELP.format(default=", ".join(subjects.DEFAULT), subjects=rows)


class Words:
    """The command line, sorted. A ValueError is a sentence for the user."""

    def __init__(self, words):
        self.subjects, self.cases, self.suite, self.baselines = [], [], [], []
        self.format, self.output, self.profile, self.device, self.gdb = "text", None, None, None, None
        rest = iter(words)
        qemus = []
        for word in rest:
            name, equals, value = word.partition("=")
            if name in ("--format", "-o", "--profile", "--device", "--gdb", "--baseline", *FOR_THE_SUITE):
                self._option(name, value if equals else next(rest, None))
            elif word.startswith("-"):
                raise ValueError(f"conformance does not take {word}")
            elif word.startswith("qemu:"):
                qemus.append(word)
            elif word in SUBJECTS:
                self.subjects.append(SUBJECTS[word])
            elif word.startswith("frontend:"):
                raise ValueError(f"{word} is none of {', '.join(frontends.ALL)}")
            else:
                self.cases.append(word)
        self.subjects += map(self._qemu, qemus)
        # Whoever names one twice gets it once.
        self.subjects = list(dict.fromkeys(self.subjects)) or [subjects.ALL[name] for name in subjects.DEFAULT]
        roles = {subject.role for subject in self.subjects}
        if len(roles) > 1:
            raise ValueError("backends and frontends have different cases: name them in two commands")
        # The suite's own word for the cases of frontends.
        self.role = ["--frontend"] if roles == {"frontend"} else []
        if self.role and [word for word in self.suite if word.startswith("--") and word != "--shard"]:
            raise ValueError(f"a frontend plays each scenario once, in one order: leave out {self.suite[0]}")
        if self.device and not qemus:
            raise ValueError("--device is for a QEMU of your own: name it as qemu:PATH")
        if self.gdb and self.subjects != [subjects.LOOPBACK]:
            raise ValueError("--gdb is for one subject, loopback: the others are in machines of their own")
        self._check_report()
        if self.profile not in (None, "none"):
            check_toml(self.profile)
        self.baselines = [Baseline(path, self.subjects) for path in self.baselines]

    def _option(self, name, value):
        if not value:
            raise ValueError(f"{name} needs a value")
        if name in FOR_THE_SUITE:
            self.suite += [name, value]
        elif name == "--baseline":
            self.baselines.append(value)
        else:
            setattr(self, {"-o": "output"}.get(name, name.strip("-")), value)

    def _qemu(self, word):
        """A QEMU of the user's is asked at once: a machine that does not boot costs minutes."""
        device = self.device or subjects.XEN_DISK.device
        try:
            binary = Path(word.removeprefix("qemu:")).expanduser().resolve()
            why = userqemu.complaint(binary, device)
        except (OSError, RuntimeError) as error:  # no such user, links in a circle, a name that is too long
            raise ValueError(f"{word[:200]}: {error}") from None
        if why:
            raise ValueError(f"{word}: {why}")
        return replace(subjects.XEN_DISK, name=f"qemu:{binary}", title="your QEMU", profile="", binary=binary,
                       device=device)

    def _check_report(self):
        """The report is written last: better now a word than then."""
        if self.format not in ("text", "tap", "junit", "jsonl", "html"):
            raise ValueError(f"--format {self.format} is none of text, tap, junit, jsonl and html")
        if self.format in ("tap", "junit", "jsonl") and len(self.subjects) > 1:
            raise ValueError(f"--format {self.format} holds one run: name one subject")
        if self.format == "html" and not self.output:
            raise ValueError("--format html needs -o FILE")
        if not self.output:
            return
        file = Path(self.output)
        if file.is_dir():
            raise ValueError(f"-o {file} is a folder: give a file's name in it")
        if not file.parent.is_dir():
            raise ValueError(f"-o {file}: there is no folder {file.parent}")
        if not os.access(file if file.exists() else file.parent, os.W_OK):
            raise ValueError(f"-o {file} cannot be written: choose another name")

    def profile_of(self, subject):
        """Of the user, or of the subject; None if there is none."""
        if self.profile == "none":
            return None
        return self.profile or subject.profile_file()

    def profiles(self):
        return list(dict.fromkeys(filter(None, map(self.profile_of, self.subjects))))


def check_toml(path):
    try:
        tomllib.loads(Path(path).read_text())
    except OSError as error:
        raise ValueError(f"--profile {path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"--profile {path} is no TOML: {error}") from None


class Baseline:
    """An earlier run, and the subject that it is compared with. It is read before a new run takes its file's place."""

    def __init__(self, path, chosen):
        self.path = path
        try:
            head, *results = lines_of(Path(path))
            self.verdicts = {result["id"]: result["verdict"] for result in results}
            known, subject = head["format"].startswith("blkif-conformance/"), head.get("subject", "")
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            known, subject = False, ""
        if not known:
            raise ValueError(f"--baseline {path} cannot be read: name a file that --format jsonl wrote")
        names = [one.name for one in chosen]
        if subject not in names and len(names) > 1:
            raise ValueError(f"--baseline {path} is a run of {subject or 'an unknown subject'}, and not of "
                             + ", ".join(names))
        # One subject may have had another name.
        self.subject = subject if subject in names else names[0]

    def changes(self, verdicts, chosen):
        """A line for each case whose verdict changed. A case is gone only if this run wanted it."""
        for id, verdict in verdicts.items():
            before = self.verdicts.get(id)
            if before is None:
                yield f"{id}: new, {verdict}"
            elif before != verdict:
                yield f"{id}: {before} -> {verdict}"
        for id, before in self.verdicts.items():
            if id not in verdicts and (not chosen or id.partition("~")[0] in chosen):
                yield f"{id}: gone, it was {before}"


def lines_of(file):
    """Of JSON. A backend's text may hold what Python, but not the suite, takes for the end of a line."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n") if line]


def suite(*words, **how):
    return subprocess.run([str(subjects.program()), *map(str, words)], **how)


class Undecided(ui.Problem):
    """No verdict came of it. Status 1 would be a FAIL."""

    status = UNDECIDED


def command(words, folder=RESULTS):
    """The exit status: the suite's, or the worst of several subjects. `folder` gets the results and the page."""
    try:
        return _command(words, folder)
    except ui.Usage:
        raise
    except ui.Problem as problem:
        raise Undecided(str(problem), problem.log) from problem


def _command(words, folder):
    if "--help" in words or "-h" in words:
        print(help_text(), end="")
        return 0
    if "--list" in words or "--coverage" in words:
        setup.ensure("core")
        return suite(*words).returncode
    try:
        wanted = Words(words)
    except ValueError as problem:
        raise ui.Usage(f"{problem}; see ./pvblk conformance --help") from None
    if wanted.format != "text" and not wanted.output:
        # The report is all of standard output.
        ui.to_standard_error()
    setup.ensure("core")
    chosen = check_by_suite(wanted)
    setup.ensure(*dict.fromkeys(step for subject in wanted.subjects for step in subject.steps))
    if wanted.gdb:
        setup.ensure("debugger")
        return subprocess.run(["gdb", "-q", "-ex", "break pvblk::conformance::before_first_case", "-ex", "run",
                               "--args", subjects.program(), "--loopback", *wanted.suite, wanted.gdb]).returncode
    folder.mkdir(parents=True, exist_ok=True)
    files, all_is_well = play_all(wanted, chosen, folder)
    status = report(wanted, files, chosen, folder) if files else UNDECIDED
    if guest.running.over:
        raise KeyboardInterrupt
    # A subject with trouble of its own is never green.
    return status if all_is_well or status not in (0, 77) else UNDECIDED


def report(wanted, files, chosen, folder):
    """The page, and what was asked for; the exit status."""
    page = folder / "index.html"
    suite("--report", "--format", "html", "-o", page, *files, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    status = show(wanted, files, page)
    for baseline in wanted.baselines:
        show_changes(baseline, files, chosen)
    return status


def check_by_suite(wanted):
    """The cases that the words choose. What the suite refuses, it refuses before a machine is built or boots."""
    cases = [wanted.gdb] if wanted.gdb else wanted.cases
    for profile in wanted.profiles() or [None]:
        judge = ["--profile", profile] if profile else []
        said = suite(*wanted.role, "--list", *wanted.suite, *judge, *cases, capture_output=True, text=True)
        if said.returncode:
            raise ui.Usage((said.stderr.strip().splitlines() or [f"the suite ended with status {said.returncode}"])[0]
                           .removeprefix("blkif-conformance: "))
    chosen = [line for line in said.stdout.splitlines()[:-1] if not line.startswith(" ")]
    if not chosen:
        raise ui.Usage("no case is left to play: choose more, or fewer shards")
    return chosen


def play_all(wanted, chosen, folder):
    """Two machines at a time. A file of results for each subject that said something; was there no trouble?"""
    lock, done, troubles = threading.Lock(), {}, []
    order = {case: place for place, case in enumerate(chosen)}

    def play(job):
        part, words = job

        def on_result(line):
            with lock:
                done[part.name] = done.get(part.name, 0) + 1
                ui.status("  " + ", ".join(f"{name}: {count}" for name, count in done.items()) + " cases")
        def trouble(problem):
            with lock:
                ui.explain(problem)
                troubles.append(problem)
        try:
            journal = part.play(words, on_result)
            for problem in journal.troubles:
                trouble(problem)
            return journal
        except ui.Problem as problem:
            return trouble(problem)
        except OSError as error:
            return trouble(ui.Problem(f"{part.name}: {error}"))

    # Those first that take the longest.
    jobs = sorted((job for subject in wanted.subjects
                   for job in subject.parts([*wanted.suite, *wanted.cases], len(chosen))),
                  key=lambda job: -job[0].machines)
    with ThreadPoolExecutor(2) as pool:
        playing = [pool.submit(play, job) for job in jobs]
        try:
            wait(playing)
        except KeyboardInterrupt:
            # What was played is reported.
            guest.running.end()
    journals = [(part.name, future.result()) for (part, _), future in zip(jobs, playing)]
    ui.clear_status()
    files = []
    for subject in wanted.subjects:
        said = [journal for name, journal in journals if name == subject.name and journal]
        if said:
            for other in said[1:]:
                said[0].join(other, order)
            try:
                files.append(write(subject, said[0], wanted, folder))
            except ui.Problem as problem:
                ui.explain(problem)
                troubles.append(problem)
    return files, not troubles


def write(subject, journal, wanted, folder):
    """The results as JSON lines, judged by what is known of the subject."""
    raw, judged = folder / f"{subject.file_name}.raw.jsonl", folder / f"{subject.file_name}.jsonl"
    device = ["--device", wanted.device] if wanted.device else []
    repeat = "./pvblk conformance " + shlex.join([subject.name, *device])
    head = {**json.loads(journal.head), "subject": subject.name, "version": subject.version(journal), "command": repeat}
    raw.write_text("\n".join([json.dumps(head), *journal.results]) + "\n")
    profile = wanted.profile_of(subject)
    said = suite("--report", raw, "--format", "jsonl", "-o", judged, *(["--profile", profile] if profile else []),
                 stderr=subprocess.PIPE, text=True)
    if said.stderr:
        # An earlier run's file may still be there.
        raise ui.Problem(said.stderr.splitlines()[0].removeprefix("blkif-conformance: "))
    return judged


def show(wanted, files, page):
    """The report that was asked for; the exit status."""
    if wanted.format != "text" or wanted.output:
        where = ["-o", wanted.output] if wanted.output else []
        return suite("--report", "--format", wanted.format, *where, *files).returncode
    for line in (*matrix(files), *reasons(files)):
        ui.say(line)
    ui.say(f"the page with all of it: {paths.shown(page)}")
    return suite("--report", "-q", *files, stdout=subprocess.DEVNULL).returncode


def read(file):
    """The run, and its results by ID."""
    head, *results = lines_of(file)
    return head, {result["id"]: result for result in results}


def show_changes(baseline, files, chosen):
    for head, results in map(read, files):
        if head["subject"] == baseline.subject:
            ui.say(f"{baseline.subject}, since {baseline.path}:")
            verdicts = {id: result["verdict"] for id, result in results.items()}
            for line in list(baseline.changes(verdicts, chosen)) or ["no case changed"]:
                ui.say(f"  {line}")


def reasons(files):
    """A line for each case that went wrong; the page has the rest."""
    wrong = [(id, head["subject"], result) for head, results in map(read, files) for id, result in results.items()
             if result["verdict"] not in ("PASS", "SKIP", "DEVIATION")]
    for id, subject, result in wrong[:MOST_REASONS]:
        text = "; ".join(filter(None, (result.get("seen"), result.get("why"))))
        yield f"{id}, {subject}: {' '.join(text.split())[:LONGEST_REASON]}"
    if len(wrong) > MOST_REASONS:
        yield f"... and {len(wrong) - MOST_REASONS} more"


def matrix(files):
    """A row for each case that some subject does not pass, a column for each subject."""
    runs = list(map(read, files))
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
    for verdict in ("PASS", "FAIL", "DEVIATION", "SKIP", "WEDGED", "CRASH", "CORRUPT", "LEAK", "INCONCLUSIVE"):
        counts = [sum(result["verdict"] == verdict for result in results.values()) for _, results in runs]
        if any(counts):
            yield f"{verdict:44}" + "".join(f"{count:<{width}}" for count, width in zip(counts, widths))
    missing = [max(head.get("planned", 0) - len(results), 0) for head, results in runs]
    if any(missing):
        yield f"{'did not run':44}" + "".join(f"{count:<{width}}" for count, width in zip(missing, widths))
