"""Policies of IPsec that take packets before any route's interface sees them. Source: ip-xfrm(8)."""

import re
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from qemunet_tests.host import process_table
from qemunet_tests.host.asking import Ask

_POLICY = re.compile(r"^src (?P<source>\S+) dst (?P<destination>\S+)(?P<rest>[^\n]*(?:\n[ \t]+[^\n]*)*)", re.MULTILINE)
_DIRECTION = re.compile(r"^\s+(?:socket )?dir (\w+)", re.MULTILINE)
_TEMPLATE = re.compile(r"^\s+tmpl src (\S+) dst (\S+)", re.MULTILINE)
#: Daemons that make the keys when the first packet comes, as /proc shows their names.
_KEY_DAEMONS = ("charon", "charon-systemd", "pluto", "iked", "racoon")


@dataclass(frozen=True)
class IpsecPolicy:
    """`peer` is who what it takes is encrypted for; `blocks`: it drops that. `keyed`: there are keys for the peer."""

    source: str
    destination: str
    direction: str
    peer: str | None
    blocks: bool
    keyed: bool

    def takes(self, source: str, destination: str) -> bool:
        """Whether a packet between two addresses is the policy's to decide."""
        pairs = ((source, self.source), (destination, self.destination))
        return all(ip_address(address) in ip_network(selector, strict=False) for address, selector in pairs)

    @property
    def spelled(self) -> str:
        return f"src {self.source} dst {self.destination} dir {self.direction}"


def read(ask: Ask) -> tuple[IpsecPolicy, ...] | None:
    """All policies of the network namespace; None where we are not told. Those of single sockets are left out."""
    listing = ask(["ip", "xfrm", "policy"])
    if not listing.succeeded:
        return () if "not supported" in listing.complaint else None
    keys = ask(["ip", "xfrm", "state"]).text if listing.text else ""
    return tuple(_policy(found, keys) for found in _POLICY.finditer(listing.text) if "socket" not in found["rest"])


def made_on_demand() -> bool:
    """Whether somebody here makes keys when the first packet wants them."""
    return any(process_table.name(pid) in _KEY_DAEMONS for pid in process_table.pids())


def _policy(found: re.Match[str], keys: str) -> IpsecPolicy:
    direction, template = _DIRECTION.search(found["rest"]), _TEMPLATE.search(found["rest"])
    keyed = template is not None and f"src {template[1]} dst {template[2]}\n" in f"{keys}\n"
    return IpsecPolicy(
        found["source"],
        found["destination"],
        direction[1] if direction else "",
        template[2] if template else None,
        "action block" in found["rest"],
        keyed,
    )
