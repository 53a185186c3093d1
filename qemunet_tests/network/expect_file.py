"""What an operator knows about his LAN and a host cannot tell: the file of `--expect`.

range = "192.168.1.100-192.168.1.199"    # what the DHCP server hands out
server = "192.168.1.254"                 # the DHCP server itself
gateway = "192.168.1.254"                # what its leases name
dns = ["192.168.1.254"]
names = ["printer.lan"]                  # what the resolver may be asked, beside localhost
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address
from pathlib import Path
from reprlib import repr as shown

from qemunet_tests.errors import UsageError

#: More than any network can give reason for.
LIMIT_BYTES = 1 << 16
_NAME = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")
KEYS = ("range", "server", "gateway", "dns", "names")


@dataclass(frozen=True)
class Expectation:
    """Every value is None or empty where the file says nothing; `source` is what a reader is told."""

    source: str = "nothing was expected"
    first_lease: IPv4Address | None = None
    last_lease: IPv4Address | None = None
    server: str | None = None
    gateway: str | None = None
    dns: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


def read(path: Path) -> Expectation:
    """Read a file. Raises UsageError with the key that is wrong."""
    try:
        with path.open("rb") as file:
            content = file.read(LIMIT_BYTES + 1)
        if len(content) > LIMIT_BYTES:
            raise UsageError(f"--expect {path}: it is larger than {LIMIT_BYTES >> 10} KB")
        said = tomllib.loads(content.decode())
    except OSError as error:
        raise UsageError(f"--expect {path}: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(f"--expect {path}: {error}") from None
    except RecursionError:
        raise UsageError(f"--expect {path}: it is nested too deeply") from None
    unknown = [key for key in said if key not in KEYS]
    if unknown:
        raise UsageError(f"--expect {path}: {unknown[0]!r} is none of {', '.join(KEYS)}")
    try:
        first, last = _range(said.get("range"))
        return Expectation(
            source=f"--expect {path.name}",
            first_lease=first,
            last_lease=last,
            server=_one_address(said, "server"),
            gateway=_one_address(said, "gateway"),
            dns=tuple(str(_address("dns", each)) for each in _several(said.get("dns"))),
            names=tuple(_name(each) for each in _several(said.get("names"))),
        )
    except ValueError as error:
        raise UsageError(f"--expect {path}: {error}") from None


def _range(value: object) -> tuple[IPv4Address | None, IPv4Address | None]:
    if value is None:
        return None, None
    first, dash, last = value.partition("-") if isinstance(value, str) else ("", "", "")
    if not dash:
        raise ValueError(f"range: {shown(value)} is not FIRST-LAST, for instance 192.168.1.100-192.168.1.199")
    ends = _address("range", first.strip()), _address("range", last.strip())
    if ends[0] > ends[1]:
        raise ValueError(f"range: {shown(value)} ends before it begins")
    return ends


def _one_address(said: Mapping[str, object], key: str) -> str | None:
    return str(_address(key, said[key])) if key in said else None


def _address(key: str, value: object) -> IPv4Address:
    try:
        # A number is an address, too, but never what was meant.
        return IPv4Address(value if isinstance(value, str) else "")
    except AddressValueError:
        raise ValueError(f"{key}: {shown(value)} is no IPv4 address") from None


def _name(value: object) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ValueError(f"names: {shown(value)} cannot be a name that a resolver knows")
    return value


def _several(value: object) -> list[object]:
    return value if isinstance(value, list) else [] if value is None else [value]
