# SPDX-License-Identifier: MIT
"""A running QEMU: its control line to the guest's script, its QMP, and how it ended.

Both lines are socket pairs that QEMU inherits, so no path can clash or be too long, and the end of the process
is an event. The guest's script writes `PVBLK: word ...` on its second serial port; the first one is its console.
"""

import os
import re
import resource
import select
import shlex
import socket
import subprocess
import threading
import time
from contextlib import contextmanager

from . import kernel, paths, qemu, qmp, ui

MARK = "PVBLK: "
# A QEMU that says nothing for as long is asked whether it lives; a busy machine takes seconds to answer.
QUIET_SECONDS, ANSWER_SECONDS = 5, 10
# Where QEMU's emulation has it.
XENSTORE_PAGE = 0xFEFF9000
INTERRUPTED = "interrupted"
# For a QEMU that closed its lines to end.
END_SECONDS = 60


class Line:
    """A socket that is read line by line, up to a deadline."""

    # A longer line comes in pieces: who never ends one fills no memory.
    MOST = 1 << 22

    def __init__(self, end):
        self.socket = end
        self.rest = b""

    def read(self, deadline):
        """The next line, or None at the end; TimeoutError when the deadline passes."""
        while b"\n" not in self.rest and len(self.rest) < self.MOST:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.socket], [], [], left)[0]:
                raise TimeoutError
            try:
                chunk = self.socket.recv(65536)
            except ConnectionError:
                chunk = b""
            if not chunk:
                return None
            self.rest += chunk
        line, _, self.rest = self.rest.partition(b"\n")
        return line.decode(errors="replace").strip("\r")

    def write(self, text):
        self.socket.sendall(text.encode() + b"\n")


class Running:
    """The QEMUs of this process. After Ctrl-C they end, and no other one starts, also where threads wait for them."""

    def __init__(self):
        self._lock, self._processes, self.over = threading.Lock(), set(), False

    def add(self, process):
        with self._lock:
            self._processes.add(process)
            if self.over:
                process.kill()

    def remove(self, process):
        with self._lock:
            self._processes.discard(process)

    def end(self):
        with self._lock:
            self.over = True
            for process in self._processes:
                process.kill()


running = Running()


class Reset(ui.Problem):
    """The guest was reset where it should have gone on: QEMU ended for it, or the guest started over."""


