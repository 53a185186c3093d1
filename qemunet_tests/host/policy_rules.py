"""The rules by which the kernel chooses the table that it looks a packet's route up in, and which packets they take.

Source: ip-rule(8).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

from qemunet_tests.host.asking import Ask, listed

#: Types of routes and rules that end a packet's way.
DEAD_ENDS = ("blackhole", "prohibit", "unreachable")
#: Selectors of a rule that a plain packet does not meet.
_OF_OTHER_PACKETS = ("oif", "sport", "sport_start", "tos", "l3mdev")
#: All bits of a mark are looked at, unless a rule says which.
_WHOLE_MARK = "0xffffffff"
#: By which the host's own packets come in, as rules have it.
_OWN = "lo"
MAIN = "main"
#: A protocol, as ip(8) calls it, and a port of whom a packet is for; None where any packet is meant.
Service = tuple[str, int] | None


@dataclass(frozen=True)
class RoutedPacket:
    """What a way is looked up for: a packet of a user's, which has no source yet unless it is given.

    With `coming_by` it is one that came in there from `source`, and that the host passes on. `source_port` is 0 where
    it is not known. `mark` is what a packet filter has given it, which nobody tells.
    """

    address: str
    uid: int = 0
    service: Service = None
    source: str | None = None
    coming_by: str | None = None
    source_port: int = 0
    mark: int = 0

    @property
    def words(self) -> tuple[str, ...]:
        """How ip(8) is asked about it."""
        source = ("from", self.source) if self.source else ()
        whose = ("iif", self.coming_by) if self.coming_by else ("uid", str(self.uid))
        by = ("ipproto", self.service[0], "dport", str(self.service[1])) if self.service else ()
        port = ("sport", str(self.source_port)) if self.source_port else ()
        return (*source, *whose, *by, *port, *(("mark", str(self.mark)) if self.mark else ()))


@dataclass(frozen=True)
class PolicyRule:
    """A rule as ip(8) spells it: `words` are all but its number, `action` is `lookup` or what ends a packet's way."""

    preference: int
    words: str
    action: str
    table: str | None
    selects: "tuple[tuple[str, Any], ...]"

    def takes(self, packet: RoutedPacket) -> bool:
        """Whether a packet is the rule's to decide."""
        said = dict(self.selects)
        return ("not" in said) != (self._meets(said, packet) and _is_for(said, packet.service))

    @property
    def asks_for_mark(self) -> bool:
        """Whether it looks up a way for packets with a mark, and for no others."""
        said = dict(self.selects)
        return "fwmark" in said and "not" not in said and self.action not in DEAD_ENDS

    @property
    def mark(self) -> int:
        """The mark of packets that it takes; 0 where it asks for none."""
        return int(dict(self.selects).get("fwmark", "0"), 16)

    def _meets(self, said: dict[str, Any], packet: RoutedPacket) -> bool:
        came_by = packet.coming_by or _OWN
        if any(key in said for key in _OF_OTHER_PACKETS) or said.get("iif", came_by) != came_by:
            return False
        if "fwmark" in said and packet.mark & int(said.get("fwmask", _WHOLE_MARK), 16) != self.mark:
            return False
        if not said.get("uid_start", 0) <= packet.uid <= said.get("uid_end", packet.uid):
            return False
        return _is_in(packet.address, said, "dst") and _is_in(packet.source, said, "src")

    def __str__(self) -> str:
        return f"rule {self.preference}: {self.words}"


def _is_in(address: str | None, said: dict[str, Any], which: str) -> bool:
    length = said.get(f"{which}len")
    target = f"{said[which]}/{length}" if length is not None else said.get(which, "all")
    return target == "all" or (address is not None and ip_address(address) in ip_network(target, strict=False))


def _is_for(said: dict[str, Any], service: Service) -> bool:
    protocol, port = service or (None, -1)
    low, high = (said.get("dport", said.get(f"dport_{end}", port)) for end in ("start", "end"))
    return said.get("ipproto", protocol) == protocol and bool(low <= port <= high)


def rules(ask: Ask, address: str) -> Iterator[PolicyRule]:
    """The rules of the address's family, in the order in which they are asked."""
    spelled = ask(["ip", family(address), "rule", "show"]).text.splitlines()
    for said, line in zip(listed(ask, "ip", "-j", family(address), "rule", "show"), spelled, strict=False):
        number, _, words = line.partition(":")
        action = str(said.get("action", "lookup"))
        yield PolicyRule(int(number), " ".join(words.split()), action, said.get("table"), tuple(said.items()))


def family(address: str) -> str:
    """The option by which ip(8) is told the address's family."""
    return "-6" if ":" in address else "-4"
