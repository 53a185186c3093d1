"""What a session was asked to do: the options, validated, as one immutable value."""

import os
import re
import shutil
import socket
import tempfile
from argparse import Namespace
from collections.abc import Callable, Mapping
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from qemunet_tests import images
from qemunet_tests.claims import load, unmatched
from qemunet_tests.errors import UsageError
from qemunet_tests.host import passt
from qemunet_tests.host.search_path import search_path
from qemunet_tests.isolation.identity import on_the_host
from qemunet_tests.network import expect_file
from qemunet_tests.options import CLAIMS, OPTIONS
from qemunet_tests.qemu import own_build

if TYPE_CHECKING:
    from pytest import Config

LAB_BRIDGE = "br0"

#: Options whose names Python cannot have.
FIELDS = {"as": "as_user", "bridge-helper": "bridge_helper"}


class LanPeer(BaseModel):
    """A TCP service on the real LAN that accepts connections and echoes what it gets."""

    model_config = ConfigDict(frozen=True)

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Settings(BaseModel):
    """One session's options. Paths are absolute; `qemu` is None where the PATH decides."""

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
    keep: bool = False
    as_user: str | None = None
    claims: tuple[str, ...] = ()

    @field_validator("peer", mode="before")
    @classmethod
    def _parse_peer(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        host, colon, port = value.rpartition(":")
        if not (colon and host and port.isdecimal() and 0 < int(port) < 65536):
            raise ValueError(f"{value!r} is not ADDR:PORT, for instance 192.168.1.7:7777")
        return LanPeer(host=host.strip("[]"), port=int(port))

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

    @field_validator("claims")
    @classmethod
    def _globs_match(cls, globs: tuple[str, ...]) -> tuple[str, ...]:
        for glob in unmatched(globs):
            modes = {claim.mode for claim in load().values()}
            hint = f"did you mean '{glob}/*'?" if glob in modes else "`qemunet claims` lists them"
            raise ValueError(f"no claim matches {glob!r}: {hint}")
        return globs


def from_config(config: "Config") -> Settings:
    """The settings of a pytest session. Raises UsageError with one line that names the pytest option."""
    return from_pytest_options(config.option, str(config.getini("qemunet_target") or ""))


def from_pytest_options(options: Namespace, target_of_ini: str) -> Settings:
    """As `from_config`, for a session that is still reading its options."""
    given = {option.name: getattr(options, option.pytest_dest, None) for option in (*OPTIONS, CLAIMS)}
    given["target"] = given["target"] or target_of_ini or None
    return from_options(given, flag=lambda name: f"--qemunet-{name}")


def from_options(given: Mapping[str, object], flag: Callable[[str], str]) -> Settings:
    """Validate what was given (None, False and empty mean: not given). Raises UsageError.

    `flag` spells an option's name the way the user typed it.
    """
    load()  # What is wrong in the claims' tables is said before anything starts.
    try:
        settings = Settings.model_validate({FIELDS.get(name, name): value for name, value in given.items() if value})
    except ValidationError as error:
        raise UsageError(_one_line(error, flag)) from None
    return settings.model_copy(update=_checked_against_machine(settings, flag))


def _one_line(error: ValidationError, flag: Callable[[str], str]) -> str:
    first = error.errors()[0]
    name = next((option for option, field in FIELDS.items() if field == first["loc"][0]), str(first["loc"][0]))
    if first["type"] == "literal_error":
        return f"{flag(name)}: {first['input']!r} is not one of {first['ctx']['expected'].replace(' or ', ', ')}"
    message = first["msg"].removeprefix("Value error, ")
    return message if name == "claims" else f"{flag(name)}: {message}"


def _checked_against_machine(settings: Settings, flag: Callable[[str], str]) -> dict[str, Path]:
    """The named things exist. Answers with the absolute paths."""
    _check_bridge(settings, flag)
    _check_target(settings, flag)
    _check_guest(settings, flag)
    paths = {}
    if settings.qemu:
        paths["qemu"] = _executable(settings.qemu, flag("qemu"))
    if settings.libslirp:
        paths["libslirp"] = own_build.libslirp(settings.libslirp, flag("libslirp"))
    if settings.bridge_helper:
        paths["bridge_helper"] = own_build.program(settings.bridge_helper, flag("bridge-helper"))
    if settings.passt:
        paths["passt"] = own_build.program(settings.passt, flag("passt"))
        if passt.version(str(paths["passt"])) is None:
            raise UsageError(f"{flag('passt')}: {str(settings.passt)!r} is not passt: it does not tell its version")
    if settings.expect:
        paths["expect"] = _readable(settings.expect, flag("expect"))
        expect_file.read(paths["expect"])
    if settings.report:
        paths["report"] = _writable_folder(settings.report, flag("report"))
    return paths


def _check_bridge(settings: Settings, flag: Callable[[str], str]) -> None:
    if settings.target == "lab":
        if settings.bridge != LAB_BRIDGE:
            raise UsageError(
                f"{flag('bridge')}: the lab's bridge is {LAB_BRIDGE}; to use {settings.bridge!r} "
                f"of this host add {flag('target')} host"
            )
    elif "bridge" in settings.model_fields_set and not Path("/sys/class/net", settings.bridge, "bridge").is_dir():
        raise UsageError(f"{flag('bridge')}: this host has no bridge {settings.bridge!r}")


def _check_target(settings: Settings, flag: Callable[[str], str]) -> None:
    """Options that say something about a real host say nothing about the lab."""
    if settings.target == "host":
        if settings.bridge_helper:
            raise UsageError(f"{flag('bridge-helper')}: on a host its own is tried; leave {flag('target')} host out")
        on_the_host(settings.as_user)
        if settings.peer and not _is_ipv4(settings.peer.host):
            raise UsageError(f"{flag('peer')}: {settings.peer.host!r} is not an IPv4 address of one machine")
        if settings.peer and _is_of_this_host(settings.peer.host):
            raise UsageError(
                f"{flag('peer')}: {settings.peer.host} is this host itself, and what guests reach there says "
                "nothing about the LAN: name another machine"
            )
        return
    for name in ("peer", "expect", "as"):
        if getattr(settings, FIELDS.get(name, name)):
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


def _is_ipv4(text: str) -> bool:
    try:
        return not IPv4Address(text).is_multicast
    except ValueError:
        return False


def _is_of_this_host(address: str) -> bool:
    """Whether the kernel binds a socket to it, as it does to its own."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            asking.bind((address, 0))
        except OSError:
            return False
        return True


def _executable(path: Path, option: str) -> Path:
    found = path if path.is_absolute() else Path(shutil.which(path, path=search_path()) or "/nonexistent")
    if not found.is_file():
        raise UsageError(f"{option}: there is no {str(path)!r}")
    if not os.access(found, os.X_OK):
        raise UsageError(f"{option}: {str(path)!r} is not executable")
    return found.absolute()


def _readable(path: Path, option: str) -> Path:
    if not path.is_file():
        raise UsageError(f"{option}: there is no file {str(path)!r}")
    if not os.access(path, os.R_OK):
        raise UsageError(f"{option}: {str(path)!r} cannot be read")
    return path.absolute()


def _writable_folder(path: Path, option: str) -> Path:
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise UsageError(f"{option}: cannot write into {str(path)!r}: {error.strerror}") from None
    return path.absolute()
