"""Ping and traceroute: who answers, what comes back, and how QEMU sends a guest's pings."""

import math
import re
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from qemunet_tests.errors import ControlFailed, HarnessError, Unavailable
from qemunet_tests.guest.guest import Guest
from qemunet_tests.host import icmp
from qemunet_tests.host.credentials import CAP_NET_RAW
from qemunet_tests.isolation.station import Station
from qemunet_tests.observe.capture import ICMP, GuestCapture, Packet
from qemunet_tests.observe.command_place import Place
from qemunet_tests.observe.lease import lease
from qemunet_tests.observe.process import privileges
from qemunet_tests.timeouts import crowding, turns, whole

#: At a station: that of iputils.
PING = "ping -n -c {count} -i {interval_seconds} -W {wait_seconds} -s {size_bytes} {address}"
RECEIVED = re.compile(r"(\d+) packets transmitted, (\d+)(?: packets)? received")
#: What iputils says where neither ping nor its user may open a socket for ICMP, and who is to be let.
NO_SOCKET = re.compile(r"\bsocket: (?:Operation not permitted|Permission denied)")
PERMITTING = 'sudo sysctl -w net.ipv4.ping_group_range="0 2147483647"'
#: How long a guest's ping may take beyond what it is told to wait: to begin, and to send.
STARTING_SECONDS = 5.0
#: A shell's statuses of a program that it may not execute, and of one that is not there.
NOT_RUN = (126, 127)
#: IPv4 and ICMP. RFC 791: packets of 68 bytes pass everywhere.
PING_HEADERS_BYTES, SMALLEST_BYTES = 28, 68
#: So many pings a guest has under way at once without being late with any.
SIZES_AT_ONCE = 12
#: What ping(8) sends of its own, in bytes.
SMALL_BYTES = 56
#: Identifier, number and the time that iputils puts behind them: no two requests begin alike.
RECOGNISED_BYTES = 20
#: linux/if_ether.h: what a guest believes that the LAN carries, less the headers of IPv4 and ICMP.
FULL_SIZE_BYTES = 1500 - 28
ECHO_REPLY, ECHO_REQUEST = 0, 8
HOP = re.compile(r"^\s*\d+\s+(\S+)", re.MULTILINE)
MOST_HOPS = 6
#: As far as Linux lets packets go.
USUAL_HOPS = 64
SILENT = "*"
FIRST_WITH_RAW = (4, 7)


@dataclass(frozen=True)
class Ping:
    """How many echo requests were sent, and how many were answered: by whom they went to, with what they carried.

    `wrong` are replies of any other kind, which ping(1) may well count: another sender, number or content, or one more.
    `late_bytes` is how far behind its place in a wrong reply stands what was sent.
    """

    sent: int
    received: int
    wrong: int = 0
    late_bytes: int = 0

    @property
    def whole(self) -> bool:
        """Whether every request was answered, and nothing else came."""
        return self.received == self.sent and not self.wrong

    @property
    def silent(self) -> bool:
        """Whether nothing came that calls itself a reply."""
        return not self.received and not self.wrong

    def __str__(self) -> str:
        late = f", with {self.late_bytes} bytes in front of what was sent" if self.late_bytes else ""
        wrong = f", {self.wrong} replies are wrong{late}" if self.wrong else ""
        return f"{self.received} of {self.sent} echo requests answered{wrong}"


def ping(place: Place, address: str, count: int = 3, wait_seconds: int = 2, size_bytes: int = SMALL_BYTES) -> Ping:
    """Send ICMP echo requests from a place; a guest's are compared with their replies on its wire.

    Where not all are answered they are sent once more on a busy machine, with longer patience. Raises
    HarnessError where ping fails, and Unavailable where there is none or its user may not: Debian 13 took away its
    capability.
    """
    seen = Ping(count, 0)
    for patience_seconds in turns(wait_seconds, again=False):
        seen = _ping(place, address, count, whole(patience_seconds), size_bytes)
        if seen.received == seen.sent or seen.wrong:
            break
    return seen


def bounded(words: str, count: int, interval_seconds: float, wait_seconds: float) -> str:
    """A guest's ping that ends: of replies that it does not take for its own each has iputils wait anew, for minutes.

    SIGINT has it say what it has counted.
    """
    return f"timeout -s INT {whole(count * interval_seconds + wait_seconds + STARTING_SECONDS)} {words}"


