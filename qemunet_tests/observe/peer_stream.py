"""One question of a peer by TCP, and every byte that comes back."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from qemunet_tests.guest.address_resolution import AddressUnanswered
from qemunet_tests.guest.icmp_error import IcmpError
from qemunet_tests.timeouts import turns

if TYPE_CHECKING:
    # scapy reads the machine's interfaces when it is imported: not before the lab has been entered.
    from qemunet_tests.guest.peer_stack import PeerStack

Outcome = Literal["opened", "refused", "no answer", "nobody"]


@dataclass(frozen=True)
class Refused:
    """The connection was reset before it was one."""

    def __str__(self) -> str:
        return "connection refused"


@dataclass(frozen=True)
class TcpAnswer:
    """What became of a question: whether somebody has the address and answers, and what came by the connection."""

    outcome: Outcome
    received: bytes = b""


def ask_stream(
    stack: "PeerStack", to: str, port: int, content: bytes, enough: Callable[[bytes], bool], within_seconds: float = 2.0
) -> bytes | Refused | IcmpError | None:
    """What comes back by TCP, once it is `enough` or the other end has said its last; None where nothing does."""
    connection = stack.dial(to, port)
    for patience_seconds in turns(within_seconds):
        if connection.wait_opened(patience_seconds) or connection.refused or connection.unreachable:
            break
    if not connection.opened:
        return Refused() if connection.refused else connection.unreachable
    connection.send(content)
    for patience_seconds in turns(within_seconds):
        if stack.until(lambda: enough(bytes(connection.received)) or connection.over, patience_seconds):
            break
    connection.abort()
    return bytes(connection.received) or None


def exchange(
    stack: "PeerStack", address: str, port: int, question: bytes = b"", enough: int = 0, within_seconds: float = 5.0
) -> TcpAnswer:
    """The same, up to so many bytes, told of an address that may be nobody's."""
    try:
        connection = stack.connect(address, port, within_seconds)
    except AddressUnanswered:
        return TcpAnswer("nobody")
    if not connection.opened:
        return TcpAnswer("refused" if connection.refused else "no answer")
    connection.send(question)
    received = connection.read(enough, within_seconds)
    connection.abort()
    return TcpAnswer("opened", received)
