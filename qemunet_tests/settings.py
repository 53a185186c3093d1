"""What a session was asked to do: the options, validated, as one immutable value."""

import re
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from qemunet_tests import images, option_checks
from qemunet_tests.claims import instead_of, known_file, load, matching, unmatched
from qemunet_tests.errors import UsageError
from qemunet_tests.isolation.identity import on_the_host
from qemunet_tests.network import expect_file
from qemunet_tests.options import CLAIMS, OPTIONS
from qemunet_tests.qemu import own_build, passt

LAB_BRIDGE = "br0"

#: Options whose names Python cannot have.
_FIELDS = {"as": "as_user"}


#: An IPv6 address stands in brackets, because colons are its own (RFC 3986, 3.2.2).
PEER = re.compile(r"(?:\[(?P<bracketed>[0-9A-Fa-f:.]+)\]|(?P<plain>[^\[\]:]+)):(?P<port>[0-9]{1,5})")


class LanPeer(BaseModel):
    """A TCP service on the real LAN that accepts connections and echoes what it gets."""

    model_config = ConfigDict(frozen=True)

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Settings(BaseModel):
    """One session's options. Paths are absolute; `qemu` is None where the PATH decides.

    `repeated` are the claims that did not hold in `failed`, None where everything is to be tried.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    target: Literal["lab", "host"] = "lab"
    bridge: str = LAB_BRIDGE
    peer: LanPeer | None = None
    expect: Path | None = None
    accel: Literal["auto", "kvm", "tcg"] = "auto"
    qemu: Path | None = None
    image: str = images.DEFAULT
    libslirp: Path | None = None
    bridge_helper: Path | None = None
    passt: Path | None = None
    nic: tuple[str, ...] = ("virtio-net-pci",)
    cold: bool = False
    report: Path | None = None
    failed: Path | None = None
    repeated: tuple[str, ...] | None = None
    known: Path | None = None
    keep: bool = False
    durations: int | None = None
    as_user: str | None = None
    claims: tuple[str, ...] = ()

    def wanted(self) -> frozenset[str] | None:
        """The ids of the claims that were asked for; None where nothing was said of it, so that all are."""
        if self.repeated is not None:
            return frozenset(self.repeated)
        return frozenset(matching(self.claims)) if self.claims else None

    def as_told(self) -> dict[str, Any]:
        """Plain data for the workers of a run, which believe it; what was not given is not in it."""
        return self.model_dump(mode="json", exclude_unset=True)

    @field_validator("peer", mode="before")
    @classmethod
    def _parse_peer(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        found = PEER.fullmatch(value)
        if found is None or not 0 < int(found["port"]) < 65536:
            raise ValueError(f"{value!r} is not ADDR:PORT, for instance 192.168.1.7:7777 or [2001:db8::7]:7777")
        return LanPeer(host=_written_alike(found["bracketed"] or found["plain"]), port=int(found["port"]))

    @field_validator("qemu", mode="before")
    @classmethod
    def _path_or_name(cls, value: object) -> object:
        # What has a slash is a path, as it is for a shell. A Path forgets the "./" that says so.
        return Path(value).absolute() if isinstance(value, str) and "/" in value else value

    @field_validator("bridge")
    @classmethod
    def _interface_name(cls, name: str) -> str:
        if not re.fullmatch(r"[^\s/]{1,15}", name):
            raise ValueError(f"{name!r} cannot be the name of a network interface")
        return name

    @field_validator("durations", mode="before")
    @classmethod
    def _count(cls, value: object) -> object:
        if isinstance(value, str) and not (value.isascii() and value.isdigit()):
            raise ValueError(f"{value!r} is not a number of claims")
        return value

    @field_validator("claims")
    @classmethod
    def _globs_match(cls, globs: tuple[str, ...]) -> tuple[str, ...]:
        for glob in unmatched(globs):
            raise ValueError(f"no claim matches {glob!r}: {instead_of(glob)}")
        return globs


def _field(option: str) -> str:
    return _FIELDS.get(option, option.replace("-", "_"))


def _written_alike(host: str) -> str:
    """An address in the one way it is compared in: 2001:DB8:0::7 is 2001:db8::7. What is none is refused elsewhere."""
    try:
        return str(ip_address(host))
    except ValueError:
        return host


def from_options(given: Mapping[str, object], flag: Callable[[str], str]) -> Settings:
    """Validate what was given (None, False and empty mean: not given). Raises UsageError.

    `flag` spells an option's name the way the user typed it.
    """
    load()  # What is wrong in the claims' tables is said before anything starts.
    try:
        settings = Settings.model_validate({_field(name): value for name, value in given.items() if value})
    except ValidationError as error:
        raise UsageError(_one_line(error, flag)) from None
    return settings.model_copy(update=_checked_against_machine(settings, flag))


def told_again(told: Mapping[str, Any]) -> Settings:
    """What `Settings.as_told` made of settings that were validated by another process of the same run."""
    return Settings.model_validate(told)


def _one_line(error: ValidationError, flag: Callable[[str], str]) -> str:
    first = error.errors()[0]
    name = next(option.name for option in (*OPTIONS, CLAIMS) if _field(option.name) == first["loc"][0])
    if first["type"] == "literal_error":
        return f"{flag(name)}: {first['input']!r} is not one of {first['ctx']['expected'].replace(' or ', ', ')}"
    message = first["msg"].removeprefix("Value error, ")
    return message if name == "claims" else f"{flag(name)}: {message}"


def _checked_against_machine(settings: Settings, flag: Callable[[str], str]) -> dict[str, Path]:
    """The named things exist. Answers with the absolute paths."""
    _check_bridge(settings, flag)
    _check_target(settings, flag)
    _check_guest(settings, flag)
    given = {name: getattr(settings, _field(name)) for name in _PATHS}
    return {_field(name): _PATHS[name](path, flag(name)) for name, path in given.items() if path}


def _own_passt(path: Path, flag: str) -> Path:
    found = own_build.program(path, flag)
    if passt.version(str(found)) is None:
        raise UsageError(f"{flag}: {str(path)!r} is not passt: it does not tell its version")
    return found


def _known_file(path: Path, flag: str) -> Path:
    found = option_checks.readable(path, flag)
    known_file.read(found, flag)
    return found


def _expect_file(path: Path, flag: str) -> Path:
    found = option_checks.readable(path, flag)
    expect_file.read(found)
    return found


#: What has to be true of a path that was given, by the option that gave it.
_PATHS: dict[str, Callable[[Path, str], Path]] = {
    "qemu": option_checks.executable,
    "libslirp": own_build.libslirp,
    "bridge-helper": own_build.bridge_helper,
    "passt": _own_passt,
    "expect": _expect_file,
    "known": _known_file,
    "report": option_checks.writable_folder,
}


def _check_bridge(settings: Settings, flag: Callable[[str], str]) -> None:
    if settings.target == "lab":
        if settings.bridge != LAB_BRIDGE:
            raise UsageError(
                f"{flag('bridge')}: the lab's bridge is {LAB_BRIDGE}; to use {settings.bridge!r} "
                f"of this host add {flag('target')} host"
            )
    elif "bridge" in settings.model_fields_set:
        option_checks.bridge(settings.bridge, flag("bridge"))


def _check_target(settings: Settings, flag: Callable[[str], str]) -> None:
    """Options that say something about a real host say nothing about the lab."""
    if settings.target == "host":
        if settings.bridge_helper:
            raise UsageError(f"{flag('bridge-helper')}: on a host its own is tried; leave {flag('target')} host out")
        on_the_host(settings.as_user)
        if settings.peer:
            option_checks.another_machine(settings.peer.host, flag("peer"))
        return
    for name in ("peer", "expect", "as"):
        if getattr(settings, _field(name)):
            raise UsageError(f"{flag(name)}: the lab needs none; it is for {flag('target')} host")


def _check_guest(settings: Settings, flag: Callable[[str], str]) -> None:
    """The image is there, or can be made, and its guest can use the NICs."""
    try:
        guest = images.profile(settings.image)
    except UsageError as unknown:
        raise UsageError(f"{flag('image')}: {unknown}") from None
    for model in settings.nic:
        if why := guest.no_driver(model):
            raise UsageError(f"{flag('nic')}: {why}")
