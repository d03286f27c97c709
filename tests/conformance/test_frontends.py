# SPDX-License-Identifier: MIT
"""The conformance suite's frontends: each subject plays a chosen part, and facts become the right verdicts."""

import json
import time
from dataclasses import replace

import pytest

from pvblk import conformance, driverfront, frontends, guest, paths, subjects, ui
from pvblk.scenarios import scenarios_of
from test_conformance import suite

# Legal variations and lies of each group: a few minutes for a guest, also where it has to boot again.
PART = ("front/offer/all", "front/offer/nothing", "front/offer/persistent-1", "front/offer/indirect-37",
        "front/offer/ring-16-pages", "front/offer/queues-2", "front/node/no-type", "front/node/size-when-connected",
        "front/state/*", "front/disk/sector-4096", "front/disk/read-only", "front/disk/grows", "front/time/spurious-events",
        "front/index/producer-frozen/publish", "front/response/status/respond", "front/response/late/respond",
        "front/response/reordered/respond", "front/data/flipped/data", "front/notify/spurious/tick",
        "front/notify/lost/notify", "front/grants/map-fails/data", "front/grants/persistent-refused/*",
        "front/store/node-missing/feature-persistent", "front/store/node-value/sectors", "front/geometry/sector-size-zero/*",
        "front/features/queues-huge/*", "front/lifecycle/closing/tick", "front/lifecycle/connect-refused/connect")
# For more Linuxes. In domain 0 of a real Xen, a scenario takes six seconds.
SMALL_PART = ("front/offer/all", "front/offer/nothing", "front/disk/read-only", "front/disk/grows", "front/state/closes",
              "front/response/status/respond", "front/response/late/respond", "front/notify/lost/notify",
              "front/grants/map-fails/data", "front/data/flipped/data", "front/geometry/sector-size-zero/*")
LINUX, *LINUXES = frontends.LINUXES
GUESTS = [*((subject, PART) for subject in (frontends.HOSTED, frontends.MINI, frontends.GRUB, LINUX)),
          *((subject, SMALL_PART) for subject in (*LINUXES, *frontends.DOMAINS))]


@pytest.mark.parametrize(("subject", "part"), [
    pytest.param(subject, part, marks=pytest.mark.needs(*subject.steps), id=subject.name) for subject, part in GUESTS])
@pytest.mark.claim("conformance/{subject.name}", "{subject.title} plays scenarios of each group as its profile says")
def test_subject(subject, part, name):
    status = conformance.command([subject.name, *part], paths.GUEST / name)
    if status:
        raise ui.Problem(f"./pvblk conformance {subject.name} ended with status {status}")


@pytest.mark.parametrize("subject", [
    pytest.param(subject, marks=pytest.mark.needs(*subject.steps), id=subject.name) for subject in driverfront.ALL])
@pytest.mark.claim("conformance/{subject.name}", "{subject.title} plays all scenarios as its profile says")
def test_driver(subject, name):
    assert conformance.command([subject.name], paths.GUEST / name) == 0


@pytest.mark.needs("drivers", "core")
@pytest.mark.claim("conformance/frontend-in-parts", "two machines that share a run come to the verdicts of one")
def test_parts():
    uboot = frontends.ALL["frontend:uboot"]
    words = ["front/offer/*"]
    order = {scenario["id"]: place for place, scenario in enumerate(scenarios_of(words))}
    whole = uboot.play(words, lambda _: None)
    one, other = (replace(uboot, part=part).play([*words, "--shard", part], lambda _: None) for part in ("1/2", "2/2"))
    assert 0 < len(one.facts) < len(order)
    one.join(other, order)

    def verdicts_of(journal):
        return [(result["id"], result["verdict"]) for result in map(json.loads, journal.results)]
    assert verdicts_of(one) == verdicts_of(whole)
    assert one.planned() == whole.planned()


@pytest.mark.needs("core")
@pytest.mark.claim("conformance/frontend:ours", "our frontend in the suite's process plays all scenarios, and breaks no clause")
def test_ours(name):
    assert conformance.command([frontends.OURS.name], paths.GUEST / name) == 0


@pytest.mark.needs("core")
@pytest.mark.claim("conformance/front-guests-used-up", "a frontend that takes more guests along than the suite boots has a "
                   "verdict for each scenario")
def test_guests_used_up(name, monkeypatch):
    def no_guest(*_):
        raise ui.Problem("it does not boot")
    monkeypatch.setattr(frontends, "MOST_GUESTS", 2)
    monkeypatch.setattr(frontends.LinuxFrontend, "machine", no_guest)
    journal = frontends.LINUXES[0].play(["front/offer/queues-*"], lambda _: None)
    known = {one["id"]: one for one in map(json.loads, journal.results)}
    played = [one for id, one in known.items() if id.startswith("front/offer/")]
    assert len(played) == 4 and all(one["verdict"] == "INCONCLUSIVE" for one in played), known


