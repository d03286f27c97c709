# SPDX-License-Identifier: MIT
"""Tests of the source itself."""

import os
import re
import shutil
import subprocess

import pytest

from pvblk import archive, matrix, matrixtable, paths, ui

pytestmark = pytest.mark.needs("style")

SOURCE_SUFFIXES = (".py", ".sh", ".c", ".h", ".cc", ".cpp", ".hpp", ".S", ".build", ".fio")
SOURCE_NAMES = ("Kconfig", "meson.build", "meson_options.txt", "pvblk")
TAG = "SPDX-License-Identifier:"
REGISTER = paths.ROOT / "docs" / "protocol.rst"
CODE = ("hw/xen-pvblk/", "include/pvblk/", "patches/qemu/")
TESTS = ("tests/",)


def checkout():
    """The files of the checkout: what git tracks, or where there is no git everything but build/."""
    if shutil.which("git") and (paths.ROOT / ".git").exists():
        answer = subprocess.run(["git", "-c", f"safe.directory={paths.ROOT}", "-C", str(paths.ROOT), "ls-files", "-z",
                                 "--cached", "--others", "--exclude-standard"], capture_output=True, text=True)
        if answer.returncode == 0 and answer.stdout:
            names = answer.stdout.split("\0")
            return [paths.ROOT / name for name in names if name and (paths.ROOT / name).is_file()]
    found = []
    for folder, folders, files in os.walk(paths.ROOT):
        folders[:] = [name for name in folders if name not in (".git", "build", "__pycache__")]
        found += [paths.ROOT / folder / name for name in files]
    return found


def is_source(path, text):
    return path.suffix in SOURCE_SUFFIXES or path.name in SOURCE_NAMES or text.startswith("#!")


def texts():
    for path in checkout():
        try:
            yield path, path.read_text()
        except UnicodeDecodeError:
            continue


@pytest.mark.claim("style/spdx", "every source file names its licence in its first lines")
def test_spdx():
    seen, bad = 0, []
    for path, text in texts():
        if is_source(path, text):
            seen += 1
            if not any(TAG in line for line in text.splitlines()[:6]):
                bad.append(str(path.relative_to(paths.ROOT)))
    report(seen, bad, f"files without '{TAG}...'")


@pytest.mark.claim("style/no-machine-path", "no file names a path or a mirror of the machine it was written on")
def test_no_machine_path():
    words = machine_words()
    seen, bad = 0, []
    for path, text in texts():
        seen += 1
        for word in words:
            # As a whole: /src must not be found inside /usr/src/linux.
            found = re.search(r"(?<![\w./-])" + re.escape(word) + r"(?![\w-])", text)
            if found:
                line = text.count("\n", 0, found.start()) + 1
                bad.append(f"{path.relative_to(paths.ROOT)}:{line}")
    report(seen, bad, "files naming this checkout's place or this machine's mirror")


def machine_words():
    """The checkout's place, the home folder, and the hosts of apt's mirrors."""
    # A path of one component, such as /root or /src, is nobody's in particular.
    words = [path for path in (str(paths.ROOT), os.path.expanduser("~")) if path.count("/") >= 2]
    for site, _, _ in archive.index_targets():
        host = site.partition("://")[2].partition("/")[0]
        words += [host] if host else []
    return sorted(set(words))


@pytest.mark.claim("style/clauses", "every clause that errors of the core and tests cite is in the register")
def test_clauses():
    register = set(entries(REGISTER.read_text()))
    cited = set()
    for path, text in texts():
        if path.suffix in (".cc", ".h"):
            cited |= set(re.findall(r"\b((?:blkif|ring|xenbus|grant|evtchn):[a-z][a-z0-9-]*)\b(?!-?\*)", text))
    report(len(cited), sorted(cited - register), "clauses missing in docs/protocol.rst")


def entries(text):
    """The register's clauses, each with what is said about it."""
    entries = re.findall(r"^``([a-z]+:[a-z0-9-]+)``\n((?: {4}.*\n)+)", text, re.M)
    if len(dict(entries)) != len(entries):
        raise ui.Problem("a clause is twice in docs/protocol.rst")
    return dict(entries)


