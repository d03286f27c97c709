# SPDX-License-Identifier: MIT
"""Real Xen hosts: a release of Xen and the Linux that is its domain 0, of Debian's packages, which are only unpacked.

Only what runs is kept: the hypervisor, xenstored, and the command that reads and writes XenStore. There is no xl.
"""

import gzip
from dataclasses import dataclass

from . import archive, guesttools, host, kernel, paths, plainlinux, stamp, ui

# Of any release. The first two and libxenmisc, whose names have the release, are added.
LIBRARIES = ("libc6", "libxencall1", "libxendevicemodel1", "libxenevtchn1", "libxenforeignmemory1", "libxengnttab1",
             "libxenstore4", "libxentoolcore1", "libxentoollog1")
XENSTORE = "usr/bin/xenstore"


@dataclass(frozen=True)
class Host:
    """One release of Xen, with its domain 0."""

    version: str
    suites: tuple
    kernel: kernel.Kernel

    @property
    def name(self):
        return f"xen-{self.version}"

    @property
    def packages(self):
        names = (f"xen-hypervisor-{self.version}-amd64", f"xen-utils-{self.version}", "xenstore-utils",
                 f"libxenmisc{self.version}", *LIBRARIES)
        return guesttools.Packages(self.name, "amd64", self.suites, names)

    @property
    def xenstored(self):
        """Where the packages have it."""
        return f"usr/lib/xen-{self.version}/bin/xenstored"

    @property
    def hypervisor(self):
        return paths.GUEST / f"{self.name}-boot" / "xen"

    @property
    def linux(self):
        return paths.GUEST / f"{self.name}-boot" / "vmlinux"

    def ensure(self):
        self.packages.ensure(self.xenstored)
        kernel.ensure(self.kernel)
        compressed = self.packages.find(f"boot/xen-{self.version}-amd64.gz")
        mark = stamp.Stamp(f"{self.name}-boot", [stamp.files_digest([compressed, self.kernel.image])],
                           [self.hypervisor, self.linux])
        if mark.fresh():
            return
        mark.clear()
        with ui.step(f"{self.name}: uncompressing Xen and its Linux"):
            self.hypervisor.parent.mkdir(parents=True, exist_ok=True)
            self.hypervisor.write_bytes(gzip.decompress(compressed.read_bytes()))
            self.linux.write_bytes(plainlinux.vmlinux(self.kernel.image))
        mark.write()


BOOKWORM = Host("4.17", archive.BOOKWORM, kernel.DEBIAN12)
TRIXIE = Host("4.20", ("trixie", "trixie-updates", "trixie-security"), kernel.DEBIAN13)
ALL = (BOOKWORM, TRIXIE)


def ensure():
    host.ensure(host.GUEST + host.REAL_XEN)
    guesttools.USERLANDS["amd64"].ensure(guesttools.BUSYBOX)
    for which in ALL:
        which.ensure()
