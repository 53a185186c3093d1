"""What an operator knows about his LAN and a host cannot tell: the file of `--expect`.

range = "192.168.1.100-192.168.1.199"    # what the DHCP server hands out
server = "192.168.1.254"                 # the DHCP server itself
gateway = "192.168.1.254"                # what its leases name
dns = ["192.168.1.254"]
names = ["printer.lan"]                  # what the resolver may be asked, beside localhost
"""

import tomllib
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address
from pathlib import Path

from qemunet_tests.harness.errors import UsageError

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
        said = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"--expect {path}: {error}") from None
    unknown = [key for key in said if key not in KEYS]
    if unknown:
        raise UsageError(f"--expect {path}: {unknown[0]!r} is none of {', '.join(KEYS)}")
    try:
        first, last = _range(said.get("range"))
        return Expectation(
            source=f"--expect {path.name}",
            first_lease=first,
            last_lease=last,
            server=_address(said.get("server")),
            gateway=_address(said.get("gateway")),
            dns=tuple(str(IPv4Address(each)) for each in _several(said.get("dns"))),
            names=_several(said.get("names")),
        )
    except (AddressValueError, TypeError, ValueError) as error:
        raise UsageError(f"--expect {path}: {error}") from None


def _range(text: object) -> tuple[IPv4Address | None, IPv4Address | None]:
    if text is None:
        return None, None
    first, dash, last = str(text).partition("-")
    if not dash:
        raise ValueError(f"range: {text!r} is not FIRST-LAST, for instance 192.168.1.100-192.168.1.199")
    return IPv4Address(first.strip()), IPv4Address(last.strip())


def _address(text: object) -> str | None:
    return None if text is None else str(IPv4Address(str(text)))


def _several(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else () if value is None else (str(value),)