@pytest.mark.needs("core")
@pytest.mark.claim("conformance/interrupted-early", "... and it is interrupted also where nothing was played yet")
def test_interrupted_early(tmp_path, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt
    def play(*_):
        raise ui.Problem("the machine ended")
    monkeypatch.setattr(guest, "running", guest.Running())
    monkeypatch.setattr(conformance, "wait", interrupt)
    monkeypatch.setattr(subjects.Loopback, "play", play)
    with pytest.raises(KeyboardInterrupt):
        conformance.command([subjects.LOOPBACK.name], tmp_path)


@pytest.mark.needs(*frontends.LINUXES[0].steps)
@pytest.mark.claim("conformance/interrupted", "a run that the user interrupts ends at once, and reports what was played")
def test_interrupted(name, tmp_path, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt
    def machine(*_):
        while not guest.running.over:
            time.sleep(0.01)
        return guest.Guest(name, [])
    monkeypatch.setattr(guest, "running", guest.Running())
    monkeypatch.setattr(conformance, "wait", interrupt)
    monkeypatch.setattr(frontends.LinuxFrontend, "machine", machine)
    report = tmp_path / "report"
    with pytest.raises(KeyboardInterrupt):
        conformance.command([frontends.LINUXES[0].name, "front/offer/queues-*", "--format", "jsonl", "-o", str(report)],
                            tmp_path)
    played = [one for one in conformance.lines_of(report)[1:] if one["id"].startswith("front/offer/")]
    assert len(played) == 4 and all(guest.INTERRUPTED in one["why"] for one in played), played


def verdicts(tmp_path, *facts, words=()):
    """By ID, of made-up facts; and the exit code."""
    file = tmp_path / "facts"
    file.write_text("".join(json.dumps(fact) + "\n" for fact in facts))
    said = suite("--frontend", "--facts", file, "--format", "jsonl", *words)
    results = [json.loads(line) for line in said.stdout.splitlines()[1:]]
    return {result["id"]: result["verdict"] for result in results}, said.returncode


VALID, LIE, ABOUT_DATA = "front/offer/all", "front/response/status/respond", "front/data/flipped/data"
GOOD = {"connected": True, "ok": 20, "fired": 1}
# A scenario, what came of it beside the good, the verdict, and the exit code.
FACTS = [
    (VALID, {}, "PASS", 0),
    (VALID, {"errors": 1}, "FAIL", 1),
    (VALID, {"gave-up": True}, "FAIL", 1),
    (VALID, {"connected": False}, "FAIL", 1),
    (VALID, {"waited": True}, "WEDGED", 4),
    (VALID, {"hung": True}, "WEDGED", 4),
    (VALID, {"answers": False}, "WEDGED", 4),
    (VALID, {"died": "Oops: 0"}, "CRASH", 4),
    (VALID, {"wrong": 1}, "CORRUPT", 1),
    (VALID, {"grants-left": 3}, "LEAK", 1),
    (VALID, {"amiss": "it shows a read-only disk as writable"}, "FAIL", 1),
    (VALID, {"closed": False}, "FAIL", 1),
    (VALID, {"closed": False, "grants-left": 3}, "FAIL", 1),
    (VALID, {"again": False}, "FAIL", 1),
    (VALID, {"again": True}, "PASS", 0),
    (VALID, {"trouble": "no QEMU"}, "INCONCLUSIVE", 3),
    (VALID, {"skip": "no hotplug"}, "SKIP", 77),
    (LIE, {}, "FAIL", 1),
    (LIE, {"errors": 1}, "PASS", 0),
    (LIE, {"gave-up": True}, "PASS", 0),
    (LIE, {"errors": 1, "hung": True}, "WEDGED", 4),
    (LIE, {"errors": 1, "wrong": 1}, "CORRUPT", 1),
    (LIE, {"fired": 0}, "SKIP", 77),
    (LIE, {"fired": 0, "died": "Oops: 0"}, "CRASH", 4),
    (ABOUT_DATA, {"wrong": 1}, "PASS", 0),
    (ABOUT_DATA, {"wrong": 1, "grants-left": 1}, "LEAK", 1),
]


@pytest.mark.needs("core")
@pytest.mark.claim("conformance/front-verdicts", "a frontend's wrong byte, its hang, its crash and its leaked grants have "
                   "verdicts of their own, and a lie about data excuses only the byte")
def test_verdicts(tmp_path):
    for id, more, verdict, code in FACTS:
        said, status = verdicts(tmp_path, {"id": id, **GOOD, **more})
        assert (said[id], status) == (verdict, code), f"{id} {more}: {said[id]} and {status}"


@pytest.mark.needs("core")
@pytest.mark.claim("conformance/front-clauses", "a clause that a frontend broke in one scenario fails, unless that scenario "
                   "lets the backend write where the frontend does")
def test_clauses(tmp_path):
    broken = {"ring:req-prod": "BROKEN 1 of 3: it went back (value 2)"}
    kept = {"ring:req-prod": "kept 5"}
    for id, first, expected in ((VALID, kept, "PASS"), (VALID, broken, "FAIL"), (LIE, broken, "FAIL"),
                                ("front/response/unasked/tick", broken, "PASS")):
        said, _ = verdicts(tmp_path, {"id": id, **GOOD, "errors": 1, "judgement": first},
                           {"id": "front/offer/nothing", **GOOD, "judgement": kept})
        assert said["front/ring/req-prod"] == expected, id


@pytest.mark.needs("core")
@pytest.mark.claim("conformance/front-profile", "a profile has deviations of a frontend with the verdicts WEDGED, CRASH, "
                   "CORRUPT and LEAK, and each covers only its own")
def test_profile(tmp_path):
    profile = tmp_path / "profile"
    worse = {"WEDGED": {"hung": True}, "CRASH": {"died": "Oops: 0"}, "CORRUPT": {"wrong": 1}, "LEAK": {"grants-left": 1}}
    for said in worse:
        profile.write_text(f'[[deviation]]\nid = "F"\ncase = "front/offer/*"\nnote = "made up"\nverdict = "{said}"\n')
        for came, more in worse.items():
            result, status = verdicts(tmp_path, {"id": VALID, **GOOD, **more}, words=("--profile", profile))
            assert result[VALID] == ("DEVIATION" if came == said else came), f"{came} by a profile with {said}"
            assert (status == 0) == (came == said)
