# SPDX-License-Identifier: MIT
"""QMP by QEMU's own Python package, out of the source tree that QEMU is built from, for callers that wait."""

import asyncio
import contextlib
import shutil
import sys
import tempfile
from pathlib import Path

from . import paths, qemu


class Refused(Exception):
    """QEMU answered with an error."""


class Gone(Exception):
    """There is nobody at the other end any more."""


def _package():
    """The folder with the package: QEMU 10.0 has it as source, later ones as a wheel."""
    folder = qemu.source() / "python"
    wheel = next((folder / "wheels").glob("qemu_qmp-*.whl"), None)
    if not wheel:
        return str(folder)
    # Python cannot import it as it is, for "qemu" is a name space.
    unpacked = paths.TOOLS / wheel.stem
    if not unpacked.exists():
        part = Path(tempfile.mkdtemp(dir=paths.TOOLS))
        shutil.unpack_archive(wheel, part, "zip")
        # Of two processes that do so at a time, one is first.
        with contextlib.suppress(OSError):
            part.rename(unpacked)
    return str(unpacked)


class Monitor:
    """A QMP session on a connected socket."""

    def __init__(self, end, seconds=60):
        package = _package()
        if package not in sys.path:
            sys.path.append(package)
        try:
            from qemu.qmp import QMPClient
        except ImportError as error:
            raise Refused(f"QEMU's source has no QMP package in {paths.shown(package)}") from error
        self._loop = asyncio.new_event_loop()
        self._client = QMPClient()
        # It takes all capabilities: with "oob", QEMU takes the next command while it is still at the one before.
        self._wait(self._client.connect(end), seconds)

    def execute(self, commands, seconds):
        """Sends (command, arguments)s without a pause between them; their answers."""
        async def all_of_them():
            return await asyncio.gather(*(self._client.execute(command, words) for command, words in commands))
        return self._wait(all_of_them(), seconds)

    def wait_event(self, name, seconds, data):
        """Returns once the event with this data has come, now or since the last time; others before it are forgotten."""
        def wanted(event):
            return event["event"] == name and data.items() <= event.get("data", {}).items()

        async def event():
            while not wanted(await self._client.events.get()):
                pass
        self._wait(event(), seconds)

    def close(self):
        # QEMU may have ended first, which is no trouble here.
        with contextlib.suppress(Gone, OSError):
            self._wait(self._client.disconnect(), 60)
        self._loop.close()

    def _wait(self, work, seconds):
        from qemu.qmp import ExecuteError, QMPError
        try:
            return self._loop.run_until_complete(asyncio.wait_for(work, seconds))
        except ExecuteError as error:
            raise Refused(str(error)) from error
        except (QMPError, EOFError) as error:
            raise Gone(str(error)) from error
