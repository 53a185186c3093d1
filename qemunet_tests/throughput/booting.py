"""Fresh guests for all arms at once, with clocks that can be relied on."""

from collections.abc import Mapping, Sequence
from functools import partial

from qemunet_tests.errors import HarnessError, TimedOut
from qemunet_tests.guest.bench import Bench
from qemunet_tests.guest.guest import Guest, GuestDied
from qemunet_tests.isolation.processes import stop
from qemunet_tests.network import Lab
from qemunet_tests.qemu.netdev import Nic
from qemunet_tests.qemu.qemu_facts import Qemu
from qemunet_tests.throughput import clock
from qemunet_tests.throughput.resident_guest import ResidentGuest
from qemunet_tests.throughput.variants import Arm

#: How often arms are tried whose guests do not come up, or not with a clock that runs right.
ATTEMPTS = 3


#: The drivers let go of their NICs and take them again.
REBIND = "cd /sys/bus/virtio/drivers/virtio_net; for nic in virtio*; do echo $nic >unbind; echo $nic >bind; done"


def negotiate_anew(guest: Guest) -> None:
    """A driver negotiates with a NIC's backend when it takes the NIC. A template's had one without a tap's offloads."""
    guest.check(f"{guest.tools.network_down.format()}; {REBIND}; {guest.tools.network_up.format()}")


def boot(
    bench: Bench, lab: Lab, arms: Sequence[Arm], baseline: Qemu | None, own_time: bool = False, thawed: bool = False
) -> list[ResidentGuest]:
    """Guests for all arms, booted because a thawed one's memory is of another kind, a private copy of a file.

    With `own_time` their clocks are not meant to run as the host's. With `thawed` they may be thawed all the same, if
    they are only compared with each other and all have virtio-net. Raises HarnessError, Unavailable; guests that were
    started end with the bench.
    """
    right: dict[Arm, ResidentGuest] = {}
    complaints: list[str] = []
    for _ in range(ATTEMPTS):
        cold = not thawed or bool(complaints)
        subjects = [_start(bench, lab, arm, baseline, cold) for arm in arms if arm not in right]
        crowd = sum(len(subject.guests) for subject in subjects)
        began: dict[str, clock.Reading] = {}
        for subject in subjects:
            try:
                for guest in subject.guests:
                    if cold:
                        bench.finish_boot(guest, crowd)
                    else:
                        negotiate_anew(guest)
                    began[guest.name] = clock.read(guest)
                right[subject.arm] = subject
            except (GuestDied, TimedOut) as error:
                # In software a kernel on a busy machine may find no timer, and panic.
                complaints.append(f"{subject.arm.name} {subject.arm.nic}: {error}")
                discard(bench, [subject])
        fresh = [subject for subject in subjects if subject.arm in right]
        for subject in fresh:
            subject.look()
        for subject in [] if own_time else fresh:
            if wrong := _wrong_clock(subject, began):
                complaints.append(f"{subject.arm.name} {subject.arm.nic}: {wrong}")
                discard(bench, [right.pop(subject.arm)])
        if len(right) == len(arms):
            return [right[arm] for arm in arms]
    raise HarnessError(f"not every guest could be booted in {ATTEMPTS} attempts: {'; '.join(complaints)}")


def _wrong_clock(subject: ResidentGuest, began: Mapping[str, clock.Reading]) -> str | None:
    """Why this arm's guests cannot be relied on to tell the time, None where they can."""
    paces = [clock.pace(guest, began[guest.name]) for guest in subject.guests]
    subject.facts["clock"] = " ".join(f"{pace:.3f}" for pace, _ in paces)
    if all(clock.right(*pace) for pace in paces):
        return None
    return f"its clock runs {subject.facts['clock']} times as fast as the host's"


def discard(bench: Bench, subjects: Sequence[ResidentGuest]) -> None:
    for subject in subjects:
        for guest in subject.guests:
            if guest in bench.guests:
                bench.discard(guest)
        for helper in subject.helpers:
            stop(helper)


def _start(bench: Bench, lab: Lab, arm: Arm, baseline: Qemu | None, cold: bool) -> ResidentGuest:
    """Start what an arm needs. The far guest comes first: the near one calls it."""
    wiring = arm.configuration.wired(lab, bench.identity, bench.qemu)
    try:
        with bench.varied(qemu=baseline if arm.is_baseline else None):
            start = bench.start_cold if cold else partial(bench.boot, network=False)
            far = start(Nic(wiring.far, arm.nic)) if wiring.far else None
            near = start(Nic(wiring.netdev, arm.nic))
    except HarnessError:
        for helper in wiring.helpers:
            stop(helper)
        raise
    return ResidentGuest(arm, near, lab.host, wiring.helpers, far, wiring.addresses)
