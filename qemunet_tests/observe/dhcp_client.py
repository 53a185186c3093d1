"""A DHCP or BOOTP client at a peer: what it asks, and every field of what it is answered.

Sources: RFC 2131 (messages), RFC 2132 (options), RFC 951 (BOOTP).
"""

import itertools
import socket
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qemunet_tests.errors import HarnessError
from qemunet_tests.guest.address_resolution import BROADCAST, is_gateways_answer, question_for_gateway
from qemunet_tests.timeouts import turns

if TYPE_CHECKING:
    # scapy reads the machine's interfaces when it is imported: not before the lab has been entered.
    from scapy.packet import Packet

    from qemunet_tests.guest.peer import Peer

EVERYBODY, NOBODY = "255.255.255.255", "0.0.0.0"
#: RFC 2132: options by what they hold. All others are shown as hexadecimal digits.
ADDRESSES, TEXTS, SECONDS = (1, 3, 6, 50, 54), (12, 15, 56, 60, 66, 67), (51, 58, 59)
KIND, WISH, SERVER = 53, 50, 54
#: RFC 1035, 4.1.4: a length from here on is a reference to what stands before.
REFERENCE = 0xC0
PAD, END = 0, 255
_transactions = itertools.count(0x716D0000)


@dataclass(frozen=True)
class DhcpAnswer:
    """What a server said. `options` are number and value, in their order, pads and end left out.

    `source` and `destination` are those of the packet, and `destination_mac` of the frame; `address` is what the client
    is to have, `server` the next server (siaddr), `bootp_bytes` what UDP carries.
    """

    source: str
    destination: str
    destination_mac: str
    client_mac: str
    address: str
    server: str
    file: str
    options: tuple[tuple[int, str], ...]
    bootp_bytes: int

    @property
    def kind(self) -> str:
        """`offer`, `ack`, `nak`; empty for an answer of BOOTP's."""
        return self.option(KIND)

    def option(self, number: int) -> str:
        """Every value of an option, empty where there is none."""
        return " ".join(value for which, value in self.options if which == number)

    def __str__(self) -> str:
        return ", ".join([self.address, *(f"{number}: {value}" for number, value in self.options)])


class NoOffer(AssertionError):
    """What a test needs to say anything of an offer. Like its own assertions this says `broken`."""

    def __init__(self) -> None:
        super().__init__("no DHCP server answers a DISCOVER")


def offered(peer: "Peer", *options: tuple[int, bytes], mac: str | None = None, pads: int = 0) -> DhcpAnswer:
    """The offer to a DISCOVER. Raises NoOffer where none comes, and HarnessError as `answers` does."""
    offer = ask_dhcp(peer, "discover", *options, mac=mac, pads=pads)
    if offer is None:
        raise NoOffer
    return offer


def ask_dhcp(
    peer: "Peer",
    kind: str,
    *options: tuple[int, bytes],
    mac: str | None = None,
    own: str = NOBODY,
    to: str = EVERYBODY,
    pads: int = 0,
) -> DhcpAnswer | None:
    """The answer to a message; None where it was looked at and none came.

    `kind` is `discover`, `request`, ...; without one the question is BOOTP's. `mac` is who asks, if not the peer,
    `own` the address it has already, `to` whom it asks, and `pads` stand in front of every option. Raises HarnessError
    as `answers` does.
    """
    return next(iter(answers(peer, [message(peer, kind, *options, mac=mac, own=own, to=to, pads=pads)])), None)


def answers(peer: "Peer", questions: Iterable["Packet"], within_seconds: float = 2.0) -> list[DhcpAnswer]:
    """All answers to messages, which were looked at, since who asks for a neighbour behind them is answered.

    Raises HarnessError where that is not answered either, for then nothing is known.
    """
    asked = list(questions)
    for patience_seconds in turns(within_seconds):
        got: list[DhcpAnswer] = []

        def is_neighbour(frame: "Packet", got: list[DhcpAnswer] = got) -> bool:
            got.extend(_read(frame) for question in asked if is_answer_to(frame, question))
            return is_gateways_answer(frame)

        for question in (*asked, question_for_gateway(peer.mac)):
            peer.send(question)
        if peer.receive(is_neighbour, patience_seconds):
            return got
    raise HarnessError("the gateway is no neighbour by IPv6 either, so that silence about DHCP tells nothing")


