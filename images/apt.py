"""Fetching Debian packages without root and without installing them."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from qemunet_tests.errors import HarnessError, Unavailable
from qemunet_tests.images.tools import NoRoom, run


@dataclass(frozen=True, order=True)
class Package:
    """A package as the signed lists describe it."""

    name: str
    version: str
    sha256: str
    size_bytes: int = 0
    depends: tuple[str, ...] = ()
    #: The source package it was built from, and its version.
    source: str = ""


#: What apt-cache says where it knows none of the names it was asked for.
_KNOWS_NONE = "No packages found"
#: What it says, with what follows, where there is no way to a package source.
_NO_WAY = re.compile(
    "(?:Temporary failure resolving|Could not resolve|Could not connect|Cannot initiate the connection|"
    "Unable to connect|Network is unreachable|No route to host)[^;\\n]{0,80}"
)
_REMEDY = "check this machine's network and package sources, or import an image: qemunet image import FILE"


class StaleLists(HarnessError):
    """The lists name a package file that is gone: newer lists name another."""


class Apt:
    """The host's own apt, with its sources and keys, and private folders for all it writes.

    The machine's package lists are used where they exist; where they are missing, private ones are fetched into
    `work`, and where they turn out too old the caller does so with `fetch_lists`.
    """

    def __init__(self, work: Path) -> None:
        self.work = work
        self._private_lists = False
        self._complaint = ""
        for part in ("state/lists/partial", "cache/archives/partial", "packages"):
            (work / part).mkdir(parents=True, exist_ok=True)

    def candidates(self, names: Iterable[str]) -> dict[str, Package]:
        """The version of each package that apt would install.

        Raises HarnessError for an unknown name, Unavailable where that may be because nothing could be fetched.
        """
        wanted = sorted(set(names))
        found = self._show(wanted)
        if set(wanted) - set(found) and not self._private_lists:
            self.fetch_lists()
            found = self._show(wanted)
        if missing := [name for name in wanted if name not in found]:
            _refuse_offline(self._complaint)
            raise HarnessError(f"the package lists know nothing of {', '.join(missing)}{self._complaint}")
        return found

    def known(self, names: Iterable[str]) -> dict[str, Package]:
        """Those of `names` that exist: a dependency may be virtual, or one of several."""
        return self._show(sorted(set(names)))

    def download(self, packages: Iterable[Package]) -> dict[str, Path]:
        """Package files by name, checked by apt against the signed lists.

        Raises StaleLists, HarnessError, Unavailable where the package sources cannot be reached.
        """
        folder = self.work / "packages"
        wanted = [f"{package.name}={package.version}" for package in packages]
        if not wanted:
            return {}
        names = [entry.partition("=")[0] for entry in wanted]
        try:
            self._apt("apt-get", "download", *wanted, folder=folder)
        except NoRoom:
            raise
        except HarnessError as failed:
            _refuse_offline(str(failed))
            if self._private_lists:
                raise
            raise StaleLists(str(failed)) from failed
        return {name: self._file_of(folder, name) for name in names}

    @staticmethod
    def _file_of(folder: Path, name: str) -> Path:
        for path in folder.glob(f"{name}_*.deb"):
            return path
        raise HarnessError(f"apt said that it fetched {name}, and there is no such file")

    def _show(self, names: list[str]) -> dict[str, Package]:
        if not names:
            return {}
        try:
            said = self._apt("apt-cache", "show", "--no-all-versions", *names)
        except NoRoom:
            raise
        except HarnessError as failed:
            # apt-cache fails when it knows none of them, but not only then.
            if _KNOWS_NONE not in str(failed):
                self._complaint = f": {failed}"
            return {}
        return {package.name: package for package in _stanzas(said) if package.name in names}

    def fetch_lists(self) -> None:
        """Use lists of our own from now on. Raises Unavailable where they cannot be had."""
        self._private_lists = True
        try:
            said = self._apt("apt-get", "update", warnings=True)
        except NoRoom:
            raise
        except HarnessError as failed:
            _refuse_offline(str(failed))
            raise Unavailable(f"the package lists could not be fetched: {failed}", _REMEDY) from failed
        # It ends well where some lists could not be fetched, or all.
        self._complaint = "; ".join(dict.fromkeys(["", *_NO_WAY.findall(said)]))

    def _apt(self, *command: str, folder: Path | None = None, warnings: bool = False) -> str:
        options = {
            "Dir::Cache": self.work / "cache",
            # Container images switch these off, and then every call reads all lists again.
            "Dir::Cache::pkgcache": "pkgcache.bin",
            "Dir::Cache::srcpkgcache": "srcpkgcache.bin",
            # Root would otherwise hand the download to a user who may not write here.
            "APT::Sandbox::User": "",
            "Acquire::Retries": "3",
            "quiet": "1",
        }
        if self._private_lists:
            options |= {
                "Dir::State": self.work / "state",
                "Dir::State::Lists": self.work / "state/lists",
                "Dir::State::status": "/var/lib/dpkg/status",
            }
        words = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
        return run([command[0], *words, *command[1:]], package="apt", folder=folder or self.work, warnings=warnings)


def _refuse_offline(said: str) -> None:
    """Raises Unavailable where apt said that it cannot reach a package source."""
    if found := _NO_WAY.search(said):
        raise Unavailable(
            f"a guest image cannot be built offline, and no package source can be reached: {found[0].strip()}", _REMEDY
        )


def _stanzas(text: str) -> Iterator[Package]:
    for stanza in text.split("\n\n"):
        unfolded = re.sub(r"\n[ \t]+", " ", stanza)
        fields = dict(line.split(": ", 1) for line in unfolded.splitlines() if ": " in line)
        if "Package" in fields and "SHA256" in fields:
            depends, source = _names(fields), _source(fields)
            yield Package(fields["Package"], fields["Version"], fields["SHA256"], int(fields["Size"]), depends, source)


def _source(fields: dict[str, str]) -> str:
    """`name version`. A package says it only where either differs from its own: `Source: glibc (2.36-9)`."""
    name, _, version = fields.get("Source", fields["Package"]).partition(" ")
    return f"{name} {version.strip('()') or fields['Version']}"


def _names(fields: dict[str, str]) -> tuple[str, ...]:
    """Names of the dependencies, alternatives included, without versions and architectures."""
    both = ", ".join(fields[key] for key in ("Pre-Depends", "Depends") if key in fields)
    names = (re.match(r"[\w.+-]+", part.strip()) for part in re.split(r"[,|]", both))
    return tuple(dict.fromkeys(name.group() for name in names if name))