class Guest:
    """`with Guest("name", [...]) as guest:` starts QEMU and is sure to end it."""

    # By RLIMIT_: of QEMU's memory, and of each file that it writes. Beyond that of files, what it writes is lost, and it
    # goes on.
    limits = {}

    def __init__(self, name, arguments, program=None, reboot=False, environment=None):
        self.name = name
        self.reboot = reboot
        self.environment = {**os.environ, **(environment or {})}
        self.arguments = [str(word) for word in arguments]
        self.program = program or qemu.program("qemu-system-x86_64")
        self.console = paths.LOGS / f"{name}.console.log"
        self.control_log = paths.LOGS / f"{name}.control.log"
        self.errors = paths.LOGS / f"{name}.qemu.log"
        self.process = None

    def __enter__(self):
        if running.over:
            raise ui.Problem(f"{self.name}: {INTERRUPTED}")
        paths.LOGS.mkdir(parents=True, exist_ok=True)
        for log in (self.console, self.control_log, self.errors):
            log.unlink(missing_ok=True)
        control, control_far = socket.socketpair()
        monitor, monitor_far = socket.socketpair()
        command = [str(self.program), "-L", str(paths.FIRMWARE), "-nodefaults", "-display", "none",
                   "-chardev", f"file,id=console,path={escaped(self.console)}", "-serial", "chardev:console",
                   "-chardev", f"socket,id=control,fd={control_far.fileno()},logfile={escaped(self.control_log)}",
                   "-serial", "chardev:control",
                   "-chardev", f"socket,id=monitor,fd={monitor_far.fileno()}",
                   "-mon", "chardev=monitor,mode=control",
                   *([] if self.reboot else ["-no-reboot"]), *self.arguments]
        with open(self.errors, "wb") as errors:
            errors.write((" ".join(command) + "\n").encode())
            errors.flush()
            try:
                # Python ignores SIGXFSZ, and so does QEMU then: it gets an error for what is beyond the limit.
                self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors,
                                                pass_fds=[control_far.fileno(), monitor_far.fileno()],
                                                env=self.environment, restore_signals=False)
            except OSError as error:
                raise ui.Problem(f"{self.name}: cannot run {self.program}: {error.strerror}") from None
        running.add(self.process)
        for limit, most in self.limits.items():
            hard = resource.prlimit(self.process.pid, limit)[1]
            soft = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.prlimit(self.process.pid, limit, (soft, hard))
        control_far.close()
        monitor_far.close()
        self.control = Line(control)
        self.monitor_socket = monitor
        self.monitor = None
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        running.remove(self.process)
        self.control.socket.close()
        if self.monitor:
            self.monitor.close()
        self.monitor_socket.close()

    def problem(self, text, kind=ui.Problem):
        """A failure with the log that most likely tells why."""
        log = self.console
        if self.process.poll() not in (None, 0) or not (log.exists() and log.stat().st_size):
            log = self.errors
        return kind(f"{self.name}: {text}", log)

    def wait_for(self, word, seconds, on_mark=None, on_line=None):
        """The rest of the line `PVBLK: word ...`; other marks go to on_mark(text), other lines to on_line(line).

        A guest's FAILED raises.
        """
        deadline = time.monotonic() + seconds
        while True:
            try:
                line = self.control.read(deadline)
            except TimeoutError:
                raise ui.Problem(f"{self.name}: the guest did not say '{word}' in {seconds} s",
                                 self.examine()) from None
            if line is None:
                status = self._end_status()
                raise self.problem(f"QEMU ended with status {status} before '{word}'", ui.Problem if status else Reset)
            if not line.startswith(MARK):
                if on_line:
                    on_line(line)
                continue
            text = line.removeprefix(MARK)
            if text.startswith("FAILED"):
                raise self.problem(f"the guest says: {text}")
            first, _, rest = text.partition(" ")
            if first == word:
                return rest
            if on_mark:
                on_mark(text)

    def next_line(self, seconds):
        """The next line of the guest's script, a mark or not. A QEMU that hangs is noticed before the time is over."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                line = self.control.read(min(deadline, time.monotonic() + QUIET_SECONDS))
                break
            except TimeoutError:
                if time.monotonic() >= deadline:
                    raise ui.Problem(f"{self.name}: the guest does not go on", self.examine()) from None
                self.qmp("query-status", seconds=ANSWER_SECONDS)
        if line is None:
            raise self.problem(f"QEMU ended with status {self._end_status()}")
        return line

    def _end_status(self):
        """Of a QEMU that closed its lines. One that hangs at its end is killed."""
        try:
            return self.process.wait(timeout=END_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def examine(self):
        """A log with where a guest that says nothing any more stands, and what it waits for."""
        log = paths.LOGS / f"{self.name}.hang.log"
        lines = [f"console: {line}" for line in ui.last_lines(self.console, 4)]
        try:
            for cpu in self.qmp("query-cpus-fast", seconds=10):
                number = cpu["cpu-index"]
                registers = self._monitor_command(f"info registers {number}")
                lines += [line for line in registers.splitlines() if "IP=" in line or "CR3=" in line]
                lapic = self._monitor_command(f"info lapic {cpu['props'].get('socket-id', number)}")
                lines += [line for line in lapic.splitlines() if re.match(r"LVTT|Timer|SPIV|ISR|IRR", line)]
            for port in self.qmp("xen-event-list", seconds=10):
                lines.append(f"event channel {port}")
            lines += ["XenStore ring, indices at 2048: " + line for line in
                      self._monitor_command(f"xp /4xw {XENSTORE_PAGE + 2048:#x}").splitlines()]
            children = self.qmp("qom-list", seconds=10, path="/machine/peripheral")
            for device in (child for child in children if child["type"].startswith("child")):
                path = f"/machine/peripheral/{device['name']}"
                for known in self.qmp("qom-list", seconds=10, path=path):
                    if known["name"] in ("state", "plan", "counters", "last-error"):
                        value = self.qmp("qom-get", seconds=10, path=path, property=known["name"])
                        lines.append(f"{device['name']} {known['name']}: {value}")
            lines += self._blocked_tasks()
        except (ui.Problem, OSError) as problem:
            lines.append(str(problem))
        log.write_text("\n".join(lines) + "\n")
        return log

    def _blocked_tasks(self):
        """What Linux prints for Alt-SysRq-w: where its tasks wait that nothing can wake but what they wait for."""
        before = self.console.stat().st_size
        for key in "9w":
            self._monitor_command(f"sendkey alt-sysrq-{key}")
            time.sleep(1)  # nothing tells when the guest has got both the press and the release
        with open(self.console, "rb") as console:
            console.seek(before)
            text = console.read(ui.TAIL_BYTES).decode(errors="replace")
        return [line for line in text.splitlines() if "/" in line or "task:" in line or "sysrq" in line]

    def _monitor_command(self, text):
        return self.qmp("human-monitor-command", seconds=10, command_line=text)

    def tell(self, text):
        """One line for the guest's script."""
        try:
            self.control.write(text)
        except OSError:
            raise self.problem(f"QEMU ended with status {self._end_status()}") from None

    def qmp(self, command, seconds=60, **arguments):
        """Executes a QMP command; returns its answer."""
        words = {key.replace("_", "-"): value for key, value in arguments.items()}
        return self.qmp_in_a_row((command, words), seconds=seconds)[0]

    def qmp_in_a_row(self, *commands, seconds=60):
        """Executes (command, arguments)s that QEMU gets at once: there is nothing between them. Their answers."""
        with self._monitor(f"QMP {commands[0][0]}", seconds) as monitor:
            return monitor.execute(commands, seconds)

    def wait_event(self, name, seconds=60, **data):
        """Returns once QMP has told of the event with this data, now or since the last time."""
        with self._monitor(f"event {name}") as monitor:
            monitor.wait_event(name, seconds, data)

    @contextmanager
    def _monitor(self, what, seconds=60):
        """The QMP session, begun where it is first used; what goes wrong with it meanwhile is a Problem."""
        try:
            self.monitor = self.monitor or qmp.Monitor(self.monitor_socket, seconds)
            yield self.monitor
        except TimeoutError:
            raise self.problem(f"{what}: QMP did not answer in time") from None
        except qmp.Refused as refused:
            raise self.problem(f"{what}: {refused}") from refused
        except qmp.Gone as gone:
            raise self.problem(f"QEMU ended with status {self._end_status()} while waiting for {what}") from gone

    def wait_end(self, seconds=60):
        """The exit status, once QEMU ends by itself."""
        try:
            return self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise self.problem(f"QEMU did not end in {seconds} s") from None

    def power_off(self):
        """Waits for the end of a guest that powers itself off; anything but status 0 is a Problem."""
        status = self.wait_end()
        if status:
            raise self.problem(f"QEMU ended with status {status} at power-off")