def references(text):
    """``file: name, name``, as pairs."""
    return [(file, name) for file, names in re.findall(r"``([\w./-]+):\s+([^`]+)``", text)
            for name in re.split(r",\s+", names)]


@pytest.mark.claim("style/register", "all code and tests that the register names exist, and its counts are right")
def test_register():
    text = REGISTER.read_text()
    files = [(path.relative_to(paths.ROOT).as_posix(), path) for path in checkout()]
    named = references(text)
    bad = [f"{file}: {name}" for file, name in named if not is_there(files, file, name)]
    report(len(named), bad + miscounted(text), "names and counts in docs/protocol.rst that are wrong")


def is_there(files, file, name):
    """A file of code has its suffix, and its room before it; a patch its number alone, a file of tests neither."""
    patch, code = file.isdigit(), "." in file
    word = re.compile(rf"(?<!\w){re.escape(name.removesuffix('()'))}(?!\w)")
    return any(place.startswith(CODE if patch or code else TESTS)
               and (place.endswith("/" + file) if code
                    else path.name.startswith(file + "-") if patch else path.stem == file)
               and word.search(path.read_text()) for place, path in files)


def miscounted(text):
    """The last section has the counts, and names all that is not served, or not as the headers have it."""
    end = text[text.rindex("\n---"):]
    known = entries(text)
    served = {clause for clause, body in known.items() if all(map(references, body.partition("Tests:")[::2]))}
    named = set(known) - served | {clause for clause, body in known.items() if "*Departs*" in body}
    ours = sum("*Ours*" in body for body in known.values())
    counts = f"{len(known)} clauses, {len(known) - ours} of the headers and {ours} of ours; {len(served)} have"
    return [f"'{counts}'"] * (counts not in " ".join(end.split())) + sorted(
        clause for clause in named if f"``{clause}``" not in end)


@pytest.mark.claim("style/matrix", "the matrix of docs/clients.rst is the one that docs/clients.toml gives")
def test_matrix():
    record = matrixtable.recorded()
    unknown = [f"{entry['frontend']}:{entry['backend']}" for entry in record
               if (entry["frontend"], entry["backend"]) not in matrix.PAIRS]
    report(len(record), unknown, "pairs in docs/clients.toml that ./pvblk matrix does not play")
    if matrixtable.in_page() != matrixtable.rst(record, matrix.ALL):
        raise ui.Problem("the table in docs/clients.rst is not the one of docs/clients.toml: run ./pvblk matrix --update, or "
                         "put the output of ./pvblk matrix --rst there")


CXX = ("include/", "hw/xen-pvblk/core/", "providers/", "tests/", "examples/")


@pytest.mark.claim("style/clang-format", "clang-format 19 would change nothing in the C++")
def test_clang_format():
    files = [path for path in checkout() if path.suffix in (".cc", ".h")
             and path.relative_to(paths.ROOT).as_posix().startswith(CXX)]
    answer = subprocess.run(["clang-format-19", "--dry-run", "-Werror", *files], capture_output=True, text=True,
                            cwd=paths.ROOT)
    bad = sorted(set(re.findall(r"^(\S+?):\d+", answer.stderr, re.M)))
    report(len(files), [os.path.relpath(file, paths.ROOT) for file in bad],
           "files that `clang-format-19 -i` would change")
    assert answer.returncode == 0, answer.stderr


@pytest.mark.claim("style/licences", "reuse lint: each file has a licence and a copyright, and LICENSES has the text "
                   "of each licence")
def test_licences(tmp_path):
    # A copy: without git, reuse would take build/ for a part of the project.
    for path in checkout():
        copy = tmp_path / path.relative_to(paths.ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    answer = subprocess.run(["reuse", "--root", tmp_path, "lint"], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def report(seen, bad, what):
    if not seen:
        raise ui.Problem("no file was looked at")
    if bad:
        raise ui.Problem(f"{len(bad)} {what}: {', '.join(bad[:8])}" + (" ..." if len(bad) > 8 else ""))
