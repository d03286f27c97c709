# SPDX-License-Identifier: MIT
"""The command line of ./pvblk."""

import signal
import sys
from pathlib import Path

from . import clean, conformance, core, coverage, demo, fuzz, lock, matrix, paths, qemusource, realxen, runqemu, setup, \
    sim, tests, tryguest, ui, xenhost

HELP = """\
xen-pvblk: a Xen block frontend inside QEMU, seen by guests as a virtio-blk disk. No Xen and no KVM needed.

Begin with these two; each sets up all it needs (Debian 12 or 13, root or sudo), and resumes if interrupted:

  ./pvblk demo                     boot Linux with two disks on xen-pvblk-pci, use them hard, check, show counters
  ./pvblk test                     all tests; about 70 minutes the first time, and 45 later

More:

  ./pvblk demo --xen               ... and then boot a Xen guest under TCG with its own xen-blkfront, and compare both
  ./pvblk demo --accel kvm         the demo under KVM, where this machine has it
  ./pvblk test --list              every test with what it proves
  ./pvblk test qos 'guest/kvm-*'   some tests, by group or glob
  ./pvblk test -k torture -x       ... or by pytest's own options: -k, -m, -n, -x, --lf, --junitxml=FILE
  ./pvblk conformance              the clauses of blkif that backends break: QEMU's, ours, Linux's, yours, side by side.
                                   Frontends, too: ./pvblk conformance --help has the rest
  ./pvblk matrix                   pairs of a frontend and a backend: connection, I/O, features, resize ...
                                   ./pvblk matrix --help has the rest
  ./pvblk try --kernel vmlinuz     your kernel or image as a Xen guest, on a backend that judges its frontend;
                                   ./pvblk try --help has the rest
  ./pvblk core                     only the C++ library and its unit tests: seconds, no QEMU
  ./pvblk coverage --update        measure the unit tests' coverage of the core, and write it to tests/coverage.toml
  ./pvblk sim --seeds 1000000      the simulator for more seeds than the tests have, with a count of what happened
  ./pvblk sim --seed 7 --show      ... or one of them, step by step; ./pvblk sim --help has the rest
  ./pvblk fuzz front --minutes 30  a fuzz target (front, back, store, faults, virtio) for longer than the tests do
  ./pvblk fuzz front FILE...       ... or replay an input step by step, as a failure tells you
  ./pvblk build                    build everything, and run nothing
  ./pvblk build --qemu-src DIR     ... from another QEMU: a source tree (copied, never changed), or an upstream
                                   qemu-*.tar.* file. Remembered; `--qemu-src debian` goes back
  ./pvblk qemu ARGS...             the built QEMU, with its firmware found and -machine ...,xen-emu=on set, unless
                                   an accelerator shows Xen to the guest: -accel tcg,xen-version=0x40011
  ./pvblk real-xen xen-4.17 PROGRAM [ARG...]
                                   boot a real Xen under TCG (xen-4.17 or xen-4.20), and run a static program in its
                                   domain 0, where Linux's xen-blkback serves disks (docs/real-xen.rst)
  ./pvblk clean [--all]            remove what was built; with --all, the downloads as well

An example: a disk image behind Xen's block protocol, without Xen:

  ./pvblk qemu -m 1G -nographic -blockdev driver=qcow2,node-name=d,file.driver=file,file.filename=disk.qcow2 \\
      -device xen-pvblk-pci,drive=d,bootindex=1

Everything is kept in build/; logs are in build/logs. Environment:

  PVBLK_CACHE=DIR                  another folder instead of build/
  PVBLK_MIRROR=URL                 a Debian mirror, instead of the one that apt uses
  PVBLK_QEMU_BUILD=DIR             a QEMU build folder of your own, with the series in it: it is only brought up to
                                   date with ninja; nothing is fetched, patched or configured
"""


def usage(problem):
    print(f"pvblk: {problem}; see ./pvblk --help", file=sys.stderr)
    return 2


def take_option(words, name):
    """Removes `name VALUE` or `name=VALUE` from the words; returns the value or None."""
    for index, word in enumerate(words):
        if word == name and index + 1 < len(words):
            del words[index]
            return words.pop(index)
        if word.startswith(name + "="):
            return words.pop(index).partition("=")[2]
    return None


def command_demo(words):
    accel = take_option(words, "--accel") or "tcg"
    xen = "--xen" in words
    if [word for word in words if word != "--xen"] or accel not in ("tcg", "kvm"):
        return usage("demo takes only --xen, and --accel tcg or --accel kvm")
    with lock.build_folder() as all_is_built:
        return demo.command(accel, xen, all_is_built)


