"""What QEMU's monitor says of forwards and connections, and whether words pass a forward both ways."""

import secrets
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qemunet_tests.errors import HarnessError
from qemunet_tests.isolation.station import SOCKETS, Station
from qemunet_tests.observe.station_end import PATIENCE_SECONDS, received

if TYPE_CHECKING:
    # scapy reads the machine's interfaces when it is imported: not before the lab has been entered.
    from qemunet_tests.guest.peer import Peer
    from qemunet_tests.guest.peer_stack import PeerStack

FORWARD = "HOST_FORWARD"


@dataclass(frozen=True)
class UsernetLine:
    """One line of `info usernet`: a forward, whose state is HOST_FORWARD, or a connection."""

    netdev: str
    protocol: str
    state: str
    source: tuple[str, int]
    target: tuple[str, int]

    def __str__(self) -> str:
        ends = " to ".join(f"{address}:{port}" for address, port in (self.source, self.target))
        return f"{self.protocol} {ends}"


def monitor_says(peer: "Peer", line: str) -> str:
    """What QEMU's human monitor answers to a line. Raises HarnessError where there is no QEMU any more."""
    if peer.qemu is None:
        raise HarnessError("there is no QEMU at the other end of the peer's wire")
    return peer.qemu.monitor.ask(line).strip()


def usernet(peer: "Peer") -> list[UsernetLine]:
    """All that `info usernet` lists."""
    lines, netdev = [], ""
    for line in monitor_says(peer, "info usernet").splitlines():
        if line.startswith("Hub "):
            netdev = line.partition("(")[2].rstrip("):")
        elif "[" in line and "Protocol[State]" not in line:
            lines.append(_line(netdev, line))
    return lines


def _line(netdev: str, text: str) -> UsernetLine:
    protocol, _, rest = text.strip().partition("[")
    state, _, fields = rest.partition("]")
    _, source, port, target, target_port, *_ = fields.split()
    return UsernetLine(netdev, protocol, state, (source, int(port)), (target, int(target_port)))


def forwards(peer: "Peer") -> list[UsernetLine]:
    """The forwards among them."""
    return [line for line in usernet(peer) if line.state == FORWARD]


@dataclass(frozen=True)
class ForwardedWords:
    """What became of words through a forward, one each way.

    `caller` is whom the guest saw, `own` who he is; `word_in` and `word_out` say whether the words arrived unchanged.
    """

    caller: tuple[str, int] | None
    own: tuple[str, int] | None
    word_in: bool
    word_out: bool

    @property
    def whole(self) -> bool:
        return self.word_in and self.word_out

    def __str__(self) -> str:
        ways = [way for way, passed in (("in", self.word_in), ("out", self.word_out)) if passed]
        return "both ways" if self.whole else f"only {ways[0]}" if ways else "no word passes"


def words_through(
    stack: "PeerStack", caller: Station, service: tuple[str, int], guest_port: int, protocol: str = "TCP",
    *, at_once: bool = True, own_address: str = "",
) -> ForwardedWords:  # fmt: skip
    """Call the guest from a station, at an address and port that are forwarded, and say a word each way.

    `own_address` is where the call comes from, if the station has several. `at_once`: a datagram has been handed on as
    soon as what was sent behind it is answered, as by libslirp.
    """
    with caller.open_socket(SOCKETS[protocol], service[0]) as calling:
        calling.settimeout(PATIENCE_SECONDS)
        if own_address:
            calling.bind((own_address, 0))
        try:
            calling.connect(service)
        except OSError:
            return ForwardedWords(None, None, False, False)
        if protocol == "UDP":
            return _datagrams(stack, calling, guest_port, at_once)
        return words_over(stack, calling, guest_port)


def words_over(stack: "PeerStack", calling: socket.socket, guest_port: int) -> ForwardedWords:
    """The same with a connection that is open already, by TCP or a Unix socket."""
    there, back = secrets.token_bytes(16), secrets.token_bytes(16)
    own = calling.getsockname() if calling.family == socket.AF_INET else None
    listener = stack.listen(guest_port)
    calling.sendall(there)
    connection = listener.accept()
    if connection is None:
        return ForwardedWords(None, own, False, False)
    got = connection.read(len(there))
    connection.send(back)
    came = stack.meanwhile(lambda: received(calling, len(back)))
    return ForwardedWords(connection.far, own, got == there, came == back)


def _datagrams(stack: "PeerStack", calling: socket.socket, guest_port: int, at_once: bool) -> ForwardedWords:
    there, back = secrets.token_bytes(16), secrets.token_bytes(16)
    port = stack.open_udp(guest_port)
    before = len(port.received)
    calling.send(there)
    got = port.receive(before + 1)[before:]
    if not got:
        return ForwardedWords(None, calling.getsockname(), False, False)
    port.send(back, *got[0].sender)
    # QEMU hands a datagram on as soon as it takes it, so that nothing has to be waited for after that.
    stack.settle()
    if at_once:
        calling.setblocking(False)
    came = received(calling, len(back))
    return ForwardedWords(got[0].sender, calling.getsockname(), [each.data for each in got] == [there], came == back)
