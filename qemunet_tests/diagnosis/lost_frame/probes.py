"""Questions that bring an answer where nothing is wrong, and how both are recognised wherever they pass.

A guest asks over its own protocols: DHCP, ARP, DNS, TCP, ICMP; or a station calls the guest.
"""

import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from qemunet_tests.deadline import Deadline
from qemunet_tests.guest.guest import Guest
from qemunet_tests.host.nft_match import PacketSeen
from qemunet_tests.host.resolver_query import IDENTIFIER_BYTES, question
from qemunet_tests.isolation.station import Station
from qemunet_tests.network.target import Endpoint
from qemunet_tests.observe.capture import ARP, ICMP, TCP, UDP, GuestCapture, Packet
from qemunet_tests.observe.dhcp import DHCP_COOKIE
from qemunet_tests.observe.dns import PORT
from qemunet_tests.observe.icmp import FULL_SIZE_BYTES, bounded, ping
from qemunet_tests.observe.lease import lease_now
from qemunet_tests.timeouts import Stretched, crowding, whole

DHCP = "DHCP request"
#: A client asks every second until it has a lease. The first of these questions may have got lost, or been under way.
OWN_CLIENT_SECONDS, OWN_QUESTIONS = 4.0, 3
#: Of IP and ICMP, in front of what a ping carries, and of IP and UDP.
_HEADERS_BYTES = 28
#: What opens a connection, with the options that Linux and libslirp's host send.
_SYN_BYTES = 60
#: The least that a DHCP request with its headers is (RFC 951): options make it longer.
_REQUEST_BYTES = 328
#: Is there in a guest that has asked.
ASKED = "/tmp/asked"
SYN, SYN_ACK, RESET = 0x02, 0x12, 0x04
#: Time for three tries of a kernel, which come after one second and after three.
CALL_SECONDS = 4


@dataclass(frozen=True)
class Exchange:
    """`question` and `answer` name it for people. `inward` questions are put to the guest, others by it.

    `to_host` is what the host itself should answer. `address` is whose answer is wanted, where it is one's alone.
    `asked` and `answered` are what a packet filter knows of the two. Who is told to `provoke` has asked when that
    returns, or goes on asking `beside`.
    """

    question: str
    answer: str
    provoke: Callable[[], object]
    asks: Callable[[Packet], bool]
    answers: Callable[[Packet], bool]
    asked: PacketSeen
    answered: PacketSeen
    inward: bool = False
    to_host: bool = False
    address: str = ""
    beside: bool = False


def dhcp(guest: Guest, to_host: bool = False) -> Exchange:
    """The guest's own client goes on asking; where it does not, a one-time client whose lease nobody uses."""
    mac = bytes.fromhex(guest.macs[0].replace(":", ""))

    def is_ours(packet: Packet) -> bool:
        return packet.kind == UDP and DHCP_COOKIE in packet.payload and mac in packet.payload[28:48]

    def asks(packet: Packet) -> bool:
        return is_ours(packet) and packet.second == 67

    def ask() -> None:
        wire, asking = GuestCapture(guest), Deadline(OWN_CLIENT_SECONDS, "the guest's own client to ask again")
        if not asking.sees(lambda: sum(asks(each) for each in wire.packets()) >= OWN_QUESTIONS, interval_seconds=0.1):
            once = guest.tools.request_lease.format(wait_seconds=_patience(1), interface="eth0")
            guest.run(once, within_seconds=8)

    return Exchange(
        DHCP,
        "offer",
        ask,
        asks,
        lambda packet: is_ours(packet) and packet.second == 68,
        PacketSeen("udp", "0.0.0.0", "255.255.255.255", 68, 67, size_bytes=_REQUEST_BYTES),
        # To whom an offer is addressed depends on the client.
        PacketSeen("udp", None, None, 67, 68, state=None),
        to_host=to_host,
    )


