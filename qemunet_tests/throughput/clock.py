"""Whether a guest's clock runs as the host's does: half of the rates are by its clock.

In software a kernel that boots on a busy machine may mistake the speed of its own time stamp counter; it was seen to
run 20 times too fast.
"""

import time
from dataclasses import dataclass

from qemunet_tests.deadline import Deadline
from qemunet_tests.guest.guest import Guest

#: Shorter than this nothing can be said: /proc/uptime counts hundredths, and asking takes some.
SPAN_SECONDS = 1.0
#: What asking twice on a busy machine may explain.
TOLERANCE = 0.25
#: What two ends of one transfer may disagree by about how long it took.
ENDS_TOLERANCE = 0.10


@dataclass(frozen=True)
class Reading:
    """A guest's clock read at a moment of the host's; `slack_seconds` is how long that took."""

    guest_seconds: float
    host_seconds: float
    slack_seconds: float


def read(guest: Guest) -> Reading:
    began = time.monotonic()
    said = float(guest.check("cut -d' ' -f1 /proc/uptime"))
    ended = time.monotonic()
    return Reading(said, (began + ended) / 2, ended - began)


def pace(guest: Guest, first: Reading) -> tuple[float, float]:
    """How many seconds the guest has counted for one of the host's since `first`, and how far that may be off."""
    Deadline(SPAN_SECONDS, "a span of the guest's clock").sees(
        lambda: time.monotonic() - first.host_seconds > SPAN_SECONDS, interval_seconds=SPAN_SECONDS
    )
    now = read(guest)
    span = max(now.host_seconds - first.host_seconds, 0.01)
    error = (first.slack_seconds + now.slack_seconds) / 2 / span
    return (now.guest_seconds - first.guest_seconds) / span, error


def right(found: float, error: float) -> bool:
    return abs(found - 1) <= TOLERANCE + error


def objection(client_seconds: float, server_seconds: float) -> str | None:
    """Why two ends' clocks do not agree on how long their transfer took, None where they do."""
    longer, shorter = max(client_seconds, server_seconds), min(client_seconds, server_seconds)
    if shorter * (1 + ENDS_TOLERANCE) >= longer:
        return None
    return (
        f"the clocks disagree: the transfer took {client_seconds:.2f} s by the guest's and "
        f"{server_seconds:.2f} s by the server's"
    )
