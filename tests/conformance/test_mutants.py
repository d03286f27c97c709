# SPDX-License-Identifier: MIT
"""The suite's own test: our backend or our frontend with one defect at a time, on the loopback; the cases that are meant
to notice do.

A defect is a fault plan, or a changed file of the core (tests/conformance/mutants/*.toml). Only what depends on the file
is compiled again. It is linked before the libraries, and so takes the place of what they have.

Most of a compilation reads C++'s own headers. They are compiled once for all defects.
"""

import json
import re
import shlex
import subprocess
from functools import cache

import pytest

import kill_table
from pvblk import buildtools, paths, subjects, ui

LIBRARIES = ("libpvblk_honest.a.p/", "libpvblk.a.p/", "libpvblk_honest_loopback.a.p/")
FAST = ("-O0", "-g0", "-w")
# A defect may send an end round in circles.
SECONDS = 20
WHOLE_SUITE_SECONDS = 120


class Compiler:
    """The commands that build the suite, by Meson's list of commands and Ninja's of dependencies."""

    def __init__(self, folder):
        commands = json.loads((paths.CORE / "compile_commands.json").read_text())
        self.commands = {entry["output"]: entry for entry in commands if entry["output"].startswith(LIBRARIES)}
        self.dependencies = self._dependencies()
        self.link = next(shlex.split(entry["command"]) for entry in json.loads(self._ninja("compdb", "-x", "cpp_LINKER"))
                         if entry["output"] == f"conformance/{subjects.PROGRAM}")
        self.headers = self._precompile(folder)

    def _precompile(self, folder):
        """A header with those of C++ that the core includes, compiled."""
        sources = [*kill_table.CORE.rglob("*.h"), *kill_table.CORE.rglob("*.cc")]
        names = {name for path in sources for name in re.findall(r"^#include (<[a-z_]+>)", path.read_text(), re.M)}
        header = folder / "headers.h"
        header.write_text("".join(f"#include {name}\n" for name in sorted(names)))
        words = self._plain(next(iter(self.commands.values()))["command"])
        # From here on they name the source and what comes of it.
        own = words.index("-MD")
        self._run([*words[:own], *FAST, "-x", "c++-header", header, "-o", folder / "headers.h.gch"])
        return header

    @staticmethod
    def _plain(command):
        """The words of a compilation, without ccache before them."""
        words = shlex.split(command)
        begin = next(index for index, word in enumerate(words) if word.startswith("-"))
        return words[begin - 1:]

    def _ninja(self, *words):
        return subprocess.run(["ninja", "-t", *words], cwd=paths.CORE, capture_output=True, text=True,
                              env=buildtools.environment()).stdout

    def _dependencies(self):
        """Which files each object is made of."""
        found, current = {}, set()
        for line in self._ninja("deps").splitlines():
            if line and not line.startswith(" "):
                current = found.setdefault(line.partition(":")[0], set())
            elif line.strip():
                current.add((paths.CORE / line.strip()).resolve())
        return found

    def build(self, mutant, folder):
        """The suite with this defect in it."""
        original = paths.ROOT / mutant.file
        text = original.read_text()
        if text.count(mutant.old) != 1:
            raise ui.Problem(f"{mutant.name}: `old` is {text.count(mutant.old)} times in {mutant.file}, and not once")
        changed = folder / "core" / original.relative_to(kill_table.CORE)
        changed.parent.mkdir(parents=True)
        changed.write_text(text.replace(mutant.old, mutant.new))
        objects = []
        for output, entry in self.commands.items():
            if original not in self.dependencies.get(output, ()):
                continue
            ours = folder / output.replace("/", "_")
            objects.append(ours)
            compiler, *words = self._plain(entry["command"].replace(output, str(ours)))
            if (paths.CORE / entry["file"]).resolve() == original:
                words[words.index("-c") + 1] = changed
            # The folder comes first, for a changed header.
            self._run([compiler, "-include", self.headers, "-I", folder / "core", *words, *FAST])
        program = folder / subjects.PROGRAM
        first = next(index for index, word in enumerate(self.link) if word.endswith(".a"))
        words = [program if word == f"conformance/{subjects.PROGRAM}" else word for word in self.link]
        self._run([*words[:first], *objects, *words[first:], "-s"])
        return program

    def _run(self, words):
        done = subprocess.run([str(word) for word in words], cwd=paths.CORE, capture_output=True, text=True,
                              env=buildtools.environment())
        if done.returncode:
            raise ui.Problem(f"a mutant cannot be built: {(done.stderr.strip().splitlines() or ['?'])[0]}")


