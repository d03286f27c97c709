# SPDX-License-Identifier: MIT
"""./pvblk itself: which commands wait for which."""

import os
import subprocess
import sys

import pytest

from pvblk import paths

SECONDS = 60
# Another command at work: it says when it holds the folder, has built all at the first line that it reads, and ends
# with its input.
OTHER = """
import sys
from pvblk import lock
with lock.build_folder() as all_is_built:
    print("holds", flush=True)
    for line in sys.stdin:
        all_is_built()
        print("built", flush=True)
"""


class Folder:
    """A build folder of its own, with a QEMU that only says its words."""

    def __init__(self, path):
        (path / "firmware").mkdir()
        (path / "build.ninja").touch()
        program = path / "qemu-system-x86_64"
        program.write_text('#!/bin/sh\necho "ran with $*"\n')
        program.chmod(0o755)
        self.environment = {**os.environ, "PVBLK_CACHE": str(path), "PVBLK_QEMU_BUILD": str(path),
                            "PYTHONPATH": str(paths.ROOT / "scripts")}

    def start(self, *words):
        return subprocess.Popen([sys.executable, *words], env=self.environment, text=True, stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


@pytest.fixture
def other(folder):
    process = folder.start("-c", OTHER)
    assert process.stdout.readline() == "holds\n"
    yield process
    process.communicate(timeout=SECONDS)


def build_all(other):
    other.stdin.write("go on\n")
    other.stdin.flush()
    assert other.stdout.readline() == "built\n"


@pytest.mark.claim("command/qemu-beside-a-test", "./pvblk qemu runs the built QEMU while a test or a demo runs")
def test_qemu_beside_a_test(folder, other):
    build_all(other)
    out, said = folder.start("-m", "pvblk", "qemu", "-version").communicate(timeout=SECONDS)
    assert "-version" in out and "waiting" not in said


@pytest.mark.claim("command/qemu-after-a-set-up", "... and waits, and says so, while another command builds")
def test_qemu_after_a_set_up(folder, other):
    qemu = folder.start("-m", "pvblk", "qemu", "-version")
    assert "waiting" in qemu.stderr.readline() and qemu.poll() is None
    build_all(other)
    assert "-version" in qemu.communicate(timeout=SECONDS)[0]
