"""What forwarded frames meet by policy: chains at the forward hook that drop what no rule accepts.

Only root may read the firewall. Sources: libnftables-json(5), iptables(8), and FORWARD as Docker leaves it.
"""

import json
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from qemunet_tests.host.asking import PROGRAM_FOLDERS, ask_here
from qemunet_tests.host.credentials import CAP_NET_ADMIN, Credentials
from qemunet_tests.host.files import MACHINE, read_text
from qemunet_tests.host.nft_listing import NftListing
from qemunet_tests.host.nft_owner import kept

_INTERFACE_KEYS = ("iifname", "oifname", "iif", "oif", "ibrname", "obrname")
#: Matches of iptables that nft prints by name alone: what they accept is never a first packet, or cannot be told.
_LATER_PACKETS = ("conntrack", "state")
#: Rules of iptables that accept all that a bridge passes on, one bridge's or any's.
_BRIDGED = "--physdev-is-bridged -j ACCEPT"
_WHOLE = re.compile(rf"^-A FORWARD (?:-i (\S+) -o \1 -j ACCEPT|-m physdev +{_BRIDGED})$")


@dataclass(frozen=True)
class Dropping:
    """A chain whose policy is drop. `accepts` holds a set of interface names for each accept in its table.

    An empty set stands for an accept that names no interface. `beside` are the names of the table's chains, and `older`
    says that it is one of iptables-legacy, which is known to accept all of the bridges that `whole` has patterns for.
    """

    family: str
    table: str
    chain: str
    accepts: tuple[frozenset[str], ...] = ()
    beside: frozenset[str] = frozenset()
    older: bool = False
    whole: frozenset[str] = frozenset()

    @property
    def place(self) -> str:
        return f"chain {self.chain} of table {self.family} {self.table}"

    def exception_for(self, bridge: str, uplinks: Sequence[str], sudo: str) -> str:
        """The command that lets pass what this bridge forwards, from and to its uplinks, and nothing else."""
        if self.older:
            return f"{sudo}iptables-legacy -A {self.chain} -i {bridge} -o {bridge} -j ACCEPT"
        # Not every kernel knows in a table of bridges which bridge it is.
        ways = [f"{way} {port}" for port in uplinks for way in ("iifname", "oifname")]
        matches = ways if self.family == "bridge" else [f"iifname {bridge} oifname {bridge}"]
        rules = [f"{sudo}nft add rule {self.family} {self.table} {self.chain} {match} accept" for match in matches]
        return kept(" && ".join(rules), self, self.beside)

    def passes_whole(self, bridge: str) -> bool:
        """Whether a chain of iptables-legacy accepts all of a bridge's frames."""
        return any(fnmatchcase(bridge, name) for name in self.whole)

    def may_pass(self, interface: str) -> bool:
        """Whether some accept could be meant for this interface."""
        return any(not names or any(fnmatchcase(interface, name) for name in names) for names in self.accepts)


@dataclass(frozen=True)
class Firewall:
    """`unread` is why it could not be read, None where it was; then `dropping` is all that drops by policy."""

    unread: str | None
    dropping: tuple[Dropping, ...] = ()


NOT_ASKED = Firewall("nobody looked into the firewall")


def read(credentials: Credentials, listed: NftListing | None) -> Firewall:
    """The firewall of this network namespace, as nft `listed` it. Reads no table of the older iptables unless used."""
    if not credentials.may(CAP_NET_ADMIN):
        return Firewall("only root may read the firewall")
    if not shutil.which("nft", path=PROGRAM_FOLDERS):
        return Firewall("there is no nft to read the firewall with")
    if listed is None or not listed.in_json:
        return Firewall("nft cannot list the firewall")
    dropping = parse_nft(listed.in_json)
    if "filter" in tables_of_iptables():
        older = shutil.which("iptables-legacy", path=PROGRAM_FOLDERS) or shutil.which("iptables", path=PROGRAM_FOLDERS)
        said = ask_here([older, "-S"]) if older else None
        if said is None or not said.succeeded:
            return Firewall("tables of the older iptables are in use and cannot be listed", dropping)
        dropping += parse_iptables(said.text)
    return Firewall(None, dropping)


def tables_of_iptables() -> list[str]:
    """The tables of the older iptables that the caller's network namespace uses, by name; only root is told."""
    return (read_text(MACHINE, "/proc/thread-self/net/ip_tables_names") or "").split()


def parse_nft(listing: str) -> tuple[Dropping, ...]:
    """The forward chains of drop policy in the answer of `nft -j list ruleset`; none where it is no JSON."""
    try:
        entries = json.loads(listing)["nftables"]
    except (ValueError, KeyError, TypeError):
        return ()
    rules = [entry["rule"] for entry in entries if "rule" in entry]
    chains = [entry["chain"] for entry in entries if "chain" in entry]
    return tuple(
        Dropping(
            chain["family"],
            chain["table"],
            chain["name"],
            tuple(_accepts(rule for rule in rules if (rule["family"], rule["table"]) == _table(chain))),
            frozenset(each["name"] for each in chains if _table(each) == _table(chain)),
        )
        for chain in chains
        if chain.get("hook") == "forward" and chain.get("policy") == "drop"
    )


def _table(chain: dict[str, Any]) -> tuple[str, str]:
    return chain["family"], chain["table"]


def _accepts(rules: Iterator[dict[str, Any]]) -> Iterator[frozenset[str]]:
    for rule in rules:
        parts: list[dict[str, Any]] = rule.get("expr", [])
        if any("accept" in part for part in parts) and not any(map(_is_about_later_packets, parts)):
            yield frozenset(name for part in parts for name in _interfaces(part))


def _is_about_later_packets(part: dict[str, Any]) -> bool:
    # Older releases of nft say nothing of what iptables matches, not even its name.
    if (part.get("xt") or {}).get("name") in _LATER_PACKETS:
        return True
    match = part.get("match", {})
    return "ct" in _left(match) and "new" not in str(match.get("right"))


def _interfaces(part: dict[str, Any]) -> list[str]:
    match = part.get("match", {})
    if match.get("op") != "==" or _left(match).get("meta", {}).get("key") not in _INTERFACE_KEYS:
        return []
    right = match["right"]
    return [str(name) for name in right["set"]] if isinstance(right, dict) and "set" in right else [str(right)]


def _left(match: dict[str, Any]) -> dict[str, Any]:
    left = match.get("left")
    return left if isinstance(left, dict) else {}


def parse_iptables(said: str) -> tuple[Dropping, ...]:
    """The same for `iptables -S`, which speaks of its table filter."""
    if not re.search(r"^-P FORWARD DROP$", said, re.MULTILINE):
        return ()
    accepts = [line for line in said.splitlines() if "-j ACCEPT" in line and not re.search(r"--(ct)?state", line)]
    names = (re.findall(r"(?<!! )-[io] (\S+)", line) for line in accepts)
    # Its wildcard is a plus sign.
    found = tuple(frozenset(name.replace("+", "*") for name in each) for each in names)
    whole = {"*" if line.endswith(_BRIDGED) else line.split()[3] for line in accepts if _WHOLE.search(line)}
    return (Dropping("ip", "filter", "FORWARD", found, older=True, whole=frozenset(whole)),)
