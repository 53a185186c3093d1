"""What QEMU's monitor says of a backend, by `info network`."""

import re
from typing import TYPE_CHECKING

from qemunet_tests.deadline import Deadline

if TYPE_CHECKING:
    # scapy reads the machine's interfaces when it is imported: not before the lab has been entered.
    from qemunet_tests.guest.peer import Peer
    from qemunet_tests.qemu.qmp import Monitor


def said_of(peer: "Peer", identifier: str) -> str | None:
    """What stands behind the backend's name and place, `type=` first; None where it is not listed."""
    if peer.qemu is None:
        return None
    said = peer.qemu.monitor.ask("info network")
    found = re.search(rf"(?m)(?:^|[ \\]){re.escape(identifier)}: index=\d+,(.*)$", said)
    return found[1] if found else None


def awaited_events(monitor: "Monitor", last: str, within_seconds: float = 3.0) -> list[str]:
    """The names of the events that QEMU told of, until one of this name."""
    told: list[str] = []
    deadline = Deadline(within_seconds, last)
    while last not in told and not deadline.passed:
        told += [str(event["event"]) for event in monitor.events()]
    return told
