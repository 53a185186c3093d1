"""Whether a rule of the packet filter is about a packet: said only as far as its matches are understood.

Source: libnftables-json(5).
"""

import operator
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network
from typing import Any

#: IANA's numbers, and what nft calls them; it prints a number where /etc/protocols has no name.
PROTOCOLS = {1: "icmp", 2: "igmp", 6: "tcp", 17: "udp", 47: "gre", 50: "esp", 58: "ipv6-icmp", 132: "sctp"}
#: Statements behind which a rule goes on with some packets and not with others that are like them.
_SOMETIMES = frozenset({"limit", "quota", "ct count", "connlimit", "meter", "set"})
_MAC, _MAC_BYTES = re.compile("[0-9a-f]{2}(:[0-9a-f]{2}){5}"), 6
#: Comparisons; what else there is, as of flags, is not told.
_COMPARED = {"<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge}


@dataclass(frozen=True)
class PacketSeen:
    """The first packet of a conversation, or the first answer, as far as it is known; None is what is not known of it.

    `protocol` is `arp` or one of IP's, `kind` what ICMP and ARP call their types, `state` and `direction` are what
    conntrack calls it, and `bridge` is what forwards it from one of its ports to another. `passing`: the port that it
    is for is this conversation's alone, and the next one's is another. `source_mac` is who sent it onto this link.
    """

    protocol: str
    source: str | None = None
    destination: str | None = None
    source_port: int | None = None
    port: int | None = None
    coming_by: str | None = None
    leaving_by: str | None = None
    user: int | None = None
    group: int | None = None
    to_this_host: bool | None = None
    state: str | None = "new"
    kind: str | None = None
    size_bytes: int | None = None
    bridge: str | None = None
    answers: bool = False
    passing: bool = False
    source_mac: str | None = None

    @property
    def direction(self) -> str | None:
        told = {"new": "original", "established": "reply" if self.answers else None}
        return told.get(self.state or "")

    @property
    def family(self) -> str:
        known = self.destination or self.source or ""
        return "arp" if self.protocol == "arp" else "ip6" if ":" in known else "ip"

    @property
    def words(self) -> str:
        """What nft calls it: the matches that are about packets like this one and few others, whoever sends them."""
        ip, of_whom = ("arp", "addr ip") if self.family == "arp" else (self.family, "addr")
        said = {
            f"{ip} s{of_whom}": self.source,
            f"{ip} d{of_whom}": self.destination,
            f"{self.protocol} sport": self.source_port,
            f"{self.protocol} dport": None if self.passing else self.port,
            "arp operation" if self.protocol == "arp" else f"{self.protocol} type": self.kind,
        }
        found = " ".join(f"{name} {value}" for name, value in said.items() if value is not None)
        return found if self.protocol in found else f"{found} meta l4proto {self.protocol}".strip()

    @property
    def words_to_accept(self) -> str:
        """What nft calls the packets that have to pass where nothing passes unless a rule says so.

        Those that stay in a bridge, with the answers to this one; elsewhere this one alone.
        """
        stays = self.coming_by is not None and self.coming_by == self.leaving_by
        return f"iifname {self.coming_by} oifname {self.leaving_by}" if stays else self.words

    @property
    def is_routed(self) -> bool:
        """Whether it is the first packet of a conversation, and is passed on from one interface to another."""
        return not self.answers and None not in (self.coming_by, self.leaving_by) and self.coming_by != self.leaving_by

    def at(self, coming_by: str | None, leaving_by: str | None) -> "PacketSeen":
        """The same where it is known by which interfaces it comes and goes."""
        return replace(self, coming_by=coming_by, leaving_by=leaving_by)

    def answer(self, kind: str | None = None) -> "PacketSeen":
        """What comes back to it."""
        return PacketSeen(
            self.protocol, self.destination, self.source, self.port, self.source_port, self.leaving_by, self.coming_by,
            state="established", kind=kind, size_bytes=self.size_bytes if self.protocol == "icmp" else None,
            answers=True,
        )  # fmt: skip

    def value_of(self, left: Any) -> tuple[bool, Any]:
        """Whether a match asks for something that is known here, and what that is."""
        found = self._meta(left) if "meta" in left else self._others(left)
        return found is not None, found

    def _meta(self, left: Any) -> Any:
        of_meta = {
            "l4proto": self.protocol,
            "iif": self.coming_by,
            "iifname": self.coming_by,
            "oif": self.leaving_by,
            "oifname": self.leaving_by,
            "ibrname": self.bridge,
            "obrname": self.bridge,
            "skuid": self.user,
            "skgid": self.group,
            "nfproto": {"ip": "ipv4", "ip6": "ipv6"}.get(self.family),
            "protocol": self.family,
            "length": self.size_bytes,
        }
        return of_meta.get(left["meta"].get("key"))

    def _others(self, left: Any) -> Any:
        if "&" in left:
            return self._masked(*left["&"])
        if "ct" in left:
            return {"state": self.state, "direction": self.direction}.get(left["ct"].get("key"))
        if "fib" in left and left["fib"].get("result") == "type" and "daddr" in left["fib"].get("flags", []):
            return None if self.to_this_host is None else ("local" if self.to_this_host else "unicast")
        payload = left.get("payload", {})
        # The first packet of a connection has this flag alone. Which ones later packets have is not known.
        first = self.state in ("new", "untracked") and not self.answers
        flags = "syn" if first and self.protocol == "tcp" else None
        of_ports = {"sport": self.source_port, "dport": self.port, "flags": flags}
        of_addresses = {"saddr": self.source, "daddr": self.destination, "protocol": self.protocol}
        of_header: dict[str, dict[str, Any]] = {
            "ip": of_addresses,
            "ip6": of_addresses,
            "icmp": {"type": self.kind},
            "icmpv6": {"type": self.kind},
            "arp": {"operation": self.kind, "saddr ip": self.source, "daddr ip": self.destination},
            "ether": {"type": self.family, "saddr": self.source_mac},
        }
        return of_header.get(str(payload.get("protocol")), of_ports).get(payload.get("field"))

    def _masked(self, left: Any, mask: Any) -> Any:
        """Those of a connection's flags that a match looks at, 0 where the packet has none; the same bits of a MAC."""
        payload = left.get("payload", {}) if isinstance(left, dict) else {}
        if payload.get("protocol") == "ether" and isinstance(mask, str):
            found = self._others(left)
            return _spelled(_number(found) & _number(mask)) if found else None
        found = self._others(left) if payload.get("field") == "flags" else None
        return found if found is None or found in _bits(mask) else 0


def _number(mac: str) -> int:
    return int(mac.replace(":", ""), 16)


def _spelled(number: int) -> str:
    return number.to_bytes(_MAC_BYTES).hex(":")


def covers(expression: Iterable[dict[str, Any]], packet: PacketSeen) -> bool | None:
    """False where one match speaks against it; None where one cannot be told, or the rule is in no words of nft's."""
    parts = list(expression)
    answers = [_meets(part["match"], packet) for part in parts if "match" in part]
    answers += [None for part in parts if "vmap" in part and not _is_told(part["vmap"].get("key"), packet)]
    if False in answers:
        return False
    # What comes last is what the rule does, also where iptables alone has words for it.
    told = bool(parts) and None not in answers and not any("xt" in part for part in parts[:-1])
    return True if told and not any(not _SOMETIMES.isdisjoint(part) for part in parts) else None


def resolved(part: dict[str, Any], packet: PacketSeen) -> Any:
    """A part of a rule, with only those verdicts of a map that may become of a packet."""
    left, data = part.get("vmap", {}).get("key"), part.get("vmap", {}).get("data")
    if not isinstance(left, dict) or not isinstance(data, dict) or _of_another_kind(left, packet):
        return {} if "vmap" in part and isinstance(left, dict) and isinstance(data, dict) else part
    known, value = packet.value_of(left)
    entries = data.get("set", [])
    return [verdict for key, verdict in entries if not known or _is_in(value, key) is not False]


def _meets(match: dict[str, Any], packet: PacketSeen) -> bool | None:
    left = match.get("left")
    if not isinstance(left, dict):
        return None
    if _of_another_kind(left, packet):
        return False
    known, value = packet.value_of(left)
    if not known:
        return None
    compared = _COMPARED.get(str(match.get("op")))
    if compared is not None:
        right = match.get("right")
        return bool(compared(value, right)) if isinstance(value, int) and isinstance(right, int) else None
    if match.get("op") not in ("==", "!=", "in", None):
        return None
    # A packet has one flag and one state here: several of them together, written as one value, it does not have.
    together = match.get("op") in ("==", "!=") and len(_bits(match.get("right"))) > 1
    found = False if together else _is_in(value, match.get("right"))
    return found if found is None or match.get("op") != "!=" else not found


def _bits(written: Any) -> list[Any]:
    """What a mask or a value is made of: nft 1.0 writes several bits as a list, 1.1 as an `|` of them."""
    several = written.get("|") if isinstance(written, dict) else written
    return [bit for part in several for bit in _bits(part)] if isinstance(several, list) else [written]


def _is_told(left: Any, packet: PacketSeen) -> bool:
    """Whether it is known here which entry of a map is a packet's."""
    return isinstance(left, dict) and (_of_another_kind(left, packet) or packet.value_of(left)[0])


def _of_another_kind(left: dict[str, Any], packet: PacketSeen) -> bool:
    """A match on a header that the packet does not have."""
    masked = left.get("&", [left])[0]
    protocol = masked.get("payload", {}).get("protocol") if isinstance(masked, dict) else None
    return protocol in ("ip", "ip6", "tcp", "udp", "icmp", "icmpv6", "sctp", "arp") and protocol not in (
        packet.family,
        packet.protocol,
    )


def _is_in(value: Any, right: Any) -> bool | None:
    if isinstance(right, list):
        return _any(_is_in(value, each) for each in right)
    if isinstance(right, dict):
        return _is_in_written_out(value, right)
    if isinstance(right, str) and right.startswith("@"):
        return None
    if isinstance(right, str) and right.endswith("*") and isinstance(value, str):
        return value.startswith(right[:-1])
    return str(value) in (str(right), PROTOCOLS.get(right) if isinstance(right, int) else right)


def _is_in_written_out(value: Any, right: dict[str, Any]) -> bool | None:
    if "set" in right:
        return _is_in(value, right["set"])
    if _MAC.fullmatch(str(value)):
        return _is_among_macs(_number(value), right)
    if "range" in right:
        low, high = right["range"]
        if isinstance(value, int):
            return bool(low <= value <= high) if isinstance(low, int) and isinstance(high, int) else None
        return int(ip_address(low)) <= int(ip_address(value)) <= int(ip_address(high))
    if "prefix" in right:
        network = ip_network(f"{right['prefix']['addr']}/{right['prefix']['len']}", strict=False)
        return ip_address(value) in network
    return None


def _is_among_macs(value: int, right: dict[str, Any]) -> bool | None:
    if "range" in right:
        low, high = map(_number, right["range"])
        return low <= value <= high
    if "prefix" in right:
        rest = 8 * _MAC_BYTES - int(right["prefix"]["len"])
        return value >> rest == _number(right["prefix"]["addr"]) >> rest
    return None


def _any(answers: Iterable[bool | None]) -> bool | None:
    found = list(answers)
    return True if True in found else (None if None in found else False)