def command_test(words):
    if "--list" in words:
        return tests.show([word for word in words if word != "--list"])
    with lock.build_folder() as all_is_built:
        return tests.command(words, all_is_built)


def command_build(words):
    source = take_option(words, "--qemu-src")
    if words:
        return usage(f"build does not take {words[0]}")
    with lock.build_folder():
        if source:
            qemusource.choose(source)
        setup.ensure("core", "qtests", "guest", "freestanding")
    ui.say("everything is built; try ./pvblk demo")
    return 0


def command_core(words):
    if words:
        return usage("core takes no arguments")
    with lock.build_folder():
        setup.ensure("core")
        ui.say(f"{core.run_tests(paths.CORE, 'unit')[0]} unit tests passed")
    return 0


def command_coverage(words):
    if words != ["--update"]:
        return usage("coverage takes --update; `./pvblk test coverage` only compares")
    with lock.build_folder():
        setup.ensure("coverage")
        coverage.update()
    return 0


def command_conformance(words):
    with lock.build_folder():
        return conformance.command(words)


def command_matrix(words):
    with lock.build_folder():
        return matrix.command(words)


def command_try(words):
    with lock.build_folder() as all_is_built:
        return tryguest.command(words, all_is_built)


def command_fuzz(words):
    minutes = take_option(words, "--minutes") or "1"
    if not words or words[0] not in fuzz.TARGETS:
        return usage(f"fuzz takes a target ({', '.join(fuzz.TARGETS)}), and then files or --minutes N")
    if not minutes.isdigit() or not int(minutes):
        return usage(f"--minutes={minutes} is not a whole number above 0")
    if any(word.startswith("-") for word in words):
        return usage("after the target, fuzz takes only files and --minutes N")
    with lock.build_folder():
        setup.ensure("fuzz")
        if len(words) > 1:
            return fuzz.replay(words[0], words[1:])
        ui.say(fuzz.campaign(words[0], int(minutes)))
    return 0


def command_sim(words):
    with lock.build_folder():
        ui.to_standard_error()
        setup.ensure("sim")
    return sim.command(words)


def command_qemu(words):
    # QEMU's own output stays clean: what the set-up says goes to the other stream.
    ui.to_standard_error()
    with lock.build_folder_or_results() as may_build:
        if may_build:
            runqemu.ensure()
    if not runqemu.is_built():
        # The other command had no use for QEMU, or could not build it.
        with lock.build_folder():
            runqemu.ensure()
    return runqemu.command(words)


def command_real_xen(words):
    hosts = {which.name: which for which in xenhost.ALL}
    if len(words) < 2 or words[0] not in hosts:
        return usage(f"real-xen takes a host ({', '.join(hosts)}), a static program, and the program's arguments")
    # The program's output stays clean.
    ui.to_standard_error()
    with lock.build_folder() as all_is_built:
        setup.ensure("qemu", "real-xen")
        all_is_built()
        return realxen.command(hosts[words[0]], Path(words[1]), words[2:])


def command_clean(words):
    if words not in ([], ["--all"]):
        return usage("clean takes only --all")
    with lock.build_folder():
        return clean.command(bool(words))


COMMANDS = {"demo": command_demo, "test": command_test, "build": command_build, "core": command_core,
            "coverage": command_coverage, "conformance": command_conformance, "matrix": command_matrix,
            "try": command_try, "fuzz": command_fuzz,
            "sim": command_sim, "qemu": command_qemu, "real-xen": command_real_xen, "clean": command_clean}


def interrupt(number, frame):
    """Being ended is like Ctrl-C: what we started is stopped, and the last line says so."""
    raise KeyboardInterrupt


def main(words):
    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGHUP, interrupt)
    if not words or words[0] in ("-h", "--help", "help"):
        print(HELP, end="")
        return 0 if words else 2
    if words[0] not in COMMANDS:
        return usage(f"{words[0]} is not a command")
    if words[0] not in ("qemu", "sim", "real-xen", "conformance", "matrix", "try") and ("--help" in words or "-h" in words):
        print(HELP, end="")
        return 0
    try:
        return COMMANDS[words[0]](words[1:])
    except ui.Problem as problem:
        ui.explain(problem)
        return problem.status
    except KeyboardInterrupt:
        ui.clear_status()
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