def _ping(place: Place, address: str, count: int, wait_seconds: int, size_bytes: int) -> Ping:
    words = place.tools.ping if isinstance(place, Guest) else PING
    command = words.format(
        count=count, interval_seconds=0.3, wait_seconds=wait_seconds, size_bytes=size_bytes, address=address
    )
    if isinstance(place, Guest):
        command = bounded(command, count, 0.3, wait_seconds)
    wires = [GuestCapture(place, number) for number in range(len(place.nics))] if isinstance(place, Guest) else []
    answer = place.run(command, within_seconds=count * 0.3 + wait_seconds + 5)
    match = RECEIVED.search(answer.text)
    if match is None and NO_SOCKET.search(answer.complaint):
        raise Unavailable("this user may not ping here: ping gets no socket", PERMITTING)
    if answer.status in NOT_RUN:
        raise Unavailable(f"ping cannot be run here: {answer.complaint}", "sudo apt-get install iputils-ping")
    # An unreachable network is an answer; no ping program is none.
    if match is None and "unreachable" not in answer.complaint:
        raise HarnessError(f"ping did not run: {answer.complaint or answer.text}")
    seen = Ping(int(match[1]), int(match[2])) if match else Ping(count, 0)
    found = compared(seen, address, [packet for wire in wires for packet in wire.packets()]) if wires else seen
    if wires and found.sent < count and not found.wrong:
        raise HarnessError(f"ping was ended before it had sent {count} requests: {answer.text}")
    return found


def answered_once(guest: Guest, address: str, wait_seconds: int = 2, size_bytes: int = SMALL_BYTES) -> bool:
    """Whether the guest's ping counts an answer to one request: for a NIC whose wire nobody captures."""
    command = guest.tools.ping.format(
        count=1, interval_seconds=0.3, wait_seconds=wait_seconds, size_bytes=size_bytes, address=address
    )
    return guest.run(bounded(command, 1, 0.3, wait_seconds), within_seconds=wait_seconds + 5).succeeded


def compared(seen: Ping, address: str, packets: Sequence[Packet]) -> Ping:
    """What ping(1) counted, by the packets of its guest's wire.

    What a packet carries behind type, code and checksum is identifier, sequence number and data.
    """
    echoed = [each for each in packets if each.kind == ICMP and each.first in (ECHO_REQUEST, ECHO_REPLY)]
    asked = [each for each in echoed if (each.first, each.target) == (ECHO_REQUEST, address)]
    carried, guests = {each.payload for each in asked}, {each.source_mac for each in asked}
    replies = [each for each in echoed if each.first == ECHO_REPLY and each.source_mac not in guests]
    right = {each.payload for each in replies if each.source == address} & carried
    late = {_late_bytes(each.payload, carried) for each in replies if each.payload not in right}
    found = Ping(seen.sent, min(seen.received, len(right)), len(replies) - len(right))
    return replace(found, late_bytes=late.pop()) if len(late) == 1 else found


def _late_bytes(reply: bytes, carried: Iterable[bytes]) -> int:
    """How far behind its place in a reply the beginning of a request's content is found, 0 where it is not."""
    places = [reply.find(each[:RECOGNISED_BYTES]) for each in carried if len(each) >= RECOGNISED_BYTES]
    return max([0, *places])


def largest_answered(guest: Guest, address: str, below_bytes: int) -> int:
    """The size in bytes, IPv4 header included, of the largest ping that is answered; 0 where none is.

    Many sizes are tried at once, since each that is too large has to be waited for.
    """
    lowest, highest = SMALLEST_BYTES - 1, below_bytes
    while highest - lowest > 1:
        tried = range(lowest + 1, highest, math.ceil((highest - lowest - 1) / SIZES_AT_ONCE))
        answered = _sizes_answered(guest, address, tried)
        if lowest < SMALLEST_BYTES and not answered:
            return 0
        lowest = max(answered, default=lowest)
        highest = min(size for size in (*tried, highest) if size > lowest)
    return lowest


def _sizes_answered(guest: Guest, address: str, sizes_bytes: Iterable[int]) -> list[int]:
    """Those of the sizes that are answered, each asked once."""
    wait_seconds = whole(crowding())

    def asked(size_bytes: int) -> str:
        words = guest.tools.ping.format(
            count=1,
            interval_seconds=1,
            wait_seconds=wait_seconds,
            size_bytes=size_bytes - PING_HEADERS_BYTES,
            address=address,
        )
        return f"{bounded(words, 1, 1, wait_seconds)} >&2 && echo {size_bytes}"

    asking = " & ".join(map(asked, sizes_bytes))
    said = guest.run(f"( {asking} & wait ) 2>/dev/null", within_seconds=wait_seconds + STARTING_SECONDS + 5)
    return [int(line) for line in said.text.split()]


def comes_back(guest: Guest, address: str, wait_seconds: int = 1) -> bool:
    """Whether an echo reply that bears an address as its source comes back to a guest that pings it.

    Its content may be so wrong that ping(1) waits for ever, or counts nonsense.
    """
    for patience_seconds in turns(wait_seconds, again=False):
        wait = whole(patience_seconds)
        words = guest.tools.ping.format(
            count=1, interval_seconds=1, wait_seconds=wait, size_bytes=SMALL_BYTES, address=address
        )
        guest.run(f"timeout {wait} {words}", within_seconds=wait + 5)
        if ECHO_REPLY in _icmp_types(guest, address):
            return True
    return False


