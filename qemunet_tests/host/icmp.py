"""How libslirp will send a guest's ping: by ping socket, by raw socket, or not as a ping at all.

Source: icmp_send() of libslirp, ping_group_range in icmp(7). The setting belongs to the network namespace.
"""

import os
import socket
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from qemunet_tests.host.credentials import CAP_NET_RAW, Credentials
from qemunet_tests.host.files import MACHINE, read_text

GATE = "net.ipv4.ping_group_range"

EchoSocket = Literal["ping socket", "raw socket", "none"]


@dataclass(frozen=True)
class PingGate:
    """`range` are the lowest and highest group that may open ping sockets; (1, 0) is nobody."""

    range: tuple[int, int] | None
    way: EchoSocket


def read(credentials: Credentials, root: Path = MACHINE) -> PingGate:
    """The setting, and what it means for this process; nothing is sent."""
    return PingGate(_range(root), way(credentials.all_groups, credentials.may(CAP_NET_RAW), root))


def way(groups: Collection[int], has_raw_sockets: bool, root: Path = MACHINE) -> EchoSocket:
    """The way for a process of these groups, in the network namespace that the caller stands in."""
    if gate_opens(groups, root):
        return "ping socket"
    return "raw socket" if has_raw_sockets else "none"


def gate_opens(groups: Collection[int], root: Path = MACHINE) -> bool:
    """Whether somebody of these groups may open ping sockets."""
    if root == MACHINE and os.getegid() in groups:
        # Trying is better than reading: groups that do not exist in a user namespace are shown there as 65534.
        return ping_socket_opens()
    lowest, highest = _range(root) or (1, 0)
    return any(lowest <= group <= highest for group in groups)


def _range(root: Path) -> tuple[int, int] | None:
    words = (read_text(root, f"/proc/sys/{GATE.replace('.', '/')}") or "").split()
    return (int(words[0]), int(words[1])) if len(words) == 2 else None


def ping_socket_opens() -> bool:
    """Whether this process may open a ping socket."""
    try:
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP).close()
    except OSError:
        return False
    return True
