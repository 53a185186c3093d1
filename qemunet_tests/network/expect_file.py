"""What an operator knows about his LAN and a host cannot tell: the file of `--expect`.

range = "192.168.1.100-192.168.1.199"    # what the DHCP server hands out; a network, 192.168.1.0/24, says it as well
server = "192.168.1.254"                 # the DHCP server itself
gateway = "192.168.1.254"                # what its leases name
dns = ["192.168.1.254"]
names = ["printer.lan"]                  # what the resolver may be asked, beside localhost

Every address may be one of IPv6, and a list may hold those of both: range = ["192.168.1.0/24", "2001:db8::/64"].
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from reprlib import repr as shown
from typing import TypeVar

from qemunet_tests import named_file
from qemunet_tests.errors import UsageError

#: More than any network can give reason for.
LIMIT_BYTES = 1 << 16
_NAME = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")
KEYS = ("range", "server", "gateway", "dns", "names")


Address = IPv4Address | IPv6Address


@dataclass(frozen=True)
class AddressRange:
    """All addresses from `first` to `last`, of one family."""

    first: Address
    last: Address

    def __str__(self) -> str:
        return f"{self.first} to {self.last}"

    def __contains__(self, address: str) -> bool:
        found = ip_address(address)
        return found.version == self.first.version and int(self.first) <= int(found) <= int(self.last)


@dataclass(frozen=True)
class Expectation:
    """What the file says, nothing where it is silent. Of ranges, servers and gateways there is one for each family.

    `source` is what a reader is told.
    """

    source: str = "nothing was expected"
    ranges: tuple[AddressRange, ...] = ()
    servers: tuple[Address, ...] = ()
    gateways: tuple[Address, ...] = ()
    dns: tuple[Address, ...] = ()
    names: tuple[str, ...] = ()

    def range_of(self, version: int) -> AddressRange | None:
        """What is handed out of the addresses of IPv4 or IPv6."""
        return next((each for each in self.ranges if each.first.version == version), None)


def of_version(addresses: tuple[Address, ...], version: int) -> list[str]:
    """Those of IPv4 or IPv6, spelled."""
    return [str(each) for each in addresses if each.version == version]


def read(path: Path) -> Expectation:
    """Read a file. Raises UsageError with the key that is wrong."""
    said = named_file.toml_in(path, "--expect", LIMIT_BYTES)
    unknown = [key for key in said if key not in KEYS]
    if unknown:
        raise UsageError(f"--expect {path}: {unknown[0]!r} is none of {', '.join(KEYS)}")
    try:
        return Expectation(
            source=f"--expect {path.name}",
            ranges=_one_each("range", [_range(each) for each in _several(said.get("range"))]),
            servers=_one_each("server", _addresses(said, "server")),
            gateways=_one_each("gateway", _addresses(said, "gateway")),
            dns=tuple(_addresses(said, "dns")),
            names=tuple(_name(each) for each in _several(said.get("names"))),
        )
    except ValueError as error:
        raise UsageError(f"--expect {path}: {error}") from None


def _range(value: object) -> AddressRange:
    text = value if isinstance(value, str) else ""
    if "/" in text:
        return _network(text)
    first, dash, last = text.partition("-")
    if not dash:
        raise ValueError(
            f"range: {shown(value)} is not FIRST-LAST, for instance 192.168.1.100-192.168.1.199, nor a network, for "
            "instance 2001:db8::/64"
        )
    ends = _address("range", first.strip()), _address("range", last.strip())
    if ends[0].version != ends[1].version:
        raise ValueError(f"range: {shown(value)} begins with IPv{ends[0].version} and ends with IPv{ends[1].version}")
    if int(ends[0]) > int(ends[1]):
        raise ValueError(f"range: {shown(value)} ends before it begins")
    return AddressRange(*ends)


def _network(text: str) -> AddressRange:
    try:
        network = ip_network(text)
    except ValueError as error:
        raise ValueError(f"range: {shown(text)} is no network: {error}") from None
    return AddressRange(network[0], network[-1])


Spoken = TypeVar("Spoken", AddressRange, Address)


def _one_each(key: str, given: list[Spoken]) -> tuple[Spoken, ...]:
    versions = [(each.first if isinstance(each, AddressRange) else each).version for each in given]
    for version in versions:
        if versions.count(version) > 1:
            raise ValueError(f"{key}: there are {versions.count(version)} of IPv{version}: name one")
    return tuple(given)


def _addresses(said: Mapping[str, object], key: str) -> list[Address]:
    return [_address(key, each) for each in _several(said.get(key))]


def _address(key: str, value: object) -> Address:
    try:
        # A number is an address, too, but never what was meant; and an interface's name means another one elsewhere.
        return ip_address(value if isinstance(value, str) and "%" not in value else "")
    except ValueError:
        raise ValueError(f"{key}: {shown(value)} is no IPv4 address, nor one of IPv6") from None


def _name(value: object) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ValueError(f"names: {shown(value)} cannot be a name that a resolver knows")
    return value


def _several(value: object) -> list[object]:
    return value if isinstance(value, list) else [] if value is None else [value]
