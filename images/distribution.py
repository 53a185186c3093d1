"""Which packages the guests are made of on this distribution."""

import platform
import tomllib
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from qemunet_tests.errors import Unavailable

DEBIAN_VERSION = Path("/etc/debian_version")
TABLE = Path(__file__).parent / "distributions.toml"
REMEDY = (
    "on Debian 12 or 13 run `qemunet image build` and `qemunet image export FILE`, "
    "then here `qemunet image import FILE`"
)


class Distribution(BaseModel):
    """One entry of distributions.toml, where the words are explained."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    version: str
    tried: bool
    packager: str
    machine: str
    kernel: tuple[str, ...]
    follow: str
    programs: tuple[str, ...]

    @property
    def label(self) -> str:
        return f"{self.id}-{self.version}"


class HostRelease(BaseModel):
    """What the host says it is."""

    model_config = ConfigDict(frozen=True)

    id: str
    version: str
    machine: str

    @property
    def label(self) -> str:
        return f"{self.id}-{self.version}"


def host_release() -> HostRelease:
    """Read from os-release; a host without one is `unknown`."""
    try:
        said: Mapping[str, str] = platform.freedesktop_os_release()
    except OSError:
        said = {}
    try:
        debian_version = DEBIAN_VERSION.read_text().strip()
    except OSError:
        debian_version = ""
    return HostRelease(
        id=said.get("ID", "unknown"), version=release_version(said, debian_version), machine=platform.machine()
    )


def release_version(said: Mapping[str, str], debian_version: str) -> str:
    """VERSION_ID of os-release, which what rolls has not: Debian's testing and unstable are `forky/sid`, both."""
    if number := said.get("VERSION_ID"):
        return number
    codename = said.get("VERSION_CODENAME", "")
    if said.get("ID") == "debian":
        return f"{codename or debian_version.partition('/')[0] or 'unknown'}/sid"
    return codename or said.get("BUILD_ID", "unknown")


def table() -> list[Distribution]:
    return [Distribution(**entry) for entry in tomllib.loads(TABLE.read_text())["distribution"]]


def distribution(host: HostRelease) -> Distribution:
    """The entry for this host. Raises Unavailable where none was tried."""
    for entry in table():
        if entry.id != host.id or not fnmatchcase(host.version, entry.version):
            continue
        if not entry.tried:
            raise Unavailable(
                f"building a guest image was prepared for {host.id} {host.version} but never tried", REMEDY
            )
        if entry.machine != host.machine:
            raise Unavailable(f"guest images are built on {entry.machine} and this machine is {host.machine}", REMEDY)
        # An image serves where it was built: a pattern would serve everywhere.
        return entry.model_copy(update={"version": host.version})
    raise Unavailable(
        f"a guest image cannot be built on {host.id} {host.version}: its package names are not known", REMEDY
    )
