"""Proof of path: that the bytes iperf3 counted went through the backend that the row is named after.

A table of another project measured the wrong backend under a right name for three years. So every row carries what
the backend's own counters say, and a row whose counters disagree is invalid: kept, counted, not used.
"""

from dataclasses import asdict, dataclass
from typing import Any

#: How far counters may be from what iperf3 moved.
TOLERANCE = 0.05
#: Ethernet, IPv4 and TCP with timestamps, once a packet as the tap counts packets.
HEADER_BYTES = 14 + 20 + 32


@dataclass(frozen=True)
class Evidence:
    """What was seen of the path of one transfer.

    `expected` and `found` are backend types as QEMU's monitor names them; `counter` says whose count `counted_bytes`
    is: payload on its way through the backend.
    """

    expected: str
    found: str
    counter: str
    counted_bytes: int
    sent_bytes: int
    received_bytes: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def objection(evidence: Evidence) -> str | None:
    """Why the evidence does not prove the path, None where it does."""
    if evidence.found != evidence.expected:
        return f"wrong backend: the monitor shows {evidence.found or 'none'}, not {evidence.expected}"
    # What is in flight when the clock stops was sent, and never received.
    least = evidence.received_bytes * (1 - TOLERANCE)
    most = max(evidence.sent_bytes, evidence.received_bytes) * (1 + TOLERANCE)
    if not least <= evidence.counted_bytes <= most:
        return (
            f"counters mismatch: {evidence.counter} counted {evidence.counted_bytes} bytes where iperf3 sent "
            f"{evidence.sent_bytes} and received {evidence.received_bytes}"
        )
    return None


def payload(counted_bytes: int, packets: int) -> int:
    """What is left of a network device's count without headers."""
    return max(counted_bytes - packets * HEADER_BYTES, 0)
