"""Neighbour discovery by a peer: who is at an address, and whether a router is there. RFC 4861."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qemunet_tests.guest.address_resolution import (
    IPV6_ADDRESS,
    AddressUnanswered,
    answered_by,
    is_answer_for,
    question_for,
)
from qemunet_tests.guest.packet_content import ICMPV6_NUMBER, addresses_of, content_of, is_sound, protocol_of

if TYPE_CHECKING:
    # scapy reads the machine's interfaces when it is imported: not before the lab has been entered.
    from scapy.packet import Packet

    from qemunet_tests.guest.peer import Peer

ALL_NODES, UNSPECIFIED = "ff02::1", "::"
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

    def __str__(self) -> str:
        flags = ", ".join(name for name in ("router", "solicited", "overrides") if getattr(self, name)) or "none"
        return f"{self.source} for {self.address} with MAC {self.mac} and the flags {flags}"


def neighbour(peer: "Peer", address: str, within_seconds: float = 0.5) -> NeighbourAnswer | None:
    """Who answers for an address; None where nobody does."""
    return _answer(peer, address, question_for(peer.mac, address, IPV6_ADDRESS), within_seconds)


def defender(peer: "Peer", address: str, within_seconds: float = 0.5) -> NeighbourAnswer | None:
    """Who tells everybody that an address is his when a station asks that is about to take it: RFC 4862, 5.4."""
    from scapy.layers.inet6 import ICMPv6NDOptSrcLLAddr

    question = question_for(peer.mac, address, UNSPECIFIED)
    # Who has no address yet names no MAC either.
    question[ICMPv6NDOptSrcLLAddr].underlayer.remove_payload()
    return _answer(peer, address, question, within_seconds, to=ALL_NODES)


def _answer(
    peer: "Peer", address: str, question: "Packet", within_seconds: float, to: str = IPV6_ADDRESS
) -> NeighbourAnswer | None:
    from scapy.layers.inet6 import ICMPv6ND_NA

    def answers(frame: "Packet") -> bool:
        return is_answer_for(frame, address) and addresses_of(frame)[1] == to

    answer = peer.ask(question, answers, within_seconds)
    owner = answered_by(answer) if answer else None
    if answer is None or owner is None:
        return None
    flags = answer[ICMPv6ND_NA]
    return NeighbourAnswer(address, addresses_of(answer)[0], owner.mac, bool(flags.R), bool(flags.S), bool(flags.O))


def answering(peer: "Peer", addresses: Sequence[str]) -> list[str]:
    """Those of some addresses that anybody answers for, in their order.

    A router that has answered what was asked last has dealt with everything before. All is asked twice: an answer may
    get lost.
    """
    found: set[str] = set()

    def ends(frame: "Packet") -> bool:
        if owner := answered_by(frame):
            found.add(owner.address)
        return is_router_advertisement(frame)

    for _ in range(2):
        for address in addresses:
            peer.send(question_for(peer.mac, address, IPV6_ADDRESS))
        peer.ask(question_for_routers(peer), ends)
    return [address for address in addresses if address in found]


def answers_before_router(peer: "Peer", questions: "Iterable[Packet]", within_seconds: float = 0.5) -> "list[Packet]":
    """What is sent to the peer's IPv6 address upon some questions, until a router has answered one put behind them.

    And for a while after that, since others answer by way of sockets. All is asked twice: a frame may get lost. Raises
    AddressUnanswered where no router answers.
    """
    found: list[Packet] = []

    def ends(frame: "Packet") -> bool:
        if protocol_of(frame) is not None and addresses_of(frame)[1] == IPV6_ADDRESS:
            found.append(frame)
        return is_router_advertisement(frame)

    for _ in range(2):
        for question in questions:
            peer.send(question)
        if peer.ask(question_for_routers(peer), ends) is None:
            raise AddressUnanswered("the routers' group")
    peer.receive(lambda frame: ends(frame) and False, within_seconds)
    return found


def question_for_routers(peer: "Peer") -> "Packet":
    """A router solicitation."""
    from scapy.layers.inet6 import ICMPv6ND_RS, ICMPv6NDOptSrcLLAddr, IPv6
    from scapy.layers.l2 import Ether

    to_all = Ether(src=peer.mac, dst=ALL_ROUTERS_MAC) / IPv6(src=IPV6_ADDRESS, dst=ALL_ROUTERS, hlim=255)
    return to_all / ICMPv6ND_RS() / ICMPv6NDOptSrcLLAddr(lladdr=peer.mac)


def is_router_advertisement(frame: "Packet") -> bool:
    """Whether a router says something of itself."""
    if protocol_of(frame) != ICMPV6_NUMBER or not is_sound(frame):
        return False
    return content_of(frame)[:1] == bytes([ROUTER_ADVERTISEMENT])
