# SPDX-License-Identifier: MIT
"""The C++ core and its tests, built on their own by Meson: a folder for each set of options."""

import json

from . import buildtools, edk2, host, paths, stamp, uboot, ui

# -O1: instrumented code takes twice as long to compile at -O2, and finds the same. -g1 has the lines that a report names,
# and takes a third off.
SANITIZERS = ["-Db_sanitize=address,undefined", "-Db_lundef=false", "-Doptimization=1", "-Dcpp_args=-g1"]
# Unoptimised, so that a line and a branch are those of the source. The core has no exceptions, hence no edges of them.
COVERAGE = ["-Db_coverage=true", "-Doptimization=0"]


# The proofs have a folder of their own: Meson looks for their tools once, and only tests need them.
NO_PROOF = ["-Dproof=disabled"]
SIM = "tests/sim/pvblk-sim"
# Programs that run in a guest.
LINUX_FRONT = ["examples/vbd", "tests/guest/linux-front/linux-front"]
SERVE = "examples/serve"
UNIT_TESTS = sorted(f"tests/unit/{file.stem}" for file in (paths.ROOT / "tests" / "unit").glob("*_test.cc"))
DRIVER_TESTS = [f"tests/{driver}/{driver}_{name}_test" for driver in ("ovmf", "uboot") for name in ("io", "defects", "in_process")]
PLAYERS = {"ovmf": "tests/ovmf/ovmf-frontend", "uboot": "tests/uboot/uboot-frontend"}


def ensure():
    build(paths.CORE, NO_PROOF)


def ensure_asan():
    build(paths.CORE_ASAN, SANITIZERS, UNIT_TESTS)


def ensure_sim():
    build(paths.CORE, NO_PROOF, [SIM])


def ensure_linux_front():
    build(paths.CORE, NO_PROOF, LINUX_FRONT)


def ensure_serve():
    build(paths.CORE, NO_PROOF, [SERVE])


def ensure_sim_asan():
    build(paths.CORE_ASAN, SANITIZERS, [SIM])


def _drivers():
    """Options for the source of other people's drivers: one build has them all, for each is little beside the library."""
    edk2.ensure()
    uboot.ensure()
    return [f"-Dedk2={paths.EDK2_SOURCE}", f"-Duboot={paths.UBOOT_SOURCE}"]


def ensure_drivers():
    build(paths.DRIVERS, [*NO_PROOF, *_drivers()], [*DRIVER_TESTS, *PLAYERS.values()])


def ensure_drivers_asan():
    build(paths.DRIVERS_ASAN, [*SANITIZERS, *_drivers()], DRIVER_TESTS)


def ensure_proof():
    host.ensure(host.PROOF)
    build(paths.PROOF, ["-Dproof=enabled"], ["tests/proof/ring_proof"])


def ensure_coverage():
    """From scratch where a source came or went: gcov's notes of one that is gone would be counted."""
    folders = [paths.ROOT / name for name in ("hw/xen-pvblk/core", "include/pvblk", "tests/support", "tests/unit")]
    sources = sorted(str(path.relative_to(paths.ROOT)) for folder in folders for path in folder.rglob("*"))
    build(paths.CORE_COVERAGE, COVERAGE, UNIT_TESTS, sources=sources)


def ensure_fuzz():
    """The fuzz targets, by clang: libFuzzer is a part of it. Their sanitizers are in meson.build."""
    host.ensure(host.FUZZ)
    host.ensure(host.fuzzer_runtime())
    build(paths.FUZZ, ["-Dfuzz=true", "-Doptimization=1"], compiler="clang")


def _log(builddir):
    return paths.LOGS / f"{builddir.name}.log"


def build(builddir, options, targets=(), sources=(), compiler="gcc"):
    """Configures with Meson's options, and builds all or some targets; anew where `sources` are others than before."""
    if not (paths.ROOT / "meson.build").exists():
        raise ui.Problem("the checkout has no meson.build: it is incomplete")
    host.ensure(host.CORE)
    buildtools.ensure_meson()
    env = buildtools.environment(compiler)
    mark = stamp.Stamp(f"{builddir.name}-configured", [options, str(paths.ROOT), buildtools.compiler_id(compiler),
                                                            buildtools.meson_id(), *sources],
                       [builddir / "build.ninja"])
    if not mark.fresh():
        mark.clear()
        with ui.step(f"{builddir.name}: configuring"):
            _log(builddir).unlink(missing_ok=True)
            buildtools.reset(builddir)
            ui.run(["meson", "setup", builddir, paths.ROOT, *options], _log(builddir), builddir.name, env=env)
        mark.write()
    with ui.step(f"{builddir.name}: building"):
        buildtools.ninja(builddir, targets, _log(builddir), builddir.name)


def run_tests(builddir, suite, *names):
    """Runs a suite of Meson's tests, or some of it; (how many passed, what the last of them printed last).

    Raises if one failed or none ran.
    """
    label = "-".join([builddir.name, suite, *names])
    log = paths.LOGS / f"{label}.log"
    log.unlink(missing_ok=True)
    # Results of their own, as two runs in one folder may go on at a time.
    results = builddir / "meson-logs" / f"{label}.json"
    results.unlink(missing_ok=True)
    env = buildtools.environment()
    env.setdefault("UBSAN_OPTIONS", "halt_on_error=1:print_stacktrace=1")
    ui.run(["meson", "test", "-C", builddir, "--no-rebuild", "--print-errorlogs", "--logbase", label, "--suite", suite,
            *names], log, label, env=env)
    return _judge(results, log)


def _judge(results, log):
    ran = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    passed = [test for test in ran if test.get("result") == "OK"]
    if not passed:
        raise ui.Problem("no test ran", log)
    return len(passed), passed[-1].get("stdout", "").strip().rpartition("\n\n")[2]
