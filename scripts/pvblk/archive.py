# SPDX-License-Identifier: MIT
"""Debian packages of another suite or architecture, fetched with a private apt: the system's own set-up stays as it is.

The mirror is the one this machine already uses; everything is verified with Debian's archive key.
"""

import os
import shutil
import subprocess

from . import paths, ui

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
# A mirror may answer 404 for single files of a suite; the next one then serves.
SUITES = ("trixie", "trixie-updates", "trixie-security", "sid")
BOOKWORM = ("bookworm", "bookworm-updates", "bookworm-security")


def index_targets():
    """(site, release, origin) of each index of packages that the system's apt knows."""
    answer = subprocess.run(["apt-get", "indextargets", "--format", "$(SITE)|$(RELEASE)|$(ORIGIN)",
                             "Created-By: Packages"], capture_output=True, text=True)
    return [tuple(line.split("|")) for line in answer.stdout.splitlines() if line.count("|") == 2]


def system_codename():
    for line in open("/etc/os-release"):
        key, _, value = line.strip().partition("=")
        if key == "VERSION_CODENAME":
            return value.strip('"')
    return ""


def mirror(security=False):
    """The address of the Debian mirror this machine uses, or None."""
    if os.environ.get("PVBLK_MIRROR"):
        return None if security else os.environ["PVBLK_MIRROR"]
    def is_security(site, release):
        return "security" in release or site.rstrip("/").endswith("security")

    candidates = [(site, release, origin) for site, release, origin in index_targets()
                  if is_security(site, release) == security]
    code = system_codename()
    # Third parties' lists have other releases and, once fetched, another origin.
    for site, release, origin in candidates:
        if origin == "Debian" or (code and release.split("-")[0] == code):
            return site
    for site, release, _ in candidates:
        if release.split("-")[0] in ("stable", "oldstable", "testing", "unstable", "sid"):
            return site
    return None


def _refusal(log, begin):
    """What the mirror did not give, from apt's words in the log."""
    with open(log, "rb") as file:
        file.seek(begin)
        lines = file.read().decode(errors="replace").splitlines()
    failed = [line.removeprefix("E: Failed to fetch ") for line in lines if line.startswith("E: Failed to fetch")
              and "://" in line]
    return ", ".join(f"{words[0].rpartition('/')[2]}: {' '.join(words[1:4])}"
                     for words in map(str.split, failed) if words)