def _patience(seconds: int) -> int:
    """As long on a machine that is slow just now."""
    return whole(seconds * crowding())


def _ask_beside(guest: Guest, command: str) -> None:
    """Have a guest ask, and go on: what is plain before it has asked all it will need not be waited for."""
    guest.check(f"rm -f {ASKED}; ( {command}; touch {ASKED} ) >/dev/null 2>&1 </dev/null &")


def _three_times(command: str) -> str:
    """Ask once a second, and wait for what is answered to all of it."""
    return f"{command} & sleep 1; {command} & sleep 1; {command}; wait"


def asks_still(guest: Guest) -> bool:
    """Whether a guest has not yet put all that it was last told to ask beside."""
    return not guest.run(f"test -e {ASKED}").succeeded


def arp(guest: Guest, address: str, to_host: bool = False) -> Exchange:
    """Who on the LAN has an address?"""
    got = lease_now(guest)
    own = got.address if got else None
    return Exchange(
        f"ARP request for {address}",
        "ARP reply",
        lambda: _ask_beside(
            guest, guest.tools.who_has.format(wait_seconds=_patience(3), interface="eth0", address=address)
        ),
        lambda packet: packet.kind == ARP and packet.first == 1 and packet.target == address,
        lambda packet: packet.kind == ARP and packet.first == 2 and packet.source == address,
        PacketSeen("arp", own, address, kind="request", state=None),
        PacketSeen("arp", address, own, kind="reply", state=None),
        to_host=to_host,
        beside=True,
    )


def tcp(guest: Guest, service: Endpoint, seen_as: str | None = None) -> Exchange:
    """A connection; `seen_as` is the service's address behind QEMU, where that is another."""
    addresses, port = {service.address, seen_as or service.address}, service.port
    # A port of its own tells it from earlier attempts, about which something may still be said. QEMU's has another.
    own_port, got = 40000 + secrets.randbelow(20000), lease_now(guest)
    own = got.address if got else ""
    connect = guest.tools.connect_from
    return Exchange(
        f"TCP connection to {service}",
        "SYN-ACK",
        lambda: _ask_beside(guest, service.called_by(connect, own_port=own_port, wait_seconds=_patience(4))),
        lambda packet: (
            (packet.kind, packet.second) == (TCP, port)
            and packet.target in addresses
            and (packet.source != own or packet.first == own_port)
            and _flags(packet, SYN)
        ),
        lambda packet: (
            (packet.kind, packet.first) == (TCP, port)
            and packet.source in addresses
            and (packet.target != own or packet.second == own_port)
            and (_flags(packet, SYN_ACK) or _flags(packet, RESET))
        ),
        asked := PacketSeen("tcp", None, service.address, None, port, size_bytes=_SYN_BYTES),
        asked.answer(),
        beside=True,
    )


def udp(guest: Guest, service: Endpoint) -> Exchange:
    """A word to a service that sends it back."""
    word = secrets.token_hex(8)
    send = f"echo {word} | {service.called_by(guest.tools.send_udp, wait_seconds=_patience(2))}"
    return Exchange(
        f"UDP datagram to {service}",
        "answer",
        lambda: _ask_beside(guest, _three_times(send)),
        lambda packet: (
            (packet.kind, packet.target, packet.second) == (UDP, service.address, service.port)
            and word.encode() in packet.payload
        ),
        lambda packet: (
            (packet.kind, packet.source, packet.first) == (UDP, service.address, service.port)
            and word.encode() in packet.payload
        ),
        asked := PacketSeen(
            "udp", None, service.address, None, service.port, size_bytes=_HEADERS_BYTES + len(word) + 1
        ),
        asked.answer(),
        beside=True,
    )


def _flags(packet: Packet, wanted: int) -> bool:
    # Behind the ports: sequence and acknowledgement numbers, the length of the header, and then the flags.
    return len(packet.payload) > 9 and packet.payload[9] & wanted == wanted


