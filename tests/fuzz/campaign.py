#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Fuzzes one target with libFuzzer, and judges whether it did what it says.

    campaign.py BUILD TARGET --work WORK [--minutes N] [--found FOLDER] [--failed FOLDER]

BUILD has the programs fuzz_corpus and fuzz_TARGET. Seeds are written anew, to WORK. Inputs that reach something new go
to --found, and the next campaign begins with them; without that it begins with the seeds alone, so that a run on one
machine is like that on another. An input that fails is left in --failed.
"""

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path

MAX_BYTES = 2048
# A loaded machine does several times as many in a minute; a run that is stuck does not.
MINIMUM_EXECUTIONS = 2000
LIMITS = [f"-max_len={MAX_BYTES}", "-timeout=10", "-rss_limit_mb=2048"]


def fresh(folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def plant(build, target, folder):
    """Plays and asserts all seeds; returns the target's."""
    # What makes a target loop makes its seed loop, and no libFuzzer watches here.
    played = subprocess.run(["timeout", "120", build / "fuzz_corpus", fresh(folder)], stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True)
    if played.returncode:
        sys.exit(f"{played.stdout}\nthe seeds do not mean what their names say")
    seeds = sorted((folder / target).glob("*"))
    if not seeds or max(path.stat().st_size for path in seeds) > MAX_BYTES:
        sys.exit(f"the target {target} has no seeds, or one that is longer than {MAX_BYTES} bytes")
    return seeds


def fuzz(words, seeds, minutes):
    """libFuzzer's own words; they are shown as they come, too."""
    failed, found = words.failed or words.work / "failed", words.found or fresh(words.work / "found")
    for folder in (failed, found):
        folder.mkdir(parents=True, exist_ok=True)
    before = set(failed.iterdir())
    command = [words.build / f"fuzz_{words.target}", f"-max_total_time={60 * minutes}", "-print_final_stats=1", *LIMITS,
               f"-artifact_prefix={failed}/", found, seeds[0].parent]
    text = ""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace") as process:
        for line in process.stdout:
            print(line, end="", flush=True)
            text += line
    if process.returncode:
        said = re.search(r"^ORACLE: (.*)$", text, re.MULTILINE)
        inputs = sorted(set(failed.iterdir()) - before)
        again = f". To repeat it: ./pvblk fuzz {words.target} {inputs[0]}" if inputs else ""
        sys.exit(f"fuzz {words.target}: {said[1] if said else 'see the report'}{again}")
    return text


def judge(target, text, seeds):
    """That it ran, and that it began with every seed; says how far it came."""
    loaded = re.search(r"^INFO: seed corpus: files: (\d+)", text, re.MULTILINE)
    begun = re.search(r"^#(\d+)\s+INITED cov: (\d+)", text, re.MULTILINE)
    end = re.search(r"^#\d+\s+DONE\s+cov: (\d+)", text, re.MULTILINE)
    executed = re.search(r"^stat::number_of_executed_units: (\d+)", text, re.MULTILINE)
    if not (loaded and begun and end and executed):
        sys.exit(f"fuzz {target}: libFuzzer did not say what it did")
    # libFuzzer runs an empty input first, then every seed, before it says INITED.
    if int(loaded[1]) < len(seeds) or int(begun[1]) <= len(seeds):
        sys.exit(f"fuzz {target}: began with {begun[1]} inputs, and there are {len(seeds)} seeds")
    if int(executed[1]) < MINIMUM_EXECUTIONS or int(end[1]) < int(begun[2]):
        sys.exit(f"fuzz {target}: {executed[1]} executions, {begun[2]} and then {end[1]} edges: it hardly ran")
    print(f"\n{target}: {executed[1]} executions, {end[1]} edges, of which {begun[2]} by {loaded[1]} inputs that it "
          "began with")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=Path)
    parser.add_argument("target")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--minutes", type=int, default=1)
    parser.add_argument("--found", type=Path)
    parser.add_argument("--failed", type=Path)
    words = parser.parse_args()
    seeds = plant(words.build, words.target, words.work / "seeds")
    judge(words.target, fuzz(words, seeds, words.minutes), seeds)


if __name__ == "__main__":
    main()
