"""Neighbour discovery by a peer: who is at an address, and whether a router is there. RFC 4861.

Whether somebody has the gateway's address libslirp answers at once, and it changes nothing: whoever asks that behind
another question has its answer when that one was looked at.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qemunet_tests.observe.packet_content import ICMPV6_NUMBER, addresses_of, content_of, is_sound, protocol_of

if TYPE_CHECKING:
    # scapy reads the machine's interfaces when it is imported: not before the lab has been entered.
    from scapy.packet import Packet

    from qemunet_tests.guest.peer import Peer

#: The gateway's address on every link of user networking, whatever its prefix is.
GATEWAY = "fe80::2"
#: The peer's address in the prefix that is announced, made from its MAC (RFC 4291, A).
OWN_ADDRESS = "fec0::5054:ff:fe70:6501"
ALL_ROUTERS, ALL_ROUTERS_MAC = "ff02::2", "33:33:00:00:00:02"
ROUTER_ADVERTISEMENT = 134


@dataclass(frozen=True)
class NeighbourAnswer:
    """A neighbour advertisement: for which address, from whom, with which MAC and flags."""

    address: str
    source: str
    mac: str
    router: bool
    solicited: bool
    overrides: bool


def neighbour(peer: "Peer", address: str, within_seconds: float = 0.5) -> NeighbourAnswer | None:
    """Who answers for an address; None where nobody does."""
    from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6NDOptDstLLAddr

    answer = peer.ask(question_for(peer, address), lambda frame: answered_by(frame) == address, within_seconds)
    if answer is None:
        return None
    said = answer[ICMPv6ND_NA]
    mac = str(answer[ICMPv6NDOptDstLLAddr].lladdr) if ICMPv6NDOptDstLLAddr in answer else ""
    return NeighbourAnswer(address, addresses_of(answer)[0], mac, bool(said.R), bool(said.S), bool(said.O))


def answering(peer: "Peer", addresses: Sequence[str]) -> list[str]:
    """Those of some addresses that anybody answers for, in their order.

    A router that has answered what was asked last has dealt with everything before. All is asked twice: an answer may
    get lost.
    """
    found: set[str | None] = set()

    def ends(frame: "Packet") -> bool:
        found.add(answered_by(frame))
        return is_router_advertisement(frame)

    for _ in range(2):
        for address in addresses:
            peer.send(question_for(peer, address))
        peer.ask(question_for_routers(peer), ends)
    return [address for address in addresses if address in found]


def question_for(peer: "Peer", address: str, own: str = OWN_ADDRESS) -> "Packet":
    """A neighbour solicitation, to the group that an address belongs to: RFC 4291, 2.7.1 and RFC 2464, 7."""
    from scapy.layers.inet6 import ICMPv6ND_NS, ICMPv6NDOptSrcLLAddr, IPv6
    from scapy.layers.l2 import Ether

    last = ipaddress.IPv6Address(address).packed[-3:]
    group = str(ipaddress.IPv6Address(bytes.fromhex("ff0200000000000000000001ff") + last))
    to_group = Ether(src=peer.mac, dst=f"33:33:ff:{last.hex(':')}") / IPv6(src=own, dst=group, hlim=255)
    return to_group / ICMPv6ND_NS(tgt=address) / ICMPv6NDOptSrcLLAddr(lladdr=peer.mac)


def question_for_gateway(peer: "Peer") -> "Packet":
    """The same about the gateway, of a peer that has no address but the one it gave itself."""
    return question_for(peer, GATEWAY, link_local(peer.mac))


def answered_by(frame: "Packet") -> str | None:
    """The address that somebody says is his."""
    from scapy.layers.inet6 import ICMPv6ND_NA

    return str(frame[ICMPv6ND_NA].tgt) if ICMPv6ND_NA in frame and is_sound(frame) else None


def advertises_gateway(frame: "Packet") -> bool:
    """Whether a frame says whose the gateway's address is."""
    return answered_by(frame) == GATEWAY


def question_for_routers(peer: "Peer") -> "Packet":
    """A router solicitation."""
    from scapy.layers.inet6 import ICMPv6ND_RS, ICMPv6NDOptSrcLLAddr, IPv6
    from scapy.layers.l2 import Ether

    to_all = Ether(src=peer.mac, dst=ALL_ROUTERS_MAC) / IPv6(src=OWN_ADDRESS, dst=ALL_ROUTERS, hlim=255)
    return to_all / ICMPv6ND_RS() / ICMPv6NDOptSrcLLAddr(lladdr=peer.mac)


def is_router_advertisement(frame: "Packet") -> bool:
    """Whether a router says something of itself."""
    if protocol_of(frame) != ICMPV6_NUMBER or not is_sound(frame):
        return False
    return content_of(frame)[:1] == bytes([ROUTER_ADVERTISEMENT])


def link_local(mac: str) -> str:
    """The address that a MAC gives itself: RFC 4291, 2.5.1."""
    first, *middle, fourth, fifth, sixth = bytes.fromhex(mac.replace(":", ""))
    octets = bytes([first ^ 2, *middle, 0xFF, 0xFE, fourth, fifth, sixth])
    return "fe80::" + ":".join(octets[at : at + 2].hex() for at in range(0, 8, 2))