def noticed(program, *words, seconds=SECONDS):
    """The cases that fail, by ID with and without variation; and how many ran."""
    done = subprocess.run([program, "--loopback", "--format", "jsonl", "--time-limit", str(seconds), *words],
                          capture_output=True, text=True, errors="replace")
    results = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"id"')]
    failed = {result["id"] for result in results if result["verdict"] not in ("PASS", "SKIP", "INCONCLUSIVE")}
    # A case is noticed by any of its variations.
    return failed | set(map(kill_table.plain, failed)), len(results)


def survivors(program, kills, *words):
    """Those of the cases that pass."""
    failed, _ = noticed(program, *words, *kills)
    return [case for case in kills if case not in failed]


def play(mutant, compiler, folder):
    if mutant.plan:
        # A plan counts from the suite's beginning, so each case has a run of its own.
        return [case for case in mutant.kills if survivors(subjects.program(), [case], "--plan", mutant.plan)]
    words = ("--frontend", *mutant.plays) if mutant.is_frontend else ()
    return survivors(compiler().build(mutant, folder), mutant.kills, *words)


@pytest.fixture(scope="session")
def compiler(tmp_path_factory):
    """Made when the first defect of code needs it."""
    return cache(lambda: Compiler(tmp_path_factory.mktemp("headers")))


@pytest.mark.needs("core")
@pytest.mark.claim("conformance/mutants-{area.name}", "each case of this file fails for the defect that is named for it")
@pytest.mark.parametrize("area", kill_table.areas(), ids=lambda area: area.name)
def test_mutants(area, compiler, tmp_path):
    left = []
    for number, mutant in enumerate(area.mutants):
        folder = tmp_path / str(number)
        folder.mkdir()
        left += [f"{mutant.name}: {case}" for case in play(mutant, compiler, folder)]
    print(f"{len(area.mutants)} defects, {sum(len(mutant.kills) for mutant in area.mutants)} cases that notice them")
    if left:
        raise ui.Problem(f"defects that their cases do not notice: {'; '.join(left)}")


@pytest.mark.needs("core")
@pytest.mark.claim("conformance/each-case-kills", "every case has a defect that it notices, or a reason why there is none")
def test_each_case_kills():
    listed = subprocess.run([subjects.program(), "--list"], capture_output=True, text=True).stdout.splitlines()[:-1]
    cases = {line for line in listed if not line.startswith(" ")}
    named = kill_table.named_cases()
    if cases != named:
        raise ui.Problem(f"cases without a defect: {sorted(cases - named)}; cases that do not exist: {sorted(named - cases)}")


@pytest.mark.needs("core")
@pytest.mark.claim("conformance/each-word-is-noticed", "every fault that a plan can make is noticed by a case, or by none and "
                   "with a reason")
def test_each_word_is_noticed():
    silent = [entry.plan for area in kill_table.areas() for entry in area.unnoticed]
    for plan in silent:
        failed, ran = noticed(subjects.program(), "--plan", plan, seconds=WHOLE_SUITE_SECONDS)
        if failed or not ran:
            raise ui.Problem(f"{plan}: {len(failed)} of {ran} cases notice it: make it a mutant of {sorted(failed)[:3]}")
    known = set(kill_table.catalogue())
    loud = {word for area in kill_table.areas() for mutant in area.mutants for word in kill_table.words(mutant.plan)}
    silent = {word for plan in silent for word in kill_table.words(plan)}
    if not known or loud | silent != known or loud & silent:
        raise ui.Problem(f"faults in no mutant: {sorted(known - loud - silent)}; that do not exist: "
                         f"{sorted((loud | silent) - known)}; noticed and not: {sorted(loud & silent)}")
    print(f"{len(known)} faults: cases notice {len(loud)}, and {len(silent)} have a reason")


@pytest.mark.needs("style")
@pytest.mark.claim("style/kill-table", "docs/conformance-mutants.rst has every mutant, and the cases that kill it")
def test_kill_table():
    if kill_table.DOCUMENT.read_text() != kill_table.document():
        raise ui.Problem(f"docs/conformance-mutants.rst is out of date: {kill_table.COMMAND} writes it again")
