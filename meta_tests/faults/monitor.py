"""A QEMU's monitor that is asked something else, or answers otherwise."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qemunet_tests.errors import HarnessError
from qemunet_tests.qemu.qmp import Monitor

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


def carry_out(command: str, otherwise: Callable[[Callable[..., Any], dict[str, Any]], Any]) -> None:
    """From now on every monitor does this instead of a QMP command, given what executes commands, and its arguments.

    It is over with this process.
    """
    execute = Monitor.execute

    def executed(self: Monitor, asked: str, within_seconds: float = 20.0, **arguments: Any) -> Any:
        if asked != command:
            return execute(self, asked, within_seconds, **arguments)
        return otherwise(lambda name, /, **others: execute(self, name, within_seconds, **others), arguments)

    Monitor.execute = executed


def say_yes(_execute: Callable[..., Any], _arguments: dict[str, Any]) -> Any:
    """For a command that is not carried out."""
    return {}
