"""What stands in front of the packets that come to a peer: how far they may go, and from which station to which."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qemunet_tests.guest.packet_content import ICMP_NUMBER, ICMPV6_NUMBER, TCP_NUMBER, UDP_NUMBER, protocol_of

if TYPE_CHECKING:
    # scapy reads the machine's interfaces when it is imported: not before the lab has been entered.
    from scapy.packet import Packet

    from qemunet_tests.guest.peer_stack import PeerStack

#: RFC 792 and 4443: replies to echo requests.
ECHO_REPLY, IPV6_ECHO_REPLY = 0, 129


@dataclass(frozen=True)
class PacketHeader:
    """`kind` says what a packet is, for people; `hops` how many routers it may pass."""

    kind: str
    hops: int
    sender_mac: str
    receiver_mac: str


def headers(stack: "PeerStack") -> list[PacketHeader]:
    """Of all packets that have come and are of a kind that has a name here."""
    return [header for frame in stack.frames if (header := _header(frame))]


def _header(frame: "Packet") -> PacketHeader | None:
    kind = _kind(frame)
    if kind is None:
        return None
    by_ipv6 = "IPv6" in frame
    hops = int(frame["IPv6"].hlim if by_ipv6 else frame["IP"].ttl)
    return PacketHeader(f"{kind} by IPv6" if by_ipv6 else kind, hops, str(frame.src), str(frame.dst))


def _kind(frame: "Packet") -> str | None:
    number = protocol_of(frame)
    if number == UDP_NUMBER:
        return "a datagram"
    if number == TCP_NUMBER and "TCP" in frame:
        flags = str(frame["TCP"].flags)
        return "a reset" if "R" in flags else "a SYN's answer" if "S" in flags else None
    if number == ICMP_NUMBER:
        return "an echo reply" if frame["ICMP"].type == ECHO_REPLY else "an error"
    if number == ICMPV6_NUMBER and bytes(frame["IPv6"].payload)[0] == IPV6_ECHO_REPLY:
        return "an echo reply"
    return None