def message(
    peer: "Peer",
    kind: str,
    *options: tuple[int, bytes],
    mac: str | None = None,
    own: str = NOBODY,
    to: str = EVERYBODY,
    pads: int = 0,
) -> "Packet":
    """A message of a client's, with a transaction number of its own."""
    from scapy.layers.dhcp import BOOTP, DHCPTypes, dhcpmagic
    from scapy.layers.inet import IP, UDP
    from scapy.layers.l2 import Ether

    client, numbers = mac or peer.mac, {name: number for number, name in DHCPTypes.items()}
    given = [(KIND, bytes([numbers[kind]])), *options] if kind else options
    coded = b"".join(bytes([PAD] * pads + [number, len(value)]) + value for number, value in given)
    return (
        Ether(src=client, dst=BROADCAST)
        / IP(src=own, dst=to)
        / UDP(sport=68, dport=67)
        / BOOTP(chaddr=_raw_mac(client), xid=next(_transactions), ciaddr=own)
        / (dhcpmagic + coded + bytes([END])).ljust(64, bytes([PAD]))
    )


def wish(address: str) -> tuple[int, bytes]:
    """The option by which a client asks for an address."""
    return WISH, socket.inet_aton(address)


def chosen_server(address: str) -> tuple[int, bytes]:
    """The option by which a client says whose offer it takes."""
    return SERVER, socket.inet_aton(address)


def leases(peer: "Peer", macs: Sequence[str]) -> list[str]:
    """What each of these clients gets, in their turn: an address, or what it is told instead; `-` for no offer."""
    return [_leased(peer, mac) for mac in macs]


def client_macs(count: int) -> list[str]:
    """MAC addresses of as many clients, none of them the peer's."""
    return [f"52:54:00:70:66:{number:02x}" for number in range(count)]


def is_answer_to(frame: "Packet", question: "Packet") -> bool:
    """Whether a frame answers a message."""
    from scapy.layers.dhcp import BOOTP
    from scapy.layers.inet import UDP

    # What is quoted in an ICMP error is no answer.
    return UDP in frame and BOOTP in frame and frame[BOOTP].op == 2 and frame[BOOTP].xid == question[BOOTP].xid


def search_list(value: bytes) -> list[str]:
    """The domains of option 119, with the ends written out to which they refer: RFC 3397, RFC 1035, 4.1.4."""
    found, at = [], 0
    while at < len(value):
        name, at = _name(value, at)
        found.append(name)
    return found


def _name(value: bytes, at: int) -> tuple[str, int]:
    """The name that begins there, and where the next one does."""
    labels: list[str] = []
    while at < len(value) and value[at]:
        if value[at] >= REFERENCE:
            refers_to = int.from_bytes(value[at : at + 2]) - (REFERENCE << 8)
            rest = _name(value, refers_to)[0] if refers_to < at else "?"
            return ".".join([*labels, rest]), at + 2
        labels.append(value[at + 1 : at + 1 + value[at]].decode(errors="replace"))
        at += 1 + value[at]
    return ".".join(labels), at + 1


def _leased(peer: "Peer", mac: str) -> str:
    offered = ask_dhcp(peer, "discover", mac=mac)
    if offered is None or offered.kind != "offer":
        return "-"
    granted = ask_dhcp(peer, "request", wish(offered.address), chosen_server(offered.option(SERVER)), mac=mac)
    if granted and granted.kind == "ack":
        return granted.address
    return f"{offered.address}, then {granted.kind if granted else 'nothing'}"


def _read(frame: "Packet") -> DhcpAnswer:
    from scapy.layers.dhcp import BOOTP, dhcpmagic
    from scapy.layers.inet import IP, UDP

    said = frame[BOOTP]
    carried = bytes(frame[UDP].payload)
    return DhcpAnswer(
        source=frame[IP].src,
        destination=frame[IP].dst,
        destination_mac=frame.dst,
        client_mac=":".join(f"{each:02x}" for each in said.chaddr[:6]),
        address=said.yiaddr,
        server=said.siaddr,
        file=said.file.rstrip(b"\0").decode(errors="replace"),
        options=tuple(_decoded(carried[carried.find(dhcpmagic) + len(dhcpmagic) :])),
        bootp_bytes=frame[UDP].len - len(UDP()),
    )


def _decoded(left: bytes) -> Iterator[tuple[int, str]]:
    while left and left[0] != END:
        if left[0] == PAD:
            left = left[1:]
            continue
        number, value, left = left[0], left[2 : 2 + left[1]], left[2 + left[1] :]
        yield number, _shown(number, value)


def _shown(number: int, value: bytes) -> str:
    from scapy.layers.dhcp import DHCPTypes

    if number == KIND:
        return str(DHCPTypes.get(value[0], value[0]))
    if number in ADDRESSES:
        return " ".join(socket.inet_ntoa(value[at : at + 4]) for at in range(0, len(value), 4))
    if number in SECONDS:
        return str(int.from_bytes(value))
    return value.decode(errors="replace") if number in TEXTS else value.hex()


def _raw_mac(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))
