"""Which of all that a network has for its guest answers a peer: one question for each, and what comes of it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qemunet_tests.deadline import Deadline
from qemunet_tests.guest.address_resolution import is_answer_for, link_local, question_for
from qemunet_tests.guest.packet_content import addresses_of
from qemunet_tests.network.target import Endpoint
from qemunet_tests.observe.dhcp_client import is_answer_to, message
from qemunet_tests.observe.dhcpv6 import is_dhcpv6, solicit
from qemunet_tests.observe.neighbour_discovery import is_router_advertisement, question_for_routers

if TYPE_CHECKING:
    # scapy reads the machine's interfaces when it is imported: not before the lab has been entered.
    from scapy.packet import Packet

    from qemunet_tests.guest.peer_stack import PeerStack

#: For what comes behind the last answer that was waited for.
LATE_SECONDS = 0.3
#: A frame may get lost.
AGAIN_SECONDS = 1.0
OWN_PORT = 40123


@dataclass(frozen=True)
class _Asked:
    question: "Packet"
    answers: "Callable[[Packet], bool]"


def answering(stack: "PeerStack", service: Endpoint, wanted: Iterable[str], within_seconds: float = 3.0) -> set[str]:
    """What answers of `ARP`, `DHCP`, `TCP`, `UDP`, `ping`, `NDP`, `RA`, `DHCPv6`, and by IPv6 `TCP6` and `UDP6`.

    All is asked until everything `wanted` has answered, or nothing more comes. `service` is one of IPv4, for TCP, UDP
    and ping.
    """
    asked, found, missing = _questions(stack, service), set[str](), set(wanted)
    peer = stack.peer

    def take(frame: "Packet") -> bool:
        found.update(name for name, each in asked.items() if each.answers(frame))
        return missing <= found

    deadline = Deadline(within_seconds, "answers")
    while True:
        for each in asked.values():
            peer.send(each.question)
        if peer.receive(take, AGAIN_SECONDS) or deadline.passed:
            break
    peer.receive(lambda frame: take(frame) and False, LATE_SECONDS)
    return found


def datagrams_in(frames: "Iterable[Packet]", port: int) -> list[tuple[str, bytes]]:
    """Who has sent from a port, and what, whoever it was for."""
    from scapy.layers.inet import UDP

    return [(addresses_of(frame)[0], bytes(frame[UDP].payload)) for frame in frames
            if UDP in frame and frame[UDP].sport == port]  # fmt: skip


def _questions(stack: "PeerStack", service: Endpoint) -> dict[str, _Asked]:
    from scapy.layers.inet import ICMP, IP, TCP, UDP
    from scapy.layers.l2 import Ether

    peer, port = stack.peer, service.port
    # Whoever translates all that comes looks at no MAC address.
    to_others = Ether(src=peer.mac, dst="52:55:00:00:00:01")
    packet = to_others / IP(src=stack.address, dst=service.address)
    discover = message(peer, "discover")

    def comes_from_service(frame: "Packet", layer: "type[Packet]") -> bool:
        return IP in frame and frame[IP].src == service.address and layer in frame

    return {
        "ARP": _Asked(question_for(peer.mac, stack.gateway, stack.address), lambda f: is_answer_for(f, stack.gateway)),
        "DHCP": _Asked(discover, lambda frame: is_answer_to(frame, discover)),
        "TCP": _Asked(
            packet / TCP(sport=OWN_PORT, dport=port, flags="S", options=[("MSS", 1460)]),
            lambda frame: comes_from_service(frame, TCP) and frame[TCP].flags == "SA",
        ),
        "UDP": _Asked(packet / UDP(sport=OWN_PORT, dport=port) / b"?", lambda f: comes_from_service(f, UDP)),
        "ping": _Asked(packet / ICMP(id=7, seq=1), lambda f: comes_from_service(f, ICMP) and f[ICMP].type == 0),
        "NDP": _Asked(
            question_for(peer.mac, stack.ipv6_gateway, stack.ipv6_address),
            lambda frame: is_answer_for(frame, stack.ipv6_gateway),
        ),
        "RA": _Asked(question_for_routers(peer), is_router_advertisement),
        "DHCPv6": _Asked(solicit(peer, link_local(peer.mac)), is_dhcpv6),
    }
