"""DHCPv6 asked by a peer: RFC 8415, and RFC 3646 and 5970 for what may be asked for."""

import ipaddress
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qemunet_tests.guest.address_resolution import IPV6_ADDRESS
from qemunet_tests.guest.packet_content import (
    UDP_HEADER_BYTES,
    UDP_NUMBER,
    addresses_of,
    content_is_sound,
    content_of,
    protocol_of,
)
from qemunet_tests.observe.neighbour_discovery import is_router_advertisement, question_for_routers

if TYPE_CHECKING:
    # scapy reads the machine's interfaces when it is imported: not before the lab has been entered.
    from scapy.packet import Packet

    from qemunet_tests.guest.peer import Peer

CLIENT_PORT, SERVER_PORT = 546, 547
ALL_SERVERS, ALL_SERVERS_MAC = "ff02::1:2", "33:33:00:01:00:02"
SOLICIT, ADVERTISE, REQUEST, REPLY, INFORMATION_REQUEST = 1, 2, 3, 7, 11
CLIENT_IDENTIFIER, SERVER_IDENTIFIER, NON_TEMPORARY, WISHES, ELAPSED = 1, 2, 3, 6, 8
RESOLVERS, SEARCH_LIST, BOOT_URL = 23, 24, 59
#: RFC 8415, 21.4 and 21.6: in an association, behind its number and two times, an option with an address in front.
ASSOCIATION, ADDRESS_AT, ADDRESS_BYTES = b"\0\0\0\1" + bytes(8), 16, 16
#: RFC 8415, 11.4: of type 3, on Ethernet.
IDENTIFIER = bytes.fromhex("00030001 525400706501")
TRANSACTION = b"qmu"


@dataclass(frozen=True)
class Dhcpv6Answer:
    """From which address and port, of which type, and all its options in their order."""

    source: str
    port: int
    type: int
    options: tuple[tuple[int, bytes], ...]

    def __str__(self) -> str:
        return ", ".join(f"option {number}: {value.hex()}" for number, value in self.options)

    def option(self, number: int) -> bytes | None:
        return dict(self.options).get(number)


class NotInformed(AssertionError):
    """What a test needs to say anything of a DHCPv6 server. Like its own assertions this says `broken`."""

    def __init__(self) -> None:
        super().__init__("DHCPv6 does not answer a question for information")


def informed(peer: "Peer", *wanted: int, within_seconds: float = 2.0) -> Dhcpv6Answer:
    """What comes of a question for the options that are wanted. Raises NotInformed."""
    introduce(peer)
    answer = _read(peer.ask(information_question(peer, *wanted), _is_answer, within_seconds))
    if answer is None:
        raise NotInformed
    return answer


def information_question(peer: "Peer", *wanted: int) -> "Packet":
    """An information request for the options that are wanted."""
    return _question(peer, INFORMATION_REQUEST, {WISHES: struct.pack(f">{len(wanted)}H", *wanted)})


def answered_after_solicit(peer: "Peer", within_seconds: float = 2.0) -> Dhcpv6Answer | None:
    """The first answer to a wish for an address, and behind it a question for information; None where none comes."""
    introduce(peer)
    peer.send(_question(peer, SOLICIT, {NON_TEMPORARY: ASSOCIATION}))
    return _read(peer.ask(information_question(peer, RESOLVERS), _is_answer, within_seconds))


def leased(peer: "Peer", own: str, within_seconds: float = 2.0) -> tuple[Dhcpv6Answer, Dhcpv6Answer]:
    """What comes of a SOLICIT and of the REQUEST for what that offers, to a peer at the address `own` on its link.

    Raises NotInformed where either brings nothing.
    """
    offered = _read(peer.ask(solicit(peer, own), is_dhcpv6, within_seconds))
    if offered is None:
        raise NotInformed
    chosen = {number: offered.option(number) or b"" for number in (SERVER_IDENTIFIER, NON_TEMPORARY)}
    wishes = struct.pack(">HH", RESOLVERS, SEARCH_LIST)
    question = _question(peer, REQUEST, {**chosen, WISHES: wishes}, own)
    granted = _read(peer.ask(question, lambda frame: is_dhcpv6(frame, REPLY), within_seconds))
    if granted is None:
        raise NotInformed
    return offered, granted


def address_in(answer: Dhcpv6Answer) -> str:
    """The address that an answer leases; empty where it leases none."""
    leased_one = (answer.option(NON_TEMPORARY) or b"")[ADDRESS_AT:][:ADDRESS_BYTES]
    return str(ipaddress.IPv6Address(leased_one)) if len(leased_one) == ADDRESS_BYTES else ""


def solicit(peer: "Peer", own: str) -> "Packet":
    """The question for an address, asked at the address `own`."""
    return _question(peer, SOLICIT, {NON_TEMPORARY: ASSOCIATION}, own)


def is_dhcpv6(frame: "Packet", kind: int | None = None) -> bool:
    """Whether somebody answers the peer, by a message of any kind or of this one."""
    if protocol_of(frame) != UDP_NUMBER:
        return False
    content = content_of(frame)
    ours = content[2:4] == CLIENT_PORT.to_bytes(2) and content[UDP_HEADER_BYTES + 1 :].startswith(TRANSACTION)
    return ours and content_is_sound(frame, content) and kind in (None, content[UDP_HEADER_BYTES])


def introduce(peer: "Peer") -> None:
    """Have the peer's MAC known to whoever answers: routers take it from a question for them."""
    peer.ask(question_for_routers(peer), is_router_advertisement)


def _question(peer: "Peer", kind: int, options: dict[int, bytes], own: str = IPV6_ADDRESS) -> "Packet":
    from scapy.layers.inet import UDP
    from scapy.layers.inet6 import IPv6
    from scapy.layers.l2 import Ether
    from scapy.packet import Raw

    told = {CLIENT_IDENTIFIER: IDENTIFIER, ELAPSED: b"\0\0", **options}
    spelled = (struct.pack(">HH", number, len(value)) + value for number, value in told.items())
    to_all = Ether(src=peer.mac, dst=ALL_SERVERS_MAC) / IPv6(src=own, dst=ALL_SERVERS, hlim=1)
    message = bytes([kind]) + TRANSACTION + b"".join(spelled)
    return to_all / UDP(sport=CLIENT_PORT, dport=SERVER_PORT) / Raw(message)


def _read(answer: "Packet | None") -> Dhcpv6Answer | None:
    if answer is None:
        return None
    content = content_of(answer)
    said = content[UDP_HEADER_BYTES : int.from_bytes(content[4:6])]
    return Dhcpv6Answer(addresses_of(answer)[0], int.from_bytes(content[:2]), said[0], tuple(_options(said[4:])))


def _is_answer(frame: "Packet") -> bool:
    return is_dhcpv6(frame) and addresses_of(frame)[1] == IPV6_ADDRESS


def _options(rest: bytes) -> Iterator[tuple[int, bytes]]:
    """What is cut off at its end keeps what is there."""
    while rest:
        number, length = int.from_bytes(rest[:2]), int.from_bytes(rest[2:4])
        yield number, rest[4 : 4 + length]
        rest = rest[4 + length :]
