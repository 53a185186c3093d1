"""Which of the questions that a guest asks when it comes up are answered, of IPv4 and of IPv6."""

from typing import TYPE_CHECKING

from qemunet_tests.errors import HarnessError
from qemunet_tests.guest.address_resolution import ADDRESS, GATEWAY, link_local, question_for_gateway
from qemunet_tests.guest.address_resolution import question_for as who_has
from qemunet_tests.observe.dhcp_client import message
from qemunet_tests.timeouts import turns

if TYPE_CHECKING:
    # scapy reads the machine's interfaces when it is imported: not before the lab has been entered.
    from scapy.packet import Packet

    from qemunet_tests.guest.peer import Peer


def answered(peer: "Peer", within_seconds: float = 2.0) -> tuple[str, ...]:
    """Which of ARP, DHCP, neighbour and router solicitations are answered, by these names.

    All are asked twice. When the last that is answered at all is answered again, the first ones were looked at.
    Raises HarnessError where none is.
    """
    got: dict[str, int] = {}

    def done(frame: "Packet") -> bool:
        if kind := _answered_by(frame):
            got[kind] = got.get(kind, 0) + 1
        return bool(kind) and got[kind] == 2

    for patience_seconds in turns(within_seconds):
        got.clear()
        for question in _questions(peer) * 2:
            peer.send(question)
        if peer.receive(done, patience_seconds):
            return tuple(sorted(got))
    raise HarnessError("no question of a guest's is answered, by IPv4 or IPv6")


def _questions(peer: "Peer") -> list["Packet"]:
    from scapy.layers.inet6 import ICMPv6ND_RS, ICMPv6NDOptSrcLLAddr, IPv6
    from scapy.layers.l2 import Ether

    router = IPv6(src=link_local(peer.mac), dst="ff02::2") / ICMPv6ND_RS() / ICMPv6NDOptSrcLLAddr(lladdr=peer.mac)
    return [
        who_has(peer.mac, GATEWAY, ADDRESS),
        message(peer, "discover"),
        question_for_gateway(peer.mac),
        Ether(src=peer.mac, dst="33:33:00:00:00:02") / router,
    ]


def _answered_by(frame: "Packet") -> str:
    from scapy.layers.dhcp import BOOTP
    from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6ND_RA
    from scapy.layers.l2 import ARP

    kinds = {"ARP": ARP, "DHCP": BOOTP, "neighbour": ICMPv6ND_NA, "router": ICMPv6ND_RA}
    return next((kind for kind, layer in kinds.items() if layer in frame and not _asks(frame, layer)), "")


def _asks(frame: "Packet", layer: type) -> bool:
    return getattr(frame[layer], "op", None) == 1
