# SPDX-License-Identifier: MIT
"""The C++ library: Meson's tests, a suite or a single test of it at a time, and how much of the library they run."""

import pytest

from pvblk import core, coverage, paths


def suite(name, builddir, step, claim, *tests):
    """A suite of Meson's tests in a build folder, or some of it, as one test."""
    return pytest.param(builddir, (name.partition("/")[0].removesuffix("-asan"), *tests), name, claim, id=name,
                        marks=pytest.mark.needs(step))


SUITES = [
    suite("unit", paths.CORE, "core", "the C++ core keeps every clause"),
    suite("unit-asan", paths.CORE_ASAN, "core-asan",
          "... and so it does under AddressSanitizer and UndefinedBehaviorSanitizer"),
    suite("examples", paths.CORE, "core", "the programs that docs quote do what docs say"),
    suite("library", paths.CORE, "core", "what is installed is enough: each header compiles alone, programs build by "
          "pkg-config, and a project has it as a subproject"),
    suite("conformance/loopback", paths.CORE, "core", "our backend passes every case of the conformance suite", "loopback"),
    suite("ovmf/io", paths.DRIVERS, "drivers", "OVMF's own block frontend, unchanged, connects to our backend, reads, writes, "
          "flushes and leaves", "ovmf-io"),
    suite("ovmf/defects", paths.DRIVERS, "drivers", "... each defect known of it shows, and our backend takes no harm",
          "ovmf-defects"),
    suite("ovmf/in-process", paths.DRIVERS, "drivers", "... and it is a frontend for the conformance suite", "ovmf-in_process"),
    suite("ovmf-asan", paths.DRIVERS_ASAN, "drivers-asan",
          "... all of it under AddressSanitizer and UndefinedBehaviorSanitizer"),
    suite("uboot/io", paths.DRIVERS, "drivers", "U-Boot's own block frontend, unchanged, connects to our backend, reads, "
          "writes and leaves", "uboot-io"),
    suite("uboot/defects", paths.DRIVERS, "drivers", "... each defect known of it shows, and our backend takes no harm",
          "uboot-defects"),
    suite("uboot/in-process", paths.DRIVERS, "drivers", "... and it is a frontend for the conformance suite",
          "uboot-in_process"),
    suite("uboot-asan", paths.DRIVERS_ASAN, "drivers-asan",
          "... all of it under AddressSanitizer and UndefinedBehaviorSanitizer"),
    suite("proof/relacy", paths.PROOF, "proof", "no interleaving of the ring's templates loses a wake-up or races, in "
          "C++'s memory model", "relacy"),
    suite("proof/spin", paths.PROOF, "proof", "with reconnects at any time, every request ends, and none is completed "
          "twice", "spin"),
    suite("proof/mutants-ring", paths.PROOF, "proof", "Relacy finds each defect that a mutant puts into the ring",
          "mutants-ring"),
    suite("proof/mutants-spin", paths.PROOF, "proof", "Spin finds each defect that a mutant puts into the model",
          "mutants-spin"),
    suite("sim/seeds", paths.CORE, "sim", "20000 runs by seed, half with faults to the end, half with a recovery: all "
          "oracles hold, and every fault and every rare state occurs", "seeds"),
    suite("sim/asan", paths.CORE_ASAN, "sim-asan",
          "... and some of them under AddressSanitizer and UndefinedBehaviorSanitizer", "seeds"),
    suite("sim/fresh", paths.CORE, "sim", "... and for 200 new seeds, beginning with a random one", "fresh"),
    suite("sim/again", paths.CORE, "sim", "the same seed gives the same run, in one process or in several", "again"),
    suite("sim/canaries", paths.CORE, "sim", "each oracle finds the lie made for it", "canaries"),
    suite("fuzz/seeds", paths.FUZZ, "fuzz", "each seed of the fuzz targets does as its name says", "seeds"),
    *(suite(f"fuzz/{target}", paths.FUZZ, "fuzz", f"a minute of fuzzing by {claim}", target) for target, claim in {
        "front": "a hostile backend: no crash, each request ends once, nothing leaks, bounded work",
        "back": "a hostile frontend: no crash, the disk's limits hold, one answer per request, no page stays mapped",
        "store": "any XenStore contents: refused with a clause, or turned into a usable plan",
        "faults": "any text as a fault plan: refused with a sentence, or printed as a plan with the same meaning",
        "virtio": "a hostile virtio-blk driver: each element comes back once, with the right length, memory and status",
    }.items()),
]


@pytest.mark.claim("{test}", "{text}")
@pytest.mark.parametrize(("builddir", "chosen", "test", "text"), SUITES)
def test_meson(builddir, chosen, test, text):
    passed, said = core.run_tests(builddir, *chosen)
    # Proofs, the simulator and fuzzers say what they have seen; GoogleTest's programs only that all is well.
    print(f"{passed} programs passed" if chosen[0] in ("unit", "ovmf", "uboot") or test == "fuzz/seeds" else said)


@pytest.mark.claim("coverage", "the unit tests cover at least as much of the core as tests/coverage.toml says")
@pytest.mark.needs("coverage")
def test_coverage():
    coverage.compare()
