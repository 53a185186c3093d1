"""DNS asked by a peer, and by a station for comparison: whole messages, byte for byte."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Union

from qemunet_tests.guest.icmp_error import IcmpError
from qemunet_tests.isolation.station import SOCKETS, Station
from qemunet_tests.observe.dns import LENGTH_BYTES, PORT, as_sent, received
from qemunet_tests.observe.peer_stream import Refused, ask_stream
from qemunet_tests.timeouts import turns

if TYPE_CHECKING:
    # scapy reads the machine's interfaces when it is imported: not before the lab has been entered.
    from qemunet_tests.guest.peer_stack import PeerStack
    from qemunet_tests.guest.peer_udp import PeerDatagram

#: What every questioner takes by UDP (RFC 1035, 2.3.4).
SHORT_BYTES = 512
#: RFC 1035, 4.1.1: the bit TC, in the third byte, and where the number of answers is.
TRUNCATED, ANSWERS_AT = 0x02, 6
#: The same in every question, so that answers can be compared.
IDENTIFIER = 0x716E
#: What comes of a question: the message, an answer from somewhere else, an error, or nothing.
Answer = Union[bytes, "PeerDatagram", Refused, IcmpError, None]


def question(name: str, kind: str = "A", largest_bytes: int | None = None) -> bytes:
    """One for a record of a name; `largest_bytes` may be answered by UDP, where it is more than 512 (RFC 6891)."""
    from scapy.layers.dns import DNS, DNSQR, DNSRROPT

    more = DNSRROPT(rclass=largest_bytes) if largest_bytes else None
    return bytes(DNS(id=IDENTIFIER, rd=1, qd=DNSQR(qname=name, qtype=kind), ar=more))


def is_truncated(message: bytes) -> bool:
    """Whether a resolver says that there is more (RFC 1035, 4.1.1: the bit TC)."""
    return bool(message[2] & TRUNCATED)


def ask_by_peer(
    stack: "PeerStack", server: str, asked: bytes, protocol: str = "UDP", within_seconds: float = 2.0
) -> Answer:
    """The message that comes back from where it was asked, or what comes instead."""
    if protocol == "TCP":
        said = ask_stream(stack, server, PORT, as_sent(asked, protocol), _is_whole, within_seconds)
        return said[LENGTH_BYTES:] if isinstance(said, bytes) else said
    answer = stack.ask_datagram(server, PORT, asked, within_seconds)
    if isinstance(answer, IcmpError) or answer is None or answer.sender != (server, PORT):
        return answer
    return answer.data


def ask_by_station(
    station: Station, server: str, asked: bytes, protocol: str = "UDP", within_seconds: float = 2.0
) -> bytes | None:
    """The same from a station; None where nothing comes."""
    for patience_seconds in turns(within_seconds):
        with station.open_socket(SOCKETS[protocol], server) as asking:
            asking.settimeout(patience_seconds)
            try:
                asking.connect((server, PORT))
                asking.sendall(as_sent(asked, protocol))
                if said := received(asking, protocol):
                    return said
            except OSError:
                continue
    return None


def dns_in_words(message: Answer) -> str:
    """For people."""
    if not isinstance(message, bytes):
        return str(message or "no answer")
    from scapy.layers.dns import DNS

    answers, code = int.from_bytes(message[ANSWERS_AT : ANSWERS_AT + 2]), message[3] & 0x0F
    if answers == 1 and not code and len(message) <= SHORT_BYTES:
        return str(DNS(message).an[0].rdata)
    said = f"code {code}" if code else "cut off" if is_truncated(message) else f"{answers} records"
    return f"{said} in {len(message)} bytes"


def askers_of(log: Path, name: str) -> list[str]:
    """The addresses from which dnsmasq was asked for a name, as its log says."""
    return list(_askers(log.read_text(errors="replace").splitlines(), name)) if log.is_file() else []


def _askers(lines: Iterable[str], name: str) -> Iterable[str]:
    for line in lines:
        words = line.split()
        if name in words and "from" in words[-2:]:
            yield words[-1]


def _is_whole(received: bytes) -> bool:
    return len(received) >= LENGTH_BYTES and len(received) >= LENGTH_BYTES + int.from_bytes(received[:LENGTH_BYTES])