class Shell(Guest):
    """A guest whose script serves commands (tests/guest/commands.sh), once it said that it is ready."""

    # A busy machine takes ten times as long as an idle one.
    boot_seconds = 300

    def __enter__(self):
        super().__enter__()
        try:
            # Of what runs there: "Linux 6.12.117+deb13-cloud-amd64".
            self.versions = self.wait_for("ready", self.boot_seconds)
        except BaseException:
            self.__exit__()
            raise
        return self

    def start(self, *words, hears=False):
        """Begins a command; its lines, and the mark `ended STATUS`, are for next_line(). One that `hears` gets what we
        tell() until it ends."""
        self.tell(shlex.join(map(str, words)) + (" </dev/ttyS1" if hears else ""))

    def run(self, *words, seconds=60, on_line=None):
        """Runs a command; (exit status, lines of output). `on_line(line)` gets each line as it comes."""
        lines = []

        def line(text):
            lines.append(text)
            if on_line:
                on_line(text)

        self.start(*words)
        status = int(self.wait_for("ended", seconds, on_line=line))
        # commands.sh ends a last line that the command did not end. Else an empty line is added.
        return status, lines[:-1] if lines[-1:] == [""] else lines

    def power_off(self):
        self.tell("end")
        super().power_off()


def escaped(path):
    """A path inside one of QEMU's comma-separated options."""
    return str(path).replace(",", ",,")


def raw_disk(name, path):
    """Command line words for a node of that name over a raw image; a discard makes a hole in it."""
    return ["-blockdev", f"driver=file,node-name={name}-file,filename={escaped(path)},discard=unmap",
            "-blockdev", f"driver=raw,node-name={name},file={name}-file,discard=unmap"]


def accelerator(name):
    """Command line words for an accelerator."""
    if name == "kvm":
        if not os.access("/dev/kvm", os.R_OK | os.W_OK):
            raise ui.Problem("--accel kvm: you cannot open /dev/kvm; does it exist, and are you in the group kvm?")
        return ["-accel", "kvm", "-cpu", "host"]
    return ["-accel", "tcg"]


def linux(initrd, append="", which=kernel.CLOUD):
    """Command line words that boot a guest of ours."""
    return ["-kernel", which.quick, "-initrd", initrd, "-append", f"console=ttyS0 quiet panic=-1 {append}".strip()]
