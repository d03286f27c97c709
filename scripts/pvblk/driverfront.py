# SPDX-License-Identifier: MIT
"""Frontends that run in a process of their own, compiled from other people's source: OVMF's and U-Boot's."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import core, images, paths, ui
from .scenarios import FactsJournal, scenarios_of
from .subjects import Subject


@dataclass(frozen=True)
class DriverFrontend(Subject):
    """A driver that meets our backend in process. Its program plays the scenarios, and prints facts."""

    player: Path | None = None
    source: Path | None = None
    role = "frontend"

    def version(self, journal):
        return (self.source / "VERSION").read_text().strip()

    def facts(self, ids):
        """Of these scenarios."""
        played = subprocess.run([str(self.player), *ids], capture_output=True, text=True, errors="replace")
        if played.returncode:
            raise ui.Problem(f"{self.name}: its program ended with status {played.returncode}")
        return [json.loads(line) for line in played.stdout.splitlines()]

    def play(self, words, on_result):
        facts = self.facts([scenario["id"] for scenario in scenarios_of(words)])
        for fact in facts:
            on_result(json.dumps(fact))
        return FactsJournal(self, facts, images.folder(f"conformance-{self.file_name}"))


ALL = (DriverFrontend("frontend:ovmf", "OVMF's XenPvBlkDxe, in process", "frontend-ovmf.toml", ("drivers", "core"),
                      player=paths.DRIVERS / core.PLAYERS["ovmf"], source=paths.EDK2_SOURCE),
       DriverFrontend("frontend:uboot", "U-Boot's pvblock.c, in process", "frontend-uboot.toml", ("drivers", "core"),
                      player=paths.DRIVERS / core.PLAYERS["uboot"], source=paths.UBOOT_SOURCE))
