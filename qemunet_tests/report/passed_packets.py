"""What passed the NICs of a test's guests, for people: a line for each kind of packet, from the captures that are kept.

Whoever sent these packets may be hostile: what is told of them is made of numbers, and of names without control
characters.
"""

import re
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

from qemunet_tests.isolation.folder import opened
from qemunet_tests.observe.capture import ARP, ICMP, ICMPV6, TCP, UDP, Packet, frames_in, packet
from qemunet_tests.observe.dhcp import message_type
from qemunet_tests.observe.dns import CODES
from qemunet_tests.report.shapes import PassedPackets, Results

#: A test fails at what happened last; how it began says what was there at all.
FIRST_LINES, LAST_LINES = 4, 10
#: A capture may be of gigabytes that passed: its beginning is read.
MOST_BYTES = 8 << 20
MOST_FRAMES = 20_000
_LONGEST_NAME = 60
_PINGS = {
    ICMP: {8: "ping", 0: "answer to a ping", 3: "ICMP unreachable", 11: "ICMP time exceeded"},
    ICMPV6: {
        128: "ping",
        129: "answer to a ping",
        1: "ICMPv6 unreachable",
        3: "ICMPv6 time exceeded",
    },
}
#: Every network with IPv6 has these, and from every address: said without.
_HOUSEKEEPING = {
    133: "router solicitations",
    134: "router advertisements",
    135: "neighbour solicitations",
    136: "neighbour advertisements",
    143: "multicast reports",
}
_FLAGS = ((0x02, "SYN"), (0x10, "ACK"), (0x01, "FIN"), (0x04, "RST"))
_DNS_PORT, _DHCP_PORTS = 53, {67, 68}


def with_packets(results: Results) -> Results:
    """The results with what passed wherever artifacts were kept. What cannot be read is left out."""
    seen = [each.model_copy(update={"packets": _of_artifacts(each.artifacts)}) for each in results.verdicts]
    return results.model_copy(update={"verdicts": seen})


def _of_artifacts(folders: Iterable[str]) -> list[PassedPackets]:
    found: list[PassedPackets] = []
    for folder in folders:
        try:
            with opened(Path(folder)) as kept:
                for name in (name for name in kept.names() if re.fullmatch(r"net\d+\.pcap", name)):
                    nic = f"{Path(folder).name} {name.removesuffix('.pcap')}"
                    found += summary_of(nic, kept.read(name, MOST_BYTES))
        except OSError:  # gone, or not to be read
            continue
    return found


def summary_of(nic: str, capture: bytes) -> list[PassedPackets]:
    """The kinds of packets in a capture, in the order in which they were first seen."""
    times: dict[str, list[float]] = {}
    for number, (seconds, frame) in enumerate(frames_in(capture)):
        if number >= MOST_FRAMES:
            break
        times.setdefault(told(frame), []).append(seconds)
    began = min((seen[0] for seen in times.values()), default=0.0)
    lines = [_line(nic, line, seen, began) for line, seen in times.items()]
    if len(lines) <= FIRST_LINES + LAST_LINES + 1:
        return lines
    left_out = lines[FIRST_LINES:-LAST_LINES]
    rest = PassedPackets(
        nic=nic,
        line=f"{len(left_out)} other kinds, not listed",
        count=sum(each.count for each in left_out),
        first_seconds=min(each.first_seconds for each in left_out),
        last_seconds=max(each.last_seconds for each in left_out),
    )
    return [*lines[:FIRST_LINES], rest, *lines[-LAST_LINES:]]


def _line(nic: str, line: str, seen: list[float], began: float) -> PassedPackets:
    first, last = (round(each - began, 3) for each in (seen[0], seen[-1]))
    return PassedPackets(nic=nic, line=line, count=len(seen), first_seconds=first, last_seconds=last)


def told(frame: bytes) -> str:
    """One frame in a line."""
    found = packet(frame)
    if found is None:
        return "another frame"
    if found.kind == ARP:
        asks = f"ARP: who has {found.target}? {found.source} asks"
        return asks if found.first == 1 else f"ARP: {found.source} is at {found.source_mac}"
    between = f"{found.source} → {found.target}"
    if found.kind == ICMPV6 and (known := _HOUSEKEEPING.get(found.first)):
        return f"IPv6: {known}"
    if found.kind in _PINGS:
        name = "ICMP" if found.kind == ICMP else "ICMPv6"
        return f"{_PINGS[found.kind].get(found.first, f'{name} type {found.first} code {found.second}')} {between}"
    if found.kind not in (TCP, UDP):
        return f"IP protocol {found.kind} {between}"
    return _of_ports(found, frame)


def _of_ports(found: Packet, frame: bytes) -> str:
    ports = {found.first, found.second}
    between = f"{_end(found.source, found.first)} → {_end(found.target, found.second)}"
    if found.kind == UDP and ports & _DHCP_PORTS and (kind := message_type(frame)):
        return f"DHCP {kind} {found.source} → {found.target}"
    if found.kind == UDP and _DNS_PORT in ports and (said := _of_dns(found.payload[4:])):
        return f"DNS {said} {found.source} → {found.target}"
    if found.kind == TCP and len(found.payload) > 9:
        flags = " ".join(word for bit, word in _FLAGS if found.payload[9] & bit)
        return f"TCP {flags or 'without flags'} {between}"
    return f"{'TCP' if found.kind == TCP else 'UDP'} {between}"


def _end(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _of_dns(message: bytes) -> str | None:
    """The first question of a DNS message, and how it was answered (RFC 1035, 4.1)."""
    if len(message) < 12:
        return None
    flags, questions = struct.unpack_from(">2xHH", message)
    name = ".".join(_labels(message[12:])) if questions else ""
    if not flags & 0x8000:
        return f"question {name}"
    code = flags & 15
    return f"answer {name}: {CODES.get(code, f'code {code}') if code else 'no error'}"


def _labels(content: bytes) -> Iterator[str]:
    room = _LONGEST_NAME
    while content and 0 < (length := content[0]) < 64 and room > 0:
        label = content[1 : 1 + length].decode("ascii", "backslashreplace")
        yield "".join(each if each.isprintable() else "?" for each in label)[:room]
        content, room = content[1 + length :], room - length
