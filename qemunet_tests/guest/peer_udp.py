"""UDP of a peer: a port of its own, and what comes to it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from qemunet_tests.guest.icmp_error import IcmpError

if TYPE_CHECKING:
    # scapy reads the machine's interfaces when it is imported: not before the lab has been entered.
    from scapy.packet import Packet


class PacketSender(Protocol):
    """Where packets go, and how to wait while others come."""

    def send_to(self, address: str, content: "Packet", ttl: int = 64) -> None:
        """Send what an IP packet is to carry."""

    def until(self, condition: Callable[[], object], within_seconds: float) -> bool:
        """Take what comes until `condition` is true; whether it became so in time."""


@dataclass(frozen=True)
class PeerDatagram:
    """What came by UDP, and from whom; `sizes` are the bytes of the IP packets that it came in, `ttl` of the first."""

    source: str
    port: int
    data: bytes
    sizes: tuple[int, ...] = ()
    ttl: int = field(default=0, compare=False)

    @property
    def sender(self) -> tuple[str, int]:
        return self.source, self.port

    def __str__(self) -> str:
        packets = f" in packets of {', '.join(map(str, self.sizes))}" if len(self.sizes) > 1 else ""
        return f"{len(self.data)} bytes from {self.source} port {self.port}{packets}"


class PeerPort:
    """A UDP port of a peer, with all that has come to it, and the errors about what it has sent."""

    def __init__(self, sender: PacketSender, port: int) -> None:
        self.port, self._sender = port, sender
        self.received: list[PeerDatagram] = []
        self.errors: list[IcmpError] = []

    def send(self, data: bytes, address: str, port: int, ttl: int = 64) -> None:
        """Send a datagram, in fragments where it needs any."""
        from scapy.layers.inet import UDP
        from scapy.packet import Raw

        self._sender.send_to(address, UDP(sport=self.port, dport=port) / Raw(data), ttl)

    def receive(self, count: int = 1, within_seconds: float = 3.0) -> list[PeerDatagram]:
        """All datagrams that have come, once they are `count`, or the time is over."""
        self._sender.until(lambda: len(self.received) >= count, within_seconds)
        return list(self.received)
