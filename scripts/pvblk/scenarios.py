# SPDX-License-Identifier: MIT
"""The scenarios of the conformance suite for frontends, and its verdicts on what came of them."""

import json
import subprocess

from . import ui
from .subjects import Journal, program


def ask(*words):
    said = subprocess.run([str(program()), "--frontend", *map(str, words)], capture_output=True, text=True)
    if said.returncode and said.stderr:
        raise ui.Problem(said.stderr.strip().splitlines()[0].removeprefix("blkif-conformance: "))
    return said.stdout


def scenarios_of(words):
    return [json.loads(line) for line in ask("--scenarios", *words).splitlines()]


def config_of(scenario):
    """Of the backend, by the names of its properties."""
    return dict(word.split("=") for word in scenario["config"].split(",") if word)


def read_only(config):
    return config.get("read-only", "off") == "on" or config.get("cdrom") == "on"


class FactsJournal(Journal):
    """The suite's verdicts on a frontend's facts: on each scenario, and on each clause from all scenarios together."""

    def __init__(self, subject, facts, folder, versions=""):
        super().__init__(versions=versions)
        self.subject, self.file = subject, folder / "facts.jsonl"
        self._judge(facts)

    def _judge(self, facts):
        self.facts = facts
        self.file.write_text("".join(json.dumps(fact) + "\n" for fact in facts))
        self.head, *self.results = ask("--facts", self.file, "--format", "jsonl", "--subject",
                                       self.subject.name).splitlines()

    def join(self, other, order):
        self._judge(sorted(self.facts + other.facts, key=lambda fact: order[fact["id"]]))
        self.versions = self.versions or other.versions