def _icmp_types(guest: Guest, source: str) -> set[int]:
    """The types of ICMP messages from an address, found by both addresses of their header.

    QEMU before 8.0 writes the virtio header in front of every frame, so there is no fixed place to look at.
    """
    got = lease(guest, within_seconds=0.0)
    addresses = socket.inet_aton(source) + socket.inet_aton(got.address if got else "0.0.0.0")
    capture = (guest.folder / "net0.pcap").read_bytes()
    # The addresses end the IP header, and the type is the first byte of what follows.
    return {after[0] for after in capture.split(addresses)[1:] if after}


def hops(guest: Guest, address: str, probe: str = "udp", wait_seconds: int = 1) -> tuple[str, ...]:
    """The addresses that answered a probe each, nearest first; `*` for a hop where nobody did. `probe` is `udp`, `icmp`
    or `tcp`.

    Linux reports such errors to an address once a second, after a burst of six (icmp(7), icmp_ratelimit): so probes go
    one by one, and once more where somebody was silent. Where everybody was from one hop on, that hop is asked first,
    and those behind it only if it answers then.
    """
    found: tuple[str, ...] = ()
    for patience_seconds in turns(wait_seconds):
        first = _silent_from(found)
        if first and SILENT in hops_once(guest, address, probe, whole(patience_seconds), first)[first - 1 :]:
            continue
        found = hops_once(guest, address, probe, whole(patience_seconds))
        if SILENT not in found:
            break
    return found


def _silent_from(found: tuple[str, ...]) -> int:
    """The hop from which on nobody answered, counted from 1; 0 where the last one did."""
    heard = max((number for number, hop in enumerate(found, 1) if hop != SILENT), default=0)
    return heard + 1 if heard < len(found) else 0


def hops_once(guest: Guest, address: str, probe: str, wait_seconds: int, most_hops: int = MOST_HOPS) -> tuple[str, ...]:
    """The same, each probe sent once and given so long."""
    tools = guest.tools
    words = {"udp": tools.traceroute_udp, "icmp": tools.traceroute_icmp, "tcp": tools.traceroute_tcp}[probe]
    command = words.format(wait_seconds=wait_seconds, most_hops=most_hops, address=address)
    answer = guest.run(command, within_seconds=most_hops * wait_seconds + 5)
    return tuple(HOP.findall(answer.text.partition("\n")[2]))


def expiry_is_told(station: Station, address: str, wait_seconds: float = 1.0) -> bool:
    """Whether a router tells a station that the time to live of its packet to an address is over."""
    return any(_is_told(station, address, 1, patience_seconds) for patience_seconds in turns(wait_seconds))


def closed_port_is_told(station: Station, address: str, wait_seconds: float = 1.0) -> bool:
    """Whether a station is told that nobody at an address listens where traceroute ends."""
    return any(_is_told(station, address, USUAL_HOPS, patience_seconds) for patience_seconds in turns(wait_seconds))


def require_errors_told(station: Station, address: str) -> None:
    """Where the errors of routers get lost, it says nothing that none of them came: raises ControlFailed."""
    if not expiry_is_told(station, address):
        raise ControlFailed(f"the host itself is not told by ICMP that nobody is at {address}")


def _is_told(station: Station, address: str, hops_to_live: int, wait_seconds: float) -> bool:
    # ip(7); the socket module has no name for it before Python 3.14.
    ip_recverr, udp_port_of_traceroute = 11, 33434
    with station.open_socket(socket.SOCK_DGRAM) as probe:
        probe.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, hops_to_live)
        probe.setsockopt(socket.IPPROTO_IP, ip_recverr, 1)
        probe.settimeout(wait_seconds)
        try:
            probe.connect((address, udp_port_of_traceroute))
            probe.send(b"?")
            probe.recv(1)
        except TimeoutError:
            return False
        except OSError:
            return True
    return False


@dataclass(frozen=True)
class EchoEgress:
    """`name` is for people; `pings` says whether echo replies come back."""

    name: str
    pings: bool


_EGRESSES: dict[icmp.EchoSocket, EchoEgress] = {
    "ping socket": EchoEgress("by ping socket, as ping_group_range lets QEMU", True),
    "raw socket": EchoEgress("by raw socket, as a capability lets QEMU", True),
    "none": EchoEgress("neither ping_group_range nor a capability lets QEMU ping", False),
}


def predicted_egress(guest: Guest, station: Station, slirp: str | None) -> EchoEgress:
    """The way a ping takes for a guest whose QEMU runs at a station; `slirp` is libslirp's version."""
    held = privileges(guest)
    has_raw_sockets = held.may_take_up(CAP_NET_RAW) and version(slirp) >= FIRST_WITH_RAW
    with station.entered():
        return _EGRESSES[icmp.way(held.all_groups, has_raw_sockets)]


def version(text: str | None) -> tuple[int, ...]:
    """`7.2.22` as numbers that can be compared; of an unknown version, none."""
    return tuple(int(number) for number in re.findall(r"\d+", text or "")[:3])
