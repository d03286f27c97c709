# SPDX-License-Identifier: MIT
"""The suite's own test: our backend with one defect at a time, on the loopback; the cases that are meant to notice it do.

A defect is a fault plan, or a changed file of the core (tests/conformance/mutants/*.toml). Only what depends on the file
is compiled again, and linked before the libraries, so that it takes the place of what they have.
"""

import json
import shlex
import shutil
import subprocess
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from pvblk import buildtools, paths, subjects, ui

FOLDER = paths.ROOT / "tests" / "conformance" / "mutants"
CORE = paths.ROOT / "hw" / "xen-pvblk" / "core"
WORK = paths.BUILD / "mutants"
# Of a mutant that makes the backend go round in circles.
SECONDS = 30


@dataclass(frozen=True)
class Mutant:
    area: str
    name: str
    kills: tuple
    plan: str = ""
    file: str = ""
    old: str = ""
    new: str = ""


@dataclass
class Catalogue:
    mutants: list = field(default_factory=list)
    # Cases that no defect of our backend can fail, and why.
    unkilled: dict = field(default_factory=dict)


def read():
    all = Catalogue()
    for path in sorted(FOLDER.glob("*.toml")):
        text = tomllib.loads(path.read_text())
        for entry in text.get("mutant", ()):
            mutant = Mutant(area=path.stem, **{**entry, "kills": tuple(entry.get("kills", ()))})
            if bool(mutant.plan) == bool(mutant.file) or not mutant.kills:
                raise ui.Problem(f"{path.name}: {mutant.name} needs kills, and either a plan or a file")
            all.mutants.append(mutant)
        for entry in text.get("unkilled", ()):
            all.unkilled[entry["case"]] = entry["why"]
    return all


class Compiler:
    """The commands that build the suite, from Meson's compile_commands.json and Ninja's list of dependencies."""

    def __init__(self, builddir=paths.CORE):
        self.builddir = builddir
        commands = json.loads((builddir / "compile_commands.json").read_text())
        self.commands = {entry["output"]: shlex.split(entry["command"]) for entry in commands
                         if entry["output"].startswith(("libpvblk_honest.a.p/", "libpvblk.a.p/",
                                                        "libpvblk_honest_loopback.a.p/"))}
        self.sources = {entry["output"]: (builddir / entry["directory"] / entry["file"]).resolve() for entry in commands}
        self.dependencies = self._dependencies()
        link = subprocess.run(["ninja", "-t", "compdb", "-x", "cpp_LINKER"], cwd=builddir, capture_output=True, text=True,
                              env=buildtools.environment()).stdout
        self.link = next(shlex.split(entry["command"]) for entry in json.loads(link)
                         if entry["output"] == f"conformance/{subjects.PROGRAM}")

    def _dependencies(self):
        said = subprocess.run(["ninja", "-t", "deps"], cwd=self.builddir, capture_output=True, text=True,
                              env=buildtools.environment()).stdout
        found, current = {}, None
        for line in said.splitlines():
            if line and not line.startswith(" "):
                current = found.setdefault(line.partition(":")[0], set())
            elif line.strip():
                current.add((self.builddir / line.strip()).resolve())
        return found

    def build(self, mutant, folder):
        """The suite with this defect in it."""
        original = CORE / mutant.file
        text = original.read_text()
        if text.count(mutant.old) != 1:
            raise ui.Problem(f"{mutant.area}.toml: {mutant.name}: `old` is {text.count(mutant.old)} times in {mutant.file}")
        changed = folder / "core" / mutant.file
        changed.parent.mkdir(parents=True, exist_ok=True)
        changed.write_text(text.replace(mutant.old, mutant.new))
        objects = []
        for output, command in self.commands.items():
            if original not in self.dependencies.get(output, ()) or self._is_again(output):
                continue
            ours = folder / (output.replace("/", "_"))
            objects.append(str(ours))
            words = [str(ours) if word == output else word for word in command]
            if self.sources[output] == original:
                words[words.index("-c") + 1] = str(changed)
            # Before all others, so that a changed header is found first; no debugging symbols, no warnings.
            self._run([words[0], *([words[1]] if words[0].endswith("ccache") else []), "-I", str(folder / "core"),
                       *words[2 if words[0].endswith("ccache") else 1:], "-O0", "-g0", "-w"])
        program = folder / subjects.PROGRAM
        first = next(index for index, word in enumerate(self.link) if word.endswith(".a"))
        words = [str(program) if word == f"conformance/{subjects.PROGRAM}" else word for word in self.link]
        self._run([*words[:first], *objects, *words[first:]])
        return program

    def _is_again(self, output):
        """Ninja names an object of the honest library, and of the whole one that has it, once each."""
        return False

    def _run(self, words):
        done = subprocess.run(words, cwd=self.builddir, capture_output=True, text=True, env=buildtools.environment())
        if done.returncode:
            raise ui.Problem(f"a mutant cannot be built: {done.stderr.strip().splitlines()[0]}")


def failing(program, *words):
    """The cases that do not pass, by ID without variation; None: the suite found the backend unusable."""
    done = subprocess.run([str(program), "--loopback", "--format", "jsonl", "--time-limit", str(SECONDS), *words],
                          capture_output=True, text=True, errors="replace")
    if done.returncode == 3 and not done.stdout.startswith('{"format"'):
        return None
    results = [json.loads(line) for line in done.stdout.splitlines()[1:] if line.startswith('{"id"')]
    return {result["id"].partition("~")[0] for result in results if result["verdict"] not in ("PASS", "SKIP")}


def play(mutant, compiler):
    """What failed; raises a Problem if a case that has to notice the defect does not."""
    folder = WORK / f"{mutant.area}-{mutant.name}".replace("/", "-").replace(" ", "-")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if mutant.plan:
        died = failing(subjects.program(), "--plan", mutant.plan)
    else:
        died = failing(compiler.build(mutant, folder))
    shutil.rmtree(folder, ignore_errors=True)
    survivors = [] if died is None else [case for case in mutant.kills if case not in died]
    if survivors:
        raise ui.Problem(f"{mutant.area}.toml: {mutant.name}: {', '.join(survivors)} pass")
    return died
