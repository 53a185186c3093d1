"""What of a recording's arms is not as one expects: named, whatever the numbers say.

A ratio of 2 may be a mode's own, or a forgotten queue discipline's. These are the facts that have explained wrong
tables of others: MTU, offloads, queue disciplines, and the backend itself.
"""

import re
from collections.abc import Iterator

from qemunet_tests.throughput.judging import offloads
from qemunet_tests.throughput.recording import Recording
from qemunet_tests.throughput.recording_shapes import MeasuredArm, OnPath, Run

USUAL_MTU = "1500"
_NUMBER = re.compile("[0-9]{1,9}")
#: What kernels and distributions put on a link by themselves.
USUAL_QDISCS = ("noqueue", "pfifo_fast", "fq_codel", "fq", "mq", "pfifo")
#: Headers of IPv4 and TCP, with its timestamps and without; what is cut smaller than that was made to.
HEADERS_BYTES = 52
#: QEMU asks for vnet_hdr by itself, unless it is told not to.
PLAIN = "tap-plain"


def oddities(recording: Recording) -> list[str]:
    """A sentence for each, with the arm it is about."""
    said = []
    for arm in recording.session.arms:
        for run in (run for run in recording.runs if run.of(arm)):
            said += [f"{arm}: {what}" for what in _of(arm, run)]
    return list(dict.fromkeys(said))


def _of(arm: MeasuredArm, run: Run) -> Iterator[str]:
    found, guest = run.on_path or OnPath(), run.guest
    mtu = guest.mtu if guest else USUAL_MTU
    for where, value in (("its tap", found.tap_mtu), ("the bridge", found.bridge_mtu)):
        if value and value != USUAL_MTU:
            yield f"the MTU of {where} is {value}, not {USUAL_MTU}"
    if mtu != USUAL_MTU:
        yield f"the MTU in the guest is {mtu}, not {USUAL_MTU}"
    segment = int(found.mss or 0)
    if segment and _NUMBER.fullmatch(mtu) and segment < int(mtu) - HEADERS_BYTES:
        yield f"TCP sends segments of {segment} bytes where an MTU of {mtu} allows {int(mtu) - HEADERS_BYTES}"
    for qdisc in (found.qdisc or "").split():
        if qdisc not in USUAL_QDISCS:
            yield f"the queue discipline {qdisc} is on its tap"
    flags = found.tun_flags or (guest and guest.tun_flags)
    if flags and arm.way != PLAIN and not offloads.has_vnet_hdr(flags):
        yield "its tap has no vnet_hdr, so that the guest cuts and sums every packet itself"
