# SPDX-License-Identifier: MIT
"""The matrix frontend x backend: a frontend meets both of QEMU's backends as the record says; bad words; the table."""

import tomllib

import pytest

from pvblk import cell, images, matrix, matrixtable, pairplay, ui, xenguest

PLAYED = matrix.ALL["linux-6.12"]
ENTRY = {"frontend": "grub", "frontend-version": "GRUB 2", "backend": "xen-disk", "backend-version": "QEMU 10",
         "date": "2026-11-30", **dict.fromkeys(cell.ITEMS, "yes"), "features": "1 queue, 1 ring page, 11 segments"}


@pytest.mark.claim("conformance/matrix-linux-6.12", "Linux 6.12's xen-blkfront meets xen-pvblk-backend and xen-disk, and each "
                   "answer is the one in docs/clients.toml")
@pytest.mark.needs("qemu", "guest")
def test_pairs(name):
    recorded = {(entry["frontend"], entry["backend"]): entry for entry in matrixtable.recorded()}
    for pair in PLAYED.play(PLAYED.backends, images.folder(name)):
        was = {item: recorded[PLAYED.name, pair.backend][item] for item in cell.ITEMS}
        differs = {item: answer for item, answer in pair.answers.items() if answer != was[item]}
        if differs or pair.answers.keys() != was.keys():
            raise ui.Problem(f"{PLAYED.name} on {pair.backend} differs from docs/clients.toml: {differs}. If that is right, "
                             f"run ./pvblk matrix --update {PLAYED.name}")


@pytest.mark.claim("conformance/matrix-lie", "a backend that changes a bit of each read gets the answer no wherever data is "
                   "compared")
@pytest.mark.needs("qemu", "guest")
def test_lie(name, monkeypatch):
    folder = images.folder(name)
    lie = folder / "lie.faults"
    lie.write_text("at data op=read always: data/flipped 4242\n")
    monkeypatch.setattr(pairplay.Named, "_driver", lambda self: {"driver": self._name, "faults": str(lie)})
    [pair] = PLAYED.play([xenguest.OURS], folder)
    del pair.answers["features"]
    assert pair.answers == {"connects": cell.YES, **dict.fromkeys(("io", "resize", "reconnect", "sectors-4096"),
                                                                 "no: it reads wrong data")}


BAD = [("linux-9", "linux-9 is no frontend of the matrix: choose linux-6.12"),
       ("grub:loopback", "grub does not meet loopback: its backends are xen-pvblk-backend, xen-disk"),
       ("grub:", "grub does not meet nothing"),
       ("--no-such", "matrix does not take --no-such")]


@pytest.mark.claim("conformance/matrix-words", "./pvblk matrix refuses each wrong word with one sentence, before anything boots")
def test_words():
    for word, sentence in BAD:
        with pytest.raises(ui.Usage, match="see ./pvblk matrix --help") as refused:
            matrix.command([word])
        assert sentence in str(refused.value)
    assert matrix.chosen(["grub:xen-disk", "grub", "mini"]) == {"grub": ["xen-disk", "xen-pvblk-backend"],
                                                               "mini": ["xen-pvblk-backend", "xen-disk"]}


def cells(tmp_path, monkeypatch, *entries):
    """The record and the page after these entries came; the page's table with one blank for each gap."""
    monkeypatch.setattr(matrixtable, "RECORD", tmp_path / "clients.toml")
    monkeypatch.setattr(matrixtable, "PAGE", tmp_path / "clients.rst")
    if not matrixtable.PAGE.exists():
        matrixtable.PAGE.write_text(f"before\n\n{matrixtable.BEGIN}{matrixtable.END}\nafter\n")
    matrixtable.update(entries, matrix.PAIRS, matrix.ALL)
    return tomllib.loads(matrixtable.RECORD.read_text())["pair"], matrixtable.in_page()


def column(table, number):
    return " ".join(" ".join(line.split("|")[number] for line in table.splitlines() if line.startswith("|")).split())


@pytest.mark.claim("conformance/matrix-record", "a new result takes the place of the same pair's, and leaves the other pairs and "
                   "the page's text alone")
def test_record(tmp_path, monkeypatch):
    other = {**ENTRY, "backend": "xen-pvblk-backend"}
    odd = {**ENTRY, "io": 'no: it says "a\\b*c_" and é'}
    cells(tmp_path, monkeypatch, ENTRY, other)
    record, table = cells(tmp_path, monkeypatch, odd)
    assert record == [other, odd]
    text = matrixtable.PAGE.read_text()
    assert text.startswith("before\n\n") and text.endswith("\nafter\n")
    assert table == matrixtable.rst(record, matrix.ALL)
    assert r'**Not** verified I/O: it says "a\\b\*c\_" and é' in column(table, 3)
    assert "**Not**" not in column(table, 2)


@pytest.mark.claim("conformance/matrix-table", "a cell says which items work, which do not and why, and which were not tried")
def test_table(tmp_path, monkeypatch):
    _, table = cells(tmp_path, monkeypatch, {**ENTRY, "io": "yes: it reads", "resize": "not tried: it ends",
                                             "reconnect": "not tried: it ends", "sectors-4096": "no: refused"})
    assert column(table, 3) == ("QEMU's xen-disk Works: connects, verified I/O (it reads) **Not** 4096-byte sectors: refused "
                                "Not tried: resize, reconnect; it ends Agreed: 1 queue, 1 ring page, 11 segments "
                                "QEMU 10, 2026-11-30")
    assert column(table, 1).endswith("GRUB's xendisk, in Debian 13's grub-xen-host GRUB 2")
