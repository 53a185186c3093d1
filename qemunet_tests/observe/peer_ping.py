"""Echo requests of a peer, and every field of what comes back."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qemunet_tests.guest.address_resolution import ADDRESS, AddressUnanswered
from qemunet_tests.guest.icmp_error import IcmpError, icmp_error
from qemunet_tests.guest.packet_content import ICMP_NUMBER, ICMPV6_NUMBER, addresses_of, content_of, protocol_of

if TYPE_CHECKING:
    # scapy reads the machine's interfaces when it is imported: not before the lab has been entered.
    from scapy.packet import Packet

    from qemunet_tests.guest.peer import Peer
    from qemunet_tests.guest.peer_stack import PeerStack

#: RFC 792 and 4443: a request and a reply.
REQUEST, REPLY, IPV6_REQUEST, IPV6_REPLY = 8, 0, 128, 129
IDENTIFIER, NUMBER, CARRIED = 0x716E, 7, b"what qemunet sends to see it again"


@dataclass(frozen=True)
class PingAnswer:
    """A message that calls itself a reply: from whom, with which code, and whether it carries what was sent."""

    source: str
    code: int
    same: bool

    def __str__(self) -> str:
        code = f" with code {self.code}" if self.code else ""
        return f"{self.source} {'answers' if self.same else 'answers with something else'}{code}"


def ask_echo(
    stack: "PeerStack", address: str, within_seconds: float = 2.0, ttl: int = 64, carried: bytes = CARRIED
) -> PingAnswer | IcmpError | None:
    """What comes of one echo request: a reply from whomever, an error, or nothing."""
    from scapy.layers.inet import ICMP
    from scapy.layers.inet6 import ICMPv6EchoRequest
    from scapy.packet import Raw

    by_ipv6 = ":" in address
    request = ICMPv6EchoRequest(id=IDENTIFIER, seq=NUMBER, data=carried) if by_ipv6 else ICMP(id=IDENTIFIER, seq=NUMBER)
    question = stack.packet(address, ttl) / request / Raw(b"" if by_ipv6 else carried)
    sent = content_of(type(question)(bytes(question)))
    return stack.ask(question, lambda frame: _answer(frame, sent), within_seconds)


def _answer(frame: "Packet", sent: bytes) -> PingAnswer | IcmpError | None:
    """`sent` is the whole request."""
    replies = {ICMP_NUMBER: REPLY, ICMPV6_NUMBER: IPV6_REPLY}
    number = protocol_of(frame)
    if number not in replies:
        return None
    content = content_of(frame)
    if content[0] == replies[number]:
        # Behind type, code and checksum.
        return PingAnswer(addresses_of(frame)[0], content[1], content[4:] == sent[4:])
    error = icmp_error(frame)
    return error if error and error.quoted.startswith(sent) else None


def ping_in_words(seen: PingAnswer | IcmpError | None) -> str:
    """For people."""
    return str(seen or "no answer")


def pinged(peer: "Peer", address: str, own: str = ADDRESS, within_seconds: float = 1.0) -> bool:
    """Whether an address answers the echo request of a peer at the address `own`, with what that carried."""
    from qemunet_tests.guest.peer_stack import PeerStack

    try:
        answer = ask_echo(PeerStack(peer, own), address, within_seconds)
    except AddressUnanswered:
        return False
    return answer == PingAnswer(address, code=0, same=True)