def echo(guest: Guest, address: str, size_bytes: int = 56, to_host: bool = False) -> Exchange:
    """A ping with so many bytes in it."""
    large = size_bytes >= FULL_SIZE_BYTES
    return Exchange(
        f"{'full-size ' if large else ''}echo request to {address}",
        "echo reply",
        lambda: _ping_beside(guest, address, size_bytes),
        lambda packet: _is_echo(packet, 8, size_bytes) and packet.target == address,
        lambda packet: _is_echo(packet, 0, size_bytes) and packet.source == address,
        asked := PacketSeen("icmp", None, address, kind="echo-request", size_bytes=size_bytes + _HEADERS_BYTES),
        asked.answer("echo-reply"),
        to_host=to_host,
        address=address,
        beside=True,
    )


def _ping_beside(guest: Guest, address: str, size_bytes: int) -> None:
    wait_seconds = _patience(1)
    words = guest.tools.ping.format(
        count=3, interval_seconds=1, wait_seconds=wait_seconds, size_bytes=size_bytes, address=address
    )
    _ask_beside(guest, bounded(words, 3, 1, wait_seconds))


def call(station: Station, address: str) -> Exchange:
    """A station pings the guest, at this address of it."""
    return Exchange(
        f"echo request to the guest at {address}",
        "echo reply",
        lambda: ping(station, address, count=2, wait_seconds=1),
        lambda packet: _is_echo(packet, 8, 0) and packet.target == address,
        lambda packet: _is_echo(packet, 0, 0) and packet.source == address,
        asked := PacketSeen("icmp", None, address, kind="echo-request"),
        asked.answer("echo-reply"),
        inward=True,
    )


def connect(station: Station, address: str, port: int) -> Exchange:
    """A station calls the guest by TCP, where nobody has to be: who refuses has been reached as well."""

    def ask() -> None:
        with suppress(OSError):
            station.connect(address, port, within_seconds=Stretched(_patience(CALL_SECONDS))).close()

    return Exchange(
        f"TCP connection to the guest at {address}:{port}",
        "answer to it",
        ask,
        lambda packet: (packet.kind, packet.target, packet.second) == (TCP, address, port) and _flags(packet, SYN),
        lambda packet: (
            (packet.kind, packet.source, packet.first) == (TCP, address, port)
            and (_flags(packet, SYN_ACK) or _flags(packet, RESET))
        ),
        asked := PacketSeen("tcp", None, address, None, port, size_bytes=_SYN_BYTES),
        asked.answer(),
        inward=True,
    )


def _is_echo(packet: Packet, kind: int, least_bytes: int) -> bool:
    return (packet.kind, packet.first) == (ICMP, kind) and packet.size_bytes >= least_bytes


def dns(guest: Guest, name: str, server: str, relayed_to: str | None = None) -> Exchange:
    """A question about a name; whoever relays it, to another server, leaves the question itself as it is."""
    # A spelling of its own, which resolvers repeat, tells it from everybody else's question.
    spelled = "".join(secrets.choice((letter.upper(), letter.lower())) for letter in name)
    words = b"".join(bytes([len(label)]) + label.encode() for label in spelled.split("."))
    send = f"{Endpoint(server, PORT).called_by(guest.tools.send_udp, wait_seconds=_patience(2))} </tmp/question"

    def ask() -> None:
        guest.put("/tmp/question", question(spelled, secrets.token_bytes(IDENTIFIER_BYTES)))
        _ask_beside(guest, _three_times(send))

    return Exchange(
        f"DNS question for {name}",
        "DNS answer",
        ask,
        lambda packet: (packet.kind, packet.second) == (UDP, 53) and words in packet.payload,
        lambda packet: (packet.kind, packet.first) == (UDP, 53) and words in packet.payload,
        asked := PacketSeen("udp", None, relayed_to or server, None, 53, size_bytes=_HEADERS_BYTES + 17 + len(words)),
        asked.answer(),
        beside=True,
    )
