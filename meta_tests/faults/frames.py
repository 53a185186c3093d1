"""A shim between QEMU and a scapy peer: frames of one kind are altered, dropped or invented, in either direction.

A fault that takes `wire` is called with the wire of every peer, and says what becomes of which frames:

    wire.alter(FROM_QEMU, {"BOOTP.op": 2}, {"BOOTP.siaddr": "10.0.2.99", "DHCP.router": None})
    wire.drop(TO_QEMU, {"ARP.op": 1, "ARP.pdst": lambda address: address != "10.0.2.2"})
    wire.invent(TO_QEMU, {"DHCP.message-type": 7}, offer_of_another, to=FROM_QEMU)

Fields are LAYER.FIELD by scapy's names of classes and fields. `DHCP` has its options for fields, by scapy's names or by
number. Whatever else is in a frame stays as it is, except for lengths and checksums, which are right again.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    # scapy reads the machine's interfaces when it is imported: not before the lab has been entered.
    from scapy.packet import Packet

    from qemunet_tests.guest.peer import Wire

Way = Literal["from QEMU", "to QEMU"]
FROM_QEMU: Way = "from QEMU"
TO_QEMU: Way = "to QEMU"
#: Values by field, or predicates of values; or a predicate of the frame.
Which = Mapping[str, Any] | Callable[["Packet"], bool]
#: Fields that follow from all others. ICMPv6 has a class for each kind of message.
COMPUTED = {
    "IP": ("ihl", "len", "chksum"),
    "IPv6": ("plen",),
    "UDP": ("len", "chksum"),
    "TCP": ("dataofs", "chksum"),
    "ICMP": ("chksum",),
}


@dataclass(frozen=True)
class Rule:
    """What goes on, and which way, instead of a frame that goes one way and matches."""

    way: Way
    which: Which
    instead: Callable[["Packet"], Iterable[tuple[Way, "Packet"]]]


class FrameShim:
    """Stands in for the wire that a peer is at. The first rule that matches a frame counts."""

    def __init__(self, wire: "Wire") -> None:
        self._wire = wire
        self._rules: list[Rule] = []
        self._hearers: list[FrameShim] = []
        self._for_peer: deque[bytes] = deque()

    def alter(self, way: Way, which: Which, fields: Mapping[str, Any]) -> None:
        """Give fields another value, or what a function makes of theirs; an option of DHCP that is None is left out."""
        self._rules.append(Rule(way, which, lambda frame: [(way, altered(frame, fields))]))

    def drop(self, way: Way, which: Which) -> None:
        """Let frames vanish."""
        self._rules.append(Rule(way, which, lambda _: []))

    def invent(self, way: Way, which: Which, extra: Callable[["Packet"], "Packet"], to: Way | None = None) -> None:
        """Add what `extra` makes of a frame, behind it, or as an answer where `to` is the other way."""
        self._rules.append(Rule(way, which, lambda frame: [(way, frame), (to or way, extra(frame.copy()))]))

    def heard_by(self, other: "FrameShim") -> None:
        """What this peer sends comes to the peer at the other wire as well."""
        self._hearers.append(other)

    def put(self, frame: bytes) -> None:
        for other in self._hearers:
            other._for_peer.append(frame)
        self._pass(frame, TO_QEMU)

    def take(self, within_seconds: float) -> bytes | None:
        if not self._for_peer and (taken := self._wire.take(within_seconds)) is not None:
            self._pass(taken, FROM_QEMU)
        return self._for_peer.popleft() if self._for_peer else None

    def close(self) -> None:
        self._wire.close()

    def _pass(self, frame: bytes, way: Way) -> None:
        from scapy.layers.l2 import Ether

        packet = Ether(frame)
        rule = next((each for each in self._rules if each.way == way and matches(packet, each.which)), None)
        for goes, what in rule.instead(packet) if rule else [(way, frame)]:
            if goes == TO_QEMU:
                self._wire.put(bytes(what))
            else:
                self._for_peer.append(bytes(what))


def matches(frame: "Packet", which: Which) -> bool:
    """Whether a frame is one of those."""
    if callable(which):
        return which(frame)
    return all(_fits(frame, field, wanted) for field, wanted in which.items())


def _fits(frame: "Packet", field: str, wanted: object) -> bool:
    layer, name = field.split(".")
    if frame.getlayer(layer) is None:
        return False
    value = _options(frame).get(_number(name)) if _is_option(field) else frame[layer].getfieldval(name)
    return bool(wanted(value)) if callable(wanted) else value == wanted


def altered(frame: "Packet", fields: Mapping[str, Any]) -> "Packet":
    """The same frame with these fields, and with lengths and checksums that are right.

    Those of a fragment's datagram cannot be known and are left.
    """
    for field, wanted in fields.items():
        layer, name = field.split(".")
        if _is_option(field):
            before = _options(frame).get(_number(name))
            _set_option(frame, _number(name), wanted(before) if callable(wanted) else wanted)
        else:
            before = frame[layer].getfieldval(name)
            frame[layer].setfieldval(name, wanted(before) if callable(wanted) else wanted)
    layer = frame
    while layer:
        kind = type(layer).__name__
        for name in COMPUTED.get(kind, ("cksum",) if kind.startswith("ICMPv6") else ()):
            if f"{kind}.{name}" not in fields and name in layer.fields:
                layer.delfieldval(name)
        if kind == "IP" and (layer.frag or layer.flags.MF):
            break
        layer = layer.payload
    return frame


def _is_option(field: str) -> bool:
    return field.startswith("DHCP.") and field != "DHCP.options"


def _number(name: str) -> str | int:
    return int(name) if name.isdigit() else name


def _options(frame: "Packet") -> dict[str | int, Any]:
    """By name; several values are a tuple."""
    found = (each for each in frame["DHCP"].options if isinstance(each, tuple))
    return {name: values[0] if len(values) == 1 else tuple(values) for name, *values in found}


def _set_option(frame: "Packet", name: str | int, value: object) -> None:
    options = list(frame["DHCP"].options)
    at = next((at for at, each in enumerate(options) if isinstance(each, tuple) and each[0] == name), None)
    new = [] if value is None else [(name, *value) if isinstance(value, tuple) else (name, value)]
    end = options.index("end") if "end" in options else len(options)
    options[slice(end, end) if at is None else slice(at, at + 1)] = new
    frame["DHCP"].options = options
