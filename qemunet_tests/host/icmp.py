"""How libslirp will send a guest's ping: by ping socket, by raw socket, or not as a ping at all.

Source: icmp_send() of libslirp, ping_group_range in icmp(7). The setting belongs to the network namespace.
"""

import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from qemunet_tests.host.credentials import CAP_NET_RAW, Credentials
from qemunet_tests.host.files import MACHINE, read_text

SETTING = "/proc/sys/net/ipv4/ping_group_range"

EchoSocket = Literal["ping socket", "raw socket", "none"]


@dataclass(frozen=True)
class PingGate:
    """`range` are the lowest and highest group that may open ping sockets; (1, 0) is nobody."""

    range: tuple[int, int] | None
    way: EchoSocket


def read(credentials: Credentials, root: Path = MACHINE, opening: Callable[[], bool] | None = None) -> PingGate:
    """The setting, and what it means for this process. `opening` tries a ping socket; nothing is sent."""
    words = (read_text(root, SETTING) or "").split()
    limits = (int(words[0]), int(words[1])) if len(words) == 2 else None
    if opening is None and root == MACHINE:
        opening = ping_socket_opens
    if opening is not None:
        open_to_us = opening()
    else:
        lowest, highest = limits or (1, 0)
        open_to_us = any(lowest <= group <= highest for group in credentials.all_groups)
    if open_to_us:
        return PingGate(limits, "ping socket")
    return PingGate(limits, "raw socket" if credentials.may(CAP_NET_RAW) else "none")


def ping_socket_opens() -> bool:
    """Whether this process may open a ping socket."""
    try:
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP).close()
    except OSError:
        return False
    return True
