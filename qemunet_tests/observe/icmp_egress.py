"""How a guest's ping will leave the host, predicted from settings alone.

Source: icmp_send() of libslirp: a ping socket where QEMU's group may open one, from 4.7 on else a raw socket where
QEMU has the capability, else a UDP datagram to port 7, which is answered by no echo reply.
"""

import os
import re
from collections.abc import Collection
from dataclasses import dataclass

from qemunet_tests.guest.guest import Guest
from qemunet_tests.host.icmp import ping_socket_opens
from qemunet_tests.isolation.station import Station
from qemunet_tests.observe.privileges import NET_RAW, privileges

GATE = "net.ipv4.ping_group_range"
FIRST_WITH_RAW = (4, 7)


@dataclass(frozen=True)
class EchoEgress:
    """`name` is for people; `pings` says whether echo replies come back."""

    name: str
    pings: bool


PING_SOCKET = EchoEgress("by ping socket", True)
RAW_SOCKET = EchoEgress("by raw socket", True)
NO_WAY = EchoEgress("not as a ping", False)


def predicted(guest: Guest, station: Station, slirp: str | None) -> EchoEgress:
    """The way for a guest whose QEMU runs at a station; `slirp` is libslirp's version."""
    held = privileges(guest)
    if gate_opens(station, held.groups):
        return PING_SOCKET
    return RAW_SOCKET if NET_RAW in held.capabilities and version(slirp) >= FIRST_WITH_RAW else NO_WAY


def gate_opens(station: Station, groups: Collection[int]) -> bool:
    """Whether a station lets these groups open ping sockets."""
    if os.getegid() in groups:
        # Trying is better than reading: groups that do not exist in a user namespace are shown there as 65534.
        with station.entered():
            return ping_socket_opens()
    lowest, highest = (int(word) for word in station.sysctl(GATE).split())
    return any(lowest <= group <= highest for group in groups)


def version(text: str | None) -> tuple[int, ...]:
    """`7.2.22` as numbers that can be compared; of an unknown version, none."""
    return tuple(int(number) for number in re.findall(r"\d+", text or "")[:3])