class Archive:
    """One suite, for one architecture, with its own lists and cache. Sources come with amd64's."""

    def __init__(self, suite, architecture="amd64"):
        self.suite = suite
        self.architecture = architecture
        self.name = suite if architecture == "amd64" else f"{suite}-{architecture}"
        self.dir = paths.DOWNLOADS / "apt" / self.name
        self.log = paths.LOGS / f"apt-{self.name}.log"

    def options(self):
        pairs = {
            "APT::Architecture": self.architecture,
            "APT::Architectures": self.architecture,
            "Dir::Etc::SourceList": "/dev/null",
            "Dir::Etc::SourceParts": self.dir / "sources",
            "Dir::Etc::Preferences": "/dev/null",
            "Dir::Etc::PreferencesParts": "/dev/null",
            "Dir::State::Lists": self.dir / "lists",
            "Dir::State::Status": self.dir / "status",
            "Dir::Cache": self.dir / "cache",
            # Containers' images turn them off. Without them, each question to apt takes two seconds.
            "Dir::Cache::pkgcache": "pkgcache.bin",
            "Dir::Cache::srcpkgcache": "srcpkgcache.bin",
            # The unprivileged user that apt downloads as may not enter this folder.
            "APT::Sandbox::User": "root",
            "Acquire::Languages": "none",
            # A frozen mirror, or a clock that runs ahead: the signature is checked all the same.
            "Acquire::Check-Valid-Until": "false",
            "Acquire::Retries": "2",
        }
        return [word for key, value in pairs.items() for word in ("-o", f"{key}={value}")]

    def prepare(self):
        """Writes the source entry; False where no mirror for the suite is known."""
        site = mirror(security=self.suite.endswith("-security"))
        if not site:
            return False
        if not os.path.exists(KEYRING):
            raise ui.Problem(f"{KEYRING} is missing. Install it: apt-get install debian-archive-keyring")
        for part in ("sources", "lists/partial", "cache/archives/partial"):
            (self.dir / part).mkdir(parents=True, exist_ok=True)
        (self.dir / "status").touch()
        types = "deb deb-src" if self.architecture == "amd64" else "deb"
        entry = (f"Types: {types}\nURIs: {site}\nSuites: {self.suite}\nComponents: main\n"
                 f"Architectures: {self.architecture}\nSigned-By: {KEYRING}\n")
        (self.dir / "sources" / "pvblk.sources").write_text(entry)
        return True

    def update(self):
        """Fetches the lists again; the log begins anew."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.log.unlink(missing_ok=True)
        ui.run(["apt-get", *self.options(), "-q", "update", "--error-on=any"], self.log,
               f"package lists of {self.name}")

    def has_lists(self):
        return any((self.dir / "lists").glob("*_InRelease"))

    def query(self, *words):
        answer = subprocess.run(["apt-cache", *self.options(), *words], capture_output=True, text=True)
        return answer.stdout

    def depends(self, package, beginning):
        """The first dependency of a package with that beginning: how a metapackage names the real one."""
        for line in self.query("show", "--no-all-versions", package).splitlines():
            if line.startswith("Depends:"):
                for word in line.replace(",", " ").split():
                    if word.startswith(beginning):
                        return word
        return None

    def knows_source(self, package):
        return bool(self.query("showsrc", "--only-source", package))

    def knows(self, packages):
        """Whether it has all of them; one question, since each takes half a second."""
        said = self.query("show", "--no-all-versions", *packages).splitlines()
        return {line.removeprefix("Package: ") for line in said if line.startswith("Package: ")} >= set(packages)

    def download(self, words, into):
        into.mkdir(parents=True, exist_ok=True)
        begin = self.log.stat().st_size if self.log.exists() else 0
        try:
            ui.run(["apt-get", *self.options(), "-q", *words], self.log, f"download from {self.name}", cwd=into)
        except ui.Problem as problem:
            raise ui.Problem(_refusal(self.log, begin) or str(problem), self.log) from problem


# Names of the archives whose lists this process fetched.
_updated = set()


def _try(archive, fetch):
    """Runs `fetch(archive)`; once more with new lists, since a point release replaces files."""
    if not archive.prepare():
        return None
    if not archive.has_lists():
        _update(archive)
    try:
        return fetch(archive)
    except ui.Problem:
        if archive.name in _updated:
            raise
    _update(archive)
    return fetch(archive)


def _update(archive):
    archive.update()
    _updated.add(archive.name)


def from_suites(what, fetch, suites=SUITES, architecture="amd64"):
    """The result of `fetch(archive)` from the first suite that has everything; None means: not in this one."""
    last = None
    for suite in suites:
        try:
            result = _try(Archive(suite, architecture), fetch)
        except ui.Problem as problem:
            last = problem
            ui.say(f"    {what}: cannot take it from {suite} ({problem})")
            continue
        if result is not None:
            return result
    if not last:
        raise ui.Problem(f"{what}: this machine's apt names no Debian mirror that has it. Add one to "
                         "/etc/apt/sources.list, or set PVBLK_MIRROR to its address")
    raise ui.Problem(f"{what}: this mirror has it in none of {', '.join(suites)}. Does the network work? Set another "
                     "mirror with PVBLK_MIRROR=URL", last.log)


def source(package):
    """Fetches a source package; returns its .dsc."""
    return _source(package, [], "*.dsc")


def tarball(package, suites=(*SUITES, "bookworm")):
    """Fetches only upstream's part of a source package: what Debian packaged, without Debian's patches."""
    return _source(package, ["--tar-only"], "*.orig.tar.*", suites)


def _source(package, options, wanted, suites=SUITES):
    def fetch(archive):
        if not archive.knows_source(package):
            return None
        into = paths.DOWNLOADS / "source" / f"{package}-{archive.suite}"
        shutil.rmtree(into, ignore_errors=True)
        archive.download(["source", "--download-only", "--only-source", *options, package], into)
        found = sorted(path for path in into.glob(wanted) if path.suffix != ".asc")
        if not found:
            raise ui.Problem(f"the source package {package} is not in {archive.suite}", archive.log)
        ui.say(f"    {package}: source {found[0].name.removesuffix('.dsc')} of {archive.suite}")
        return found[0]
    return from_suites(f"source package {package}", fetch, suites)


def binaries(name, packages, resolve=None, suites=SUITES, architecture="amd64"):
    """Fetches binary packages, all of one suite; returns the .deb files.

    `resolve(archive)` may tell from the lists which packages are meant by them.
    """
    def fetch(archive):
        if not archive.knows(packages):
            return None
        wanted = resolve(archive) if resolve else packages
        if not wanted:
            return None
        into = paths.DOWNLOADS / "deb" / f"{name}-{archive.suite}"
        shutil.rmtree(into, ignore_errors=True)
        archive.download(["download", *wanted], into)
        found = sorted(into.glob("*.deb"))
        ui.say(f"    {name}: {', '.join(deb.name.split('_')[0] for deb in found)} of {archive.suite}")
        return found
    return from_suites(name, fetch, suites, architecture)


def unpack(debs, into):
    """Unpacks packages into a folder, without installing them."""
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True)
    for deb in debs:
        ui.run(["dpkg-deb", "-x", deb, into], paths.LOGS / "unpack.log", f"unpack {deb.name}")
