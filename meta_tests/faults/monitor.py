"""A QEMU's human monitor that is asked something else, or answers otherwise."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from qemunet_tests.errors import HarnessError

if TYPE_CHECKING:
    # scapy reads the machine's interfaces when it is imported: not before the lab has been entered.
    from qemunet_tests.guest.peer import Peer

#: Makes an answer of a line and of what asks QEMU.
Answer = Callable[[str, Callable[[str], str]], str]


def answer_lines(peer: "Peer", pattern: str, answer: Answer) -> None:
    """From now on `answer` answers lines that begin as `pattern` says, and QEMU all others."""
    if peer.qemu is None:
        raise HarnessError("the fault cannot be planted: the peer has no QEMU")
    monitor, ask = peer.qemu.monitor, peer.qemu.monitor.ask
    monitor.ask = lambda line: answer(line, ask) if re.match(pattern, line) else ask(line)
