"""Whether a rule of the packet filter is about a packet: said only as far as its matches are understood.

Source: libnftables-json(5).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any


@dataclass(frozen=True)
class PacketSeen:
    """The first packet of a conversation, as far as it is known; None is what is not known of it."""

    protocol: str
    source: str | None = None
    destination: str | None = None
    source_port: int | None = None
    port: int | None = None
    coming_by: str | None = None
    leaving_by: str | None = None
    user: int | None = None
    to_this_host: bool | None = None

    @property
    def family(self) -> str:
        known = self.destination or self.source or ""
        return "ip6" if ":" in known else "ip"

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
            "skuid": self.user,
            "nfproto": {"ip": "ipv4", "ip6": "ipv6"}[self.family],
            "protocol": self.family,
        }
        return of_meta.get(left["meta"].get("key"))

    def _others(self, left: Any) -> Any:
        if "ct" in left:
            return "new" if left["ct"].get("key") == "state" else None
        if "fib" in left and left["fib"].get("result") == "type" and "daddr" in left["fib"].get("flags", []):
            return None if self.to_this_host is None else ("local" if self.to_this_host else "unicast")
        payload = left.get("payload", {})
        of_ports = {"sport": self.source_port, "dport": self.port}
        of_addresses = {"saddr": self.source, "daddr": self.destination, "protocol": self.protocol}
        return (of_addresses if payload.get("protocol") in ("ip", "ip6") else of_ports).get(payload.get("field"))


def covers(expression: Iterable[dict[str, Any]], packet: PacketSeen) -> bool | None:
    """False where one match speaks against it; None where one cannot be told, or the rule is in no words of nft's."""
    parts = list(expression)
    answers = [_meets(part["match"], packet) for part in parts if "match" in part]
    if False in answers:
        return False
    # What comes last is what the rule does, also where iptables alone has words for it.
    return None if None in answers or not parts or any("xt" in part for part in parts[:-1]) else True


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
    found = _is_in(value, match.get("right"))
    return found if found is None or match.get("op") != "!=" else not found


def _of_another_kind(left: dict[str, Any], packet: PacketSeen) -> bool:
    """A match on a header that the packet does not have."""
    protocol = left.get("payload", {}).get("protocol")
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
    return str(value) == str(right)


def _is_in_written_out(value: Any, right: dict[str, Any]) -> bool | None:
    if "set" in right:
        return _is_in(value, right["set"])
    if "range" in right:
        low, high = right["range"]
        if isinstance(value, int):
            return bool(low <= value <= high) if isinstance(low, int) and isinstance(high, int) else None
        return int(ip_address(low)) <= int(ip_address(value)) <= int(ip_address(high))
    if "prefix" in right:
        network = ip_network(f"{right['prefix']['addr']}/{right['prefix']['len']}", strict=False)
        return ip_address(value) in network
    return None


def _any(answers: Iterable[bool | None]) -> bool | None:
    found = list(answers)
    return True if True in found else (None if None in found else False)
