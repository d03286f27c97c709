# SPDX-License-Identifier: MIT
"""The scenarios of the conformance suite for frontends, and its verdicts on what came of them."""

import json
import subprocess

from . import ui
from .subjects import program


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


def judged(subject, facts, folder, journal):
    """A journal with the suite's verdicts."""
    file = folder / "facts.jsonl"
    file.write_text("".join(json.dumps(fact) + "\n" for fact in facts))
    head, *results = ask("--facts", file, "--format", "jsonl", "--subject", subject.name).splitlines()
    journal.head, journal.results = head, results
    journal.ids = {json.loads(line)["id"] for line in results}
    return journal
