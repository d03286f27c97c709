# SPDX-License-Identifier: MIT
"""The source of another project's block frontend, of a Debian source package: only the parts that a test compiles."""

import shutil

from . import archive, host, paths, stamp, ui


def ensure(label, package, folder, parts, driver, tools=()):
    """Unpacks `parts` of the package into `folder`; fails if the package has no `driver`."""
    version = folder / "VERSION"
    mark = stamp.Stamp(f"{package}-unpacked", [parts, 1], [version, folder / driver])
    if mark.fresh():
        return
    mark.clear()
    host.ensure([*host.FETCH, *tools])
    with ui.step(f"{label}: source of {package} from Debian"):
        tarball = archive.tarball(package, archive.SUITES)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        ui.run(["tar", "-xf", tarball, "-C", folder, "--strip-components=1", "--wildcards", "--no-wildcards-match-slash",
                *(f"*/{part}" for part in parts)], paths.LOGS / f"{package}-source.log", f"{label}: unpacking")
        if not (folder / driver).exists():
            raise ui.Problem(f"{tarball.name} has no {driver}: this {package} lacks the Xen block driver")
        version.write_text(tarball.name.split("_")[1].split(".orig")[0])
    ui.say(f"  {label}: {package} {version.read_text()}")
    mark.write()
