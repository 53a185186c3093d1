"""A guest whose hardware address changes: how it says so, and whether it is found there."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from qemunet_tests.guest.address_resolution import ARP_REPLY, ARP_REQUEST, BROADCAST, GATEWAY, question_for
from qemunet_tests.guest.packet_content import ICMP_NUMBER, ICMPV6_NUMBER, addresses_of, content_of, protocol_of
from qemunet_tests.observe.peer_ping import IPV6_REPLY, REPLY, ask_echo

if TYPE_CHECKING:
    # scapy reads the machine's interfaces when it is imported: not before the lab has been entered.
    from scapy.packet import Packet

    from qemunet_tests.guest.peer_stack import PeerStack

IPV6_HOST, ALL_NODES, ALL_NODES_MAC = "fec0::2", "ff02::1", "33:33:00:00:00:01"
#: What a MAC and an address make a frame of.
Says = Callable[[str, str], "Packet"]


def found_at(stack: "PeerStack", address: str) -> str:
    """The MAC to which the echo reply of an address comes; empty where none does."""
    before = len(stack.frames)
    ask_echo(stack, address)
    kinds = {ICMP_NUMBER: REPLY, ICMPV6_NUMBER: IPV6_REPLY}
    replies = [
        frame for frame in stack.frames[before:]
        if (number := protocol_of(frame)) in kinds and content_of(frame)[0] == kinds[number]
        and addresses_of(frame)[0] == address
    ]  # fmt: skip
    return str(replies[0].dst) if replies else ""


def _arp(operation: int, mac: str, own: str, target: str) -> "Packet":
    from scapy.layers.l2 import ARP, Ether

    return Ether(src=mac, dst=BROADCAST) / ARP(op=operation, hwsrc=mac, psrc=own, pdst=target)


def _neighbour_answer(mac: str, own: str) -> "Packet":
    """RFC 4861, 7.2.6: to everybody, and asked for by nobody."""
    from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6NDOptDstLLAddr, IPv6
    from scapy.layers.l2 import Ether

    said = ICMPv6ND_NA(tgt=own, R=0, S=0, O=1) / ICMPv6NDOptDstLLAddr(lladdr=mac)
    return Ether(src=mac, dst=ALL_NODES_MAC) / IPv6(src=own, dst=ALL_NODES, hlim=255) / said


#: Ways to say where one is.
MOVES: Mapping[str, Says] = {
    "an announcement": lambda mac, own: _arp(ARP_REQUEST, mac, own, own),
    "a question": lambda mac, own: question_for(mac, GATEWAY, own),
    "an answer": lambda mac, own: _arp(ARP_REPLY, mac, own, GATEWAY),
}
IPV6_MOVES: Mapping[str, Says] = {
    "a question": lambda mac, own: question_for(mac, IPV6_HOST, own),
    "an answer": _neighbour_answer,
}
