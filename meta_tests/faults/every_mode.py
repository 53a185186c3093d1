"""Faults of what all modes promise that join two ends: frames of one kind, and a monitor that answers otherwise."""

import itertools
from typing import TYPE_CHECKING, Any

from meta_tests.faults.fault import fault
from meta_tests.faults.frames import FROM_QEMU, FrameShim
from meta_tests.faults.monitor import answer_lines
from meta_tests.faults.wrapper import alter_qemu
from qemunet_tests.conformance.refusals import ALONE
from qemunet_tests.guest.peer_frames import ETHERTYPE
from qemunet_tests.network import Lab

if TYPE_CHECKING:
    # scapy reads the machine's interfaces when it is imported: not before the lab has been entered.
    from scapy.packet import Packet

    from meta_tests.faults.frames import Which
    from qemunet_tests.guest.peer import Peer

MODES = ("tap", "stream", "dgram", "socket", "hubport", "vde", "l2tpv3")
WHOLE = (
    "tap/frames-whole",
    "stream/inet-server-client",
    "dgram/inet",
    "socket/listen-connect",
    "vde/switch",
    "l2tpv3/udp",
)
#: Of what is only tried, what is refused.
REFUSED = (
    "socket/exactly-one", "socket/address-syntax", "socket/udp-bad", "socket/not-multicast", "hubport/missing",
    "vde/switch-absent", "l2tpv3/ports-needed", "l2tpv3/needed", "l2tpv3/cookie-pair", "l2tpv3/own-address",
    "stream/address-needed", "dgram/local-missing", "dgram/types-differ", "tap/fd-exclusive",
    "tap/foreign", "tap/no-privilege", "tap/no-tun", "tap/queues-refused", "tap/vhost-forced",
    "vhost-vdpa/absent", "stream/reconnect-server-refused",
)  # fmt: skip
#: Of what is only tried, what is refused and ought not to be.
REFUSED_WRONGLY = ("socket/ipv6", "stream/manual-syntax", "vhost-vdpa/default-device")
OURS: "Which" = {"Ether.type": ETHERTYPE}
_wires: list[FrameShim] = []


def _each(slug: str, modes: tuple[str, ...] = MODES) -> tuple[str, ...]:
    return tuple(f"{mode}/{slug}" for mode in modes)


def _is_larger(frame: "Packet") -> bool:
    return getattr(frame, "type", 0) == ETHERTYPE and len(frame) >= 1514


@fault(*WHOLE, cause="of the frames from one QEMU to the other: 1514 bytes to the far one altered",
       sentinels=_each("any-frame"))  # fmt: skip
def largest_frames_cut(wire: FrameShim) -> None:
    """Something on the way cuts the last byte off frames of full size."""
    wire.alter(FROM_QEMU, _is_larger, {"Raw.load": lambda load: load[:-1]})


@fault(*_each("any-frame"), cause="of the frames from one end to the other: multicast lost", sentinels=_each("named"))
def multicast_lost(wire: FrameShim) -> None:
    """Multicasts do not get through."""
    wire.drop(FROM_QEMU, {"Ether.dst": "01:00:5e:01:02:03"})


@fault(*_each("vlan-tags", tuple(mode for mode in MODES if mode != "vde")), "bridge/vlan-tagged",
       cause="of the frames with VLAN tags: 100 altered", sentinels=_each("any-frame"))  # fmt: skip
def tags_changed(wire: FrameShim) -> None:
    """A switch on the way puts frames of one VLAN into another."""
    wire.alter(FROM_QEMU, {"Dot1Q.vlan": 100}, {"Dot1Q.vlan": 101})


@fault(*_each("in-order"), cause="of 48 frames there come 9. frames, not in order", sentinels=_each("named"))
def frames_twice(wire: FrameShim) -> None:
    """Every frame comes twice."""
    wire.invent(FROM_QEMU, OURS, lambda frame: frame)


@fault(*_each("link-down"), "passt/link-down", cause="a link that is down: (2 of 2 frames|the gateway answers)",
       sentinels=_each("any-frame"))  # fmt: skip
def links_stay_up(peer: "Peer") -> None:
    """A monitor says that it takes a link down, and does not."""
    if peer.qemu is None:
        return
    execute = peer.qemu.monitor.execute

    def swallow(command: str, *words: Any, **arguments: Any) -> Any:
        return {} if command == "set_link" else execute(command, *words, **arguments)

    peer.qemu.monitor.execute = swallow


@fault(*_each("two-backends"), cause="of two networks the first hears 1 and 2", sentinels=_each("named"))
def two_networks_joined(wire: FrameShim) -> None:
    """What is sent at one backend comes to all others as well."""
    for before in _wires[-3:]:
        wire.heard_by(before)
        before.heard_by(wire)
    _wires.append(wire)


@fault(*_each("sandbox"), cause="in the sandbox a frame passes to the far end$", sentinels=_each("named"))
def frames_lost_one_way(wire: FrameShim) -> None:
    """The second wire of a QEMU lets frames out and none in, once it was seen to work."""
    _wires.append(wire)
    seen: list[Packet] = []

    def is_late(frame: "Packet") -> bool:
        seen.append(frame)
        return len(seen) > 1

    if len(_wires) % 2 == 0:
        wire.drop(FROM_QEMU, is_late)


@fault(*_each("named"), cause="the monitor says of it nothing", sentinels=_each("any-frame"))
def backends_not_listed(peer: "Peer") -> None:
    """A monitor lists no backends."""
    answer_lines(peer, "info network", lambda _line, _ask: "")


@fault(
    *REFUSED, "af-xdp/listed", cause="QEMU starts with |af-xdp is not listed, and QEMU says", sentinels=_each("named")
)
def backends_left_out(lab: Lab) -> None:
    """A wrapper in QEMU's place leaves out backends that nobody is at."""
    alter_qemu(
        lab,
        lambda words: [
            word
            for word, behind in itertools.pairwise([*words, ""])
            if f"id={ALONE}" not in word and not (word == "-netdev" and f"id={ALONE}" in behind)
        ],
    )


@fault(
    "stream/listen-failed",
    "stream/connect-failed",
    "socket/connect-refused",
    cause="nobody is there",
    sentinels=_each("named"),
)
def starts_with_words(lab: Lab) -> None:
    """Something in QEMU's place says that it failed, and goes on, where nobody is at a backend."""
    saying = ["sh", "-c", 'echo "qemu-system-x86_64: nobody is there" >&2; exec "$@"', "sh"]
    alter_qemu(lab, lambda words: [*saying, *words] if any(f"id={ALONE}" in word for word in words) else words)


@fault(*REFUSED_WRONGLY, cause="Parameter 'type'", sentinels=_each("named"))
def backends_of_no_kind(lab: Lab) -> None:
    """A wrapper in QEMU's place spells the kind of a backend wrong that nobody is at."""
    alter_qemu(lab, lambda words: [f"x{word}" if f"id={ALONE}" in word else word for word in words])
