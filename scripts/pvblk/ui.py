# SPDX-License-Identifier: MIT
"""What the user sees: sentences, progress of long commands, and failures that say where to look."""

import os
import selectors
import subprocess
import sys
import time
from contextlib import contextmanager

from . import paths

_to_standard_error = False
# Without a terminal, a line this often shows that a long step is alive.
HEARTBEAT_SECONDS = 30
# Of a log, for its last lines.
TAIL_BYTES = 1 << 16
# Of a guest's line, characters that the user sees.
MOST_WORDS = 300


class Problem(Exception):
    """Something the user has to know: what is wrong, and (in `log`) where more of it is."""

    status = 1  # of the command that ends with it

    def __init__(self, message, log=None):
        super().__init__(message)
        self.log = log


class Usage(Problem):
    """The user's words are wrong, or a file that they name."""

    status = 2


def to_standard_error():
    """From now on nothing of ours goes to standard output."""
    global _to_standard_error
    _to_standard_error = True


def _stream():
    """Asked for each time: pytest keeps what a test says, and shows it afterwards."""
    return sys.stderr if _to_standard_error else sys.stdout


def _on_terminal():
    return _stream().isatty()


def _kept():
    return _stream() not in (sys.__stdout__, sys.__stderr__)


def printable(text):
    """A guest's words for the user's terminal: short, and without control characters."""
    return "".join(one if one.isprintable() else "?" for one in text[:MOST_WORDS])


def say(text=""):
    clear_status()
    print(text, file=_stream(), flush=True)


_status_width = 0


def status(text):
    """One line that the next one overwrites; only on a terminal."""
    global _status_width
    if not _on_terminal():
        return
    columns = terminal_columns()
    text = text.replace("\t", " ")[: columns - 1]
    print("\r" + text.ljust(_status_width), end="", file=_stream(), flush=True)
    _status_width = len(text)


def clear_status():
    global _status_width
    if _status_width and _on_terminal():
        print("\r" + " " * _status_width + "\r", end="", file=_stream(), flush=True)
        _status_width = 0


def terminal_columns():
    try:
        return os.get_terminal_size(_stream().fileno()).columns or 80
    except OSError:
        return 80


def bar(done, total, width=24):
    filled = width * done // max(total, 1)
    return "[" + "#" * filled + "." * (width - filled) + f"] {done}/{total}"


def tail(path, lines=25):
    """The end of a log, for a failure's message."""
    return "\n".join("    | " + line for line in last_lines(path, lines))


def last_lines(path, lines):
    """Of a file that may be as large as a disk."""
    try:
        with open(path, "rb") as file:
            file.seek(max(os.path.getsize(path) - TAIL_BYTES, 0))
            text = file.read(TAIL_BYTES).decode(errors="replace")
    except OSError:
        return []
    return text.splitlines()[-lines:]


def explain(problem):
    """Prints a Problem with the end of its log."""
    clear_status()
    print(f"pvblk: {problem}", file=sys.stderr)
    if problem.log:
        end = tail(problem.log)
        if end:
            print(end, file=sys.stderr)
        print(f"pvblk: the whole log is {paths.shown(problem.log)}", file=sys.stderr)


@contextmanager
def step(name):
    """Says what begins, and how long it took."""
    say(f"  {name} ...")
    begin = time.monotonic()
    yield
    say(f"  {name}: done in {time.monotonic() - begin:.0f} s")


class Progress:
    """Turns a command's output into a status line, or into a line now and then."""

    def __init__(self, label, parse):
        self.label = label
        self.parse = parse or (lambda line: line.strip())
        self.begin = self.spoke = time.monotonic()
        self.last = ""

    def line(self, text):
        shown = self.parse(text)
        if shown:
            self.last = shown
            status(f"  {self.label}: {shown}")

    def tick(self):
        now = time.monotonic()
        if not _on_terminal() and not _kept() and now - self.spoke >= HEARTBEAT_SECONDS:
            self.spoke = now
            say(f"    {self.label}: {now - self.begin:.0f} s, {self.last[:100]}")


def run(command, log, label, parse=None, missing=None, **options):
    """Runs a command with its output in a log and its progress on the screen; a Problem if it fails.

    `missing` is the hint for a failure: what to do about it.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    progress = Progress(label, parse)
    with open(log, "ab") as out:
        out.write(("$ " + " ".join(map(str, command)) + "\n").encode())
        out.flush()
        try:
            process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE,
                                       stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, **options)
        except OSError as error:
            raise Problem(f"{label}: cannot run {command[0]}: {error.strerror}"
                          + (f". {missing}" if missing else "")) from error
        try:
            _follow(process, out, progress)
        except BaseException:
            _stop(process)
            raise
    clear_status()
    if process.returncode:
        raise Problem(f"{label}: {os.path.basename(str(command[0]))} failed with status {process.returncode}"
                      + (f". {missing}" if missing else ""), log)


def _stop(process):
    """Politely first: ninja then stops its compilers, apt gives its locks back."""
    process.terminate()
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _follow(process, out, progress):
    """Copies output to the log as it comes, until the command closes it."""
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            if selector.select(timeout=HEARTBEAT_SECONDS):
                chunk = os.read(process.stdout.fileno(), 65536)
                if not chunk:
                    break
                out.write(chunk)
                out.flush()
                lines = (rest + chunk).replace(b"\r", b"\n").split(b"\n")
                rest = lines.pop()
                for line in lines:
                    progress.line(line.decode(errors="replace"))
            progress.tick()
    process.wait()
