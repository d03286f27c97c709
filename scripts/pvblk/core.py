# SPDX-License-Identifier: MIT
"""The C++ core and its unit tests, built on their own by Meson; with sanitizers in a second folder."""

import json

import buildtools
import host
import paths
import stamp
import ui

# -O1: instrumented code takes twice as long to compile at -O2, and finds the same.
SANITIZERS = ["-Db_sanitize=address,undefined", "-Db_lundef=false", "-Doptimization=1"]
# Unoptimised, so that a line and a branch are those of the source. The core has no exceptions, hence no edges of them.
COVERAGE = ["-Db_coverage=true", "-Doptimization=0"]


def ensure():
    build(paths.CORE, [])


def ensure_asan():
    build(paths.CORE_ASAN, SANITIZERS)


def ensure_coverage():
    """From scratch where a source came or went: gcov's notes of one that is gone would be counted."""
    folders = [paths.ROOT / name for name in ("hw/xen-pvblk/core", "include/pvblk", "tests/support", "tests/unit")]
    sources = sorted(str(path.relative_to(paths.ROOT)) for folder in folders for path in folder.rglob("*"))
    build(paths.CORE_COVERAGE, COVERAGE, sources=sources)


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


def run_tests(builddir, names=()):
    """Runs Meson's tests, or those with these names; returns how many passed, raises if one failed or none ran."""
    log = paths.LOGS / f"{builddir.name}-test.log"
    log.unlink(missing_ok=True)
    results = builddir / "meson-logs" / "testlog.json"
    results.unlink(missing_ok=True)
    env = buildtools.environment()
    env.setdefault("UBSAN_OPTIONS", "halt_on_error=1:print_stacktrace=1")
    ui.run(["meson", "test", "-C", builddir, "--no-rebuild", "--print-errorlogs", *names], log, builddir.name, env=env)
    return _count(results, log)


def _count(results, log):
    passed = 0
    if results.exists():
        for line in results.read_text().splitlines():
            if line.strip() and json.loads(line).get("result") == "OK":
                passed += 1
    if not passed:
        raise ui.Problem("not one unit test ran", log)
    return passed
