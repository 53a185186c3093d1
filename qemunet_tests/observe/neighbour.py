"""Neighbours of a peer by IPv6: RFC 4861.

A question that libslirp answers at once and that changes nothing: whoever asks it behind another question has its
answer when that one was looked at.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # scapy reads the machine's interfaces when it is imported: not before the lab has been entered.
    from scapy.packet import Packet

    from qemunet_tests.guest.peer import Peer

#: The gateway's address on every link of user networking, whatever its prefix is.
GATEWAY = "fe80::2"


def link_local(mac: str) -> str:
    """The address that a MAC gives itself: RFC 4291, 2.5.1."""
    first, *middle, fourth, fifth, sixth = bytes.fromhex(mac.replace(":", ""))
    octets = bytes([first ^ 2, *middle, 0xFF, 0xFE, fourth, fifth, sixth])
    return "fe80::" + ":".join(octets[at : at + 2].hex() for at in range(0, 8, 2))


def solicitation(peer: "Peer", target: str = GATEWAY) -> "Packet":
    """Who asks for the hardware address of `target`."""
    from scapy.layers.inet6 import ICMPv6ND_NS, ICMPv6NDOptSrcLLAddr, IPv6
    from scapy.layers.l2 import Ether

    asked = ICMPv6ND_NS(tgt=target) / ICMPv6NDOptSrcLLAddr(lladdr=peer.mac)
    return Ether(src=peer.mac, dst="33:33:ff:00:00:02") / IPv6(src=link_local(peer.mac), dst="ff02::1:ff00:2") / asked


def is_advertisement(frame: "Packet", target: str = GATEWAY) -> bool:
    """Whether a frame says whose `target` is."""
    from scapy.layers.inet6 import ICMPv6ND_NA

    return ICMPv6ND_NA in frame and frame[ICMPv6ND_NA].tgt == target
