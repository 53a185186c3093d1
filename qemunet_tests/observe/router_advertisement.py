"""What a router tells a peer by IPv6, every field and every option of it: RFC 4861, 4.2, and RFC 8106, 5.1."""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qemunet_tests.guest.address_resolution import IPV6_ADDRESS, IPV6_GATEWAY, is_gateways_answer, question_for
from qemunet_tests.guest.packet_content import addresses_of, content_of
from qemunet_tests.observe.neighbour_discovery import is_router_advertisement, question_for_routers

if TYPE_CHECKING:
    # scapy reads the machine's interfaces when it is imported: not before the lab has been entered.
    from scapy.packet import Packet

    from qemunet_tests.guest.peer import Peer

#: Fields in front of the options, and what lengths of options are counted in.
FIXED_BYTES, UNIT_BYTES = 16, 8
LINK_ADDRESS, PREFIX, RESOLVERS = 1, 3, 25
ON_LINK, AUTONOMOUS = 0x80, 0x40


@dataclass(frozen=True)
class Advertisement:
    """`flags` is the whole byte, of which M is 128 and O is 64; times in seconds, or ms where that is said.

    `options` are spelled in the order in which they came.
    """

    source: str
    destination: str
    hop_limit: int
    advertised_hop_limit: int
    flags: int
    lifetime_seconds: int
    reachable_ms: int
    retransmit_ms: int
    options: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"from {self.source} to {self.destination}, hop limit {self.advertised_hop_limit}, flags {self.flags}, "
            f"router for {self.lifetime_seconds} s, reachable {self.reachable_ms} ms, again after "
            f"{self.retransmit_ms} ms; {'; '.join(self.options)}"
        )


class NoAdvertisement(AssertionError):
    """What a test needs to say anything of a router. Like its own assertions this says `broken`."""

    def __init__(self) -> None:
        super().__init__("no router answers a solicitation")


def link_address(mac: str) -> str:
    """How the option with a router's MAC is spelled."""
    return f"link address {mac}"


def prefix(network: str, valid_seconds: int, preferred_seconds: int, uses: str = "on-link autonomous") -> str:
    """How the option with a prefix is spelled."""
    return f"prefix {network} {uses} valid {valid_seconds} s preferred {preferred_seconds} s"


def resolver(*addresses: str, lifetime_seconds: int) -> str:
    """How the option with resolvers is spelled."""
    return f"resolver {' '.join(addresses)} for {lifetime_seconds} s"


def solicited(peer: "Peer", within_seconds: float = 2.0) -> Advertisement:
    """What a router answers to a solicitation. Raises NoAdvertisement where none does."""
    answer = peer.ask(question_for_routers(peer), is_router_advertisement, within_seconds)
    if answer is None:
        raise NoAdvertisement
    return _read(answer)


def counted(peer: "Peer", solicitations: int) -> int:
    """How many advertisements come of so many solicitations: all that come before the answer to something later."""
    found = 0

    def ends(frame: "Packet") -> bool:
        nonlocal found
        found += is_router_advertisement(frame)
        return is_gateways_answer(frame)

    for _ in range(solicitations):
        peer.send(question_for_routers(peer))
    # Who has the gateway's address is always answered.
    peer.ask(question_for(peer.mac, IPV6_GATEWAY, IPV6_ADDRESS), ends)
    return found


def _read(frame: "Packet") -> Advertisement:
    from scapy.layers.inet6 import IPv6

    said = content_of(frame)
    return Advertisement(
        *addresses_of(frame),
        hop_limit=int(frame[IPv6].hlim),
        advertised_hop_limit=said[4],
        flags=said[5],
        lifetime_seconds=int.from_bytes(said[6:8]),
        reachable_ms=int.from_bytes(said[8:12]),
        retransmit_ms=int.from_bytes(said[12:16]),
        options=tuple(map(_spelled, _options(said[FIXED_BYTES:]))),
    )


def _options(rest: bytes) -> Iterator[bytes]:
    while rest:
        length = UNIT_BYTES * (rest[1] if len(rest) > 1 else 0) or len(rest)
        yield rest[:length]
        rest = rest[length:]


def _spelled(option: bytes) -> str:
    if option[0] == LINK_ADDRESS and len(option) == 8:
        return link_address(option[2:].hex(":"))
    if option[0] == PREFIX and len(option) == 32:
        network = f"{ipaddress.IPv6Address(option[16:])}/{option[2]}"
        names = {ON_LINK: "on-link", AUTONOMOUS: "autonomous", 0x3F & option[3]: f"0x{0x3F & option[3]:02x}"}
        uses = " ".join(name for bits, name in names.items() if option[3] & bits)
        return prefix(network, int.from_bytes(option[4:8]), int.from_bytes(option[8:12]), uses)
    if option[0] == RESOLVERS and len(option) % 16 == UNIT_BYTES:
        addresses = (str(ipaddress.IPv6Address(option[at : at + 16])) for at in range(UNIT_BYTES, len(option), 16))
        return resolver(*addresses, lifetime_seconds=int.from_bytes(option[4:8]))
    return f"option {option[0]}: {option[1:].hex()}"
