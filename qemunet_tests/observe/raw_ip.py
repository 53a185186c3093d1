"""Which IP protocols besides TCP and UDP get from one place to another."""

import shlex
import socket
from collections.abc import Callable
from types import TracebackType

from qemunet_tests.deadline import Deadline
from qemunet_tests.guest.guest import Guest
from qemunet_tests.isolation.station import Station

#: Bytes of the word by which a packet is recognised.
WORD_BYTES = 8


def _icmp_timestamp(word: bytes) -> bytes:
    # A request that every Linux answers; identifier, sequence number and first timestamp carry the word.
    from scapy.layers.inet import ICMP

    identifier, sequence, sent = (int.from_bytes(word[a:b]) for a, b in ((0, 2), (2, 4), (4, 8)))
    return bytes(ICMP(type=13, id=identifier, seq=sequence, ts_ori=sent, ts_rx=0, ts_tx=0))


#: Protocol numbers of IANA, and how a packet with a word in it is made: a header of zeros suffices to be routed.
PROTOCOLS: dict[str, tuple[int, Callable[[bytes], bytes]]] = {
    "GRE": (47, lambda word: bytes(4) + word),
    "SCTP": (132, lambda word: bytes(12) + word),
    "ICMP timestamp": (1, _icmp_timestamp),
}


class RawListener:
    """Hears all packets of these protocols that reach a station."""

    def __init__(self, station: Station) -> None:
        self._heard: dict[str, bytearray] = {name: bytearray() for name in PROTOCOLS}
        with station.entered():
            self._sockets = {
                name: socket.socket(socket.AF_INET, socket.SOCK_RAW, number) for name, (number, _) in PROTOCOLS.items()
            }

    def __enter__(self) -> "RawListener":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for each in self._sockets.values():
            each.close()

    def heard(self, word: bytes) -> list[str]:
        """The protocols in which this word has arrived so far."""
        for name, each in self._sockets.items():
            try:
                while packet := each.recv(65536, socket.MSG_DONTWAIT):
                    self._heard[name] += packet
            except BlockingIOError:
                continue
        return [name for name, packets in self._heard.items() if word in packets]

    def hears_all(self, word: bytes, within_seconds: float = 3.0) -> bool:
        """Whether the word arrives in every protocol."""
        arriving = Deadline(within_seconds, "packets of every protocol")
        return arriving.sees(lambda: len(self.heard(word)) == len(PROTOCOLS))


def send_from_guest(guest: Guest, address: str, word: bytes) -> None:
    """Send one packet of every protocol."""
    for number, packet in PROTOCOLS.values():
        guest.put("/tmp/packet", packet(word))
        send = guest.tools.send_packet.format(file="/tmp/packet", address=shlex.quote(address), number=number)
        guest.check(send)


def send_from_station(station: Station, address: str, word: bytes) -> None:
    """The same from a station."""
    for number, packet in PROTOCOLS.values():
        with station.entered(), socket.socket(socket.AF_INET, socket.SOCK_RAW, number) as sender:
            sender.sendto(packet(word), (address, 0))


def left_the_guest(guest: Guest, word: bytes, nic: int = 0) -> bool:
    """Whether packets of every protocol with this word are in the capture of the guest's wire."""
    return (guest.folder / f"net{nic}.pcap").read_bytes().count(word) >= len(PROTOCOLS)


class GuestListener:
    """Hears all packets of PROTOCOLS that reach a guest."""

    def __init__(self, guest: Guest) -> None:
        self._guest = guest
        self._numbers = [number for number, _ in PROTOCOLS.values()]

    def __enter__(self) -> "GuestListener":
        for number in self._numbers:
            hear = self._guest.tools.hear_packets.format(number=number, file=f"/tmp/heard.{number}")
            self._guest.check(f"setsid {hear} >/dev/null 2>&1 </dev/null & echo $! >>/tmp/hearing")
            self._guest.check(f"until grep -q ':{number:04X} ' /proc/net/raw; do sleep 0.02; done")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._guest.run("kill $(cat /tmp/hearing); rm -f /tmp/heard.* /tmp/hearing")

    def hears_all(self, word: bytes, within_seconds: float = 3.0) -> bool:
        """Whether the word arrives in every protocol. `within_seconds` is meant for KVM."""
        arriving = Deadline(self._guest.pace.seconds(within_seconds), "packets of every protocol")
        return arriving.sees(lambda: all(self._heard(number, word) for number in self._numbers), interval_seconds=0.1)

    def _heard(self, number: int, word: bytes) -> bool:
        return word in self._guest.run(f"cat /tmp/heard.{number}").stdout
