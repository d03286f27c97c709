# SPDX-License-Identifier: MIT
"""xen-disk@unmended, over a QEMU of three small files: is it really upstream's code that is linked?"""

import subprocess

import pytest

from pvblk import buildtools, paths, qemu, ui, unmended

pytestmark = pytest.mark.needs("core")

NINJA = """
rule c_COMPILER
  command = gcc -O1 -g -MD -MF $out.d -o $out -c $in
rule cpp_LINKER
  command = gcc -o $out $in
build main.o: c_COMPILER ../source/main.c
build {first}.o: c_COMPILER ../source/{first}
build {second}.o: c_COMPILER ../source/{second}
build qemu-system-x86_64: cpp_LINKER main.o {first}.o {linked}
"""
MAIN = "int a(void); int b(void); int printf(const char *, ...);\nint main(void) { printf(\"%d %d\", a(), b()); }\n"


class Tree:
    def __init__(self, place, upstream=(1, 1), linked=True):
        first, second = unmended.FILES
        self.write(place / "source" / "main.c", MAIN)
        for number, (file, name) in enumerate(((first, "a"), (second, "b"))):
            self.write(place / "source" / file, f"int {name}(void) {{ return 2; }}\n")
            self.write(place / "source.orig" / file, f"int {name}(void) {{ return {upstream[number]}; }}\n")
        if not linked:
            self.write(place / "source" / "main.c", MAIN.replace("int b(void);", "static int b(void) { return 2; }"))
        self.write(place / "build" / "build.ninja",
                   NINJA.format(first=first, second=second, linked=f"{second}.o" if linked else ""))
        subprocess.run(["ninja", "-C", place / "build"], check=True, stdout=subprocess.DEVNULL,
                       env=buildtools.environment())

    @staticmethod
    def write(path, text):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def ensure(monkeypatch, tmp_path):
    """Makes a tree, and the other program from it; what that says."""
    monkeypatch.delenv("PVBLK_QEMU_BUILD", raising=False)
    for place, name, path in ((paths, "QEMU_SOURCE", "source"), (paths, "BUILD", "."), (paths, "STAMPS", "stamps"),
                              (unmended, "PROGRAM", "other/qemu"), (unmended, "LOG", "log")):
        monkeypatch.setattr(place, name, tmp_path / path)
    monkeypatch.setattr(qemu, "builddir", lambda: tmp_path / "build")

    def ensure(**tree):
        Tree(tmp_path, **tree)
        unmended.ensure()
        return subprocess.run([unmended.PROGRAM], capture_output=True, text=True).stdout
    return ensure


@pytest.mark.claim("conformance/unmended", "QEMU without the mends has upstream's code of both files")
def test_unmended(ensure):
    assert ensure() == "1 1"


@pytest.mark.claim("conformance/unmended-same", "if upstream's code of a file is that of the series, or the file is not "
                   "linked, the set-up says so, and no program pretends to be upstream's")
@pytest.mark.parametrize(("tree", "sentence"), [
    ({"upstream": (2, 1)}, "hw/block/xen-block.c has the same code"),
    ({"upstream": (1, 2)}, "hw/block/dataplane/xen-block.c has the same code"),
    ({"linked": False}, "links no hw/block/dataplane/xen-block.c")], ids=["first", "second", "not-linked"])
def test_same(ensure, tree, sentence):
    with pytest.raises(ui.Problem, match=sentence):
        ensure(**tree)
    assert not unmended.PROGRAM.exists()
