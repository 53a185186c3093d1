"""Proof of path: that the bytes iperf3 counted went through the backend that the row is named after.

A table of another project measured the wrong backend under a right name for three years. So every row carries what
the backend's own counters say, and a row whose counters disagree is invalid: kept, counted, not used.
"""

from collections.abc import Mapping
from dataclasses import dataclass

#: How far counters may be from what iperf3 moved.
TOLERANCE = 0.05
#: Ethernet, IPv4 and TCP with timestamps, once a packet as the tap counts packets.
HEADER_BYTES = 14 + 20 + 32
#: What `-netdev stream` puts before every packet: its length.
LENGTH_BYTES = 4
#: What a full segment carries at most with an MTU of 1500.
SEGMENT_BYTES = 1460


@dataclass(frozen=True)
class NicCount:
    """What a guest's NIC has counted since it was switched on."""

    tx_bytes: int
    tx_packets: int
    rx_bytes: int
    rx_packets: int


@dataclass(frozen=True)
class Counts:
    """What counts an arm's traffic by itself: its tap, by direction, and between guests both NICs, the near first."""

    tap: Mapping[str, int] | None
    nics: tuple[NicCount, ...] = ()

    def packets_since(self, before: "Counts", direction: str) -> int:
        """Packets of the near guest's NIC, on their way in this direction."""
        now, then = self.nics[0], before.nics[0]
        return now.tx_packets - then.tx_packets if direction == "g2h" else now.rx_packets - then.rx_packets

    def payload_since(self, before: "Counts", direction: str) -> dict[str, int]:
        """Payload that each guest's own NIC counted. `g2h` is from the near guest to the far one."""
        found = {}
        for whose, sends, now, then in zip(("near", "far"), (True, False), self.nics, before.nics, strict=True):
            if sends == (direction == "g2h"):
                found[whose] = payload(now.tx_bytes - then.tx_bytes, now.tx_packets - then.tx_packets)
            else:
                found[whose] = payload(now.rx_bytes - then.rx_bytes, now.rx_packets - then.rx_packets)
        return found


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
    #: Between guests, what their own NICs counted.
    nics: Mapping[str, int] | None = None
    #: What the sender sent again, as far as it is seen by who counts packets; sockets count nothing twice.
    again_bytes: int = 0


def objection(evidence: Evidence) -> str | None:
    """Why the evidence does not prove the path, None where it does."""
    if evidence.found != evidence.expected:
        return f"wrong backend: the monitor shows {evidence.found or 'none'}, not {evidence.expected}"
    # What is in flight when the clock stops was sent, and never received.
    least = evidence.received_bytes * (1 - TOLERANCE)
    most = (max(evidence.sent_bytes, evidence.received_bytes) + evidence.again_bytes) * (1 + TOLERANCE)
    counted = {evidence.counter: evidence.counted_bytes}
    counted |= {f"the {whose} guest's NIC": count for whose, count in (evidence.nics or {}).items()}
    for counter, count in counted.items():
        if not least <= count <= most:
            return (
                f"counters mismatch: {counter} counted {count} bytes where iperf3 sent "
                f"{evidence.sent_bytes} and received {evidence.received_bytes}"
                + (f", {evidence.again_bytes} sent again" if evidence.again_bytes else "")
            )
    return None


def payload(counted_bytes: int, packets: int, more_bytes: int = 0) -> int:
    """What is left of a device's count without headers, and without `more_bytes` in front of each packet."""
    return max(counted_bytes - packets * (HEADER_BYTES + more_bytes), 0)
