"""How long a guest is kept from its network, by what passed its wire: the guest's own slowness is no part of that."""

import time
from dataclasses import dataclass

from qemunet_tests.guest.guest import Guest
from qemunet_tests.observe.frames import timed_dhcp_messages


@dataclass(frozen=True)
class Delay:
    """Seconds from the start of a guest's QEMU, which is when its tap joins the bridge.

    `asked` until it first asked for a lease, `offered` until it was first offered one; None for what never was.
    """

    asked: float | None
    offered: float | None

    def asked_within(self, seconds: float) -> bool:
        return self.asked is not None and self.asked < seconds

    def offered_within(self, seconds: float) -> bool:
        return self.offered is not None and self.offered < seconds

    def __str__(self) -> str:
        return f"{self.offered:.1f} s" if self.offered is not None else "never"


def delay(guest: Guest) -> Delay:
    """What is known so far of a guest."""
    # The capture has the host's clock, which is wound back to the start of QEMU here.
    started = time.time() - (time.monotonic() - guest.started_seconds)
    times: dict[str, float] = {}
    for kind, at_seconds in timed_dhcp_messages(guest):
        times.setdefault(kind, at_seconds - started)
    return Delay(times.get("discover"), times.get("offer"))
