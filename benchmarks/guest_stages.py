"""Where the time of a thawed guest goes, from the start of QEMU to its lease: by stage, in seconds and CPU seconds.

    ./bootstrap python benchmarks/guest_stages.py [--rounds N] [--nic MODEL] [--accel tcg|kvm] [--qemu PATH]

Prints JSON alone on standard output (its shape: docs/report.md). CPU seconds are those of the guest's QEMU, all threads
together, and change little beside other work; seconds do. It records and never fails by time.
"""

import argparse
import json
import os
import re
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from qemunet_tests import images, workbench
from qemunet_tests.guest.guest_launcher import GuestLauncher, MacPool
from qemunet_tests.guest.living_guests import LivingGuests
from qemunet_tests.guest.template import NETWORK, Template, thaw
from qemunet_tests.guest.template_builder import TemplateBuilder
from qemunet_tests.isolation.identity import unprivileged
from qemunet_tests.isolation.station import Station
from qemunet_tests.modes.user import UserNetdev
from qemunet_tests.qemu import accel, qemu_facts
from qemunet_tests.qemu.guest_machine import GuestMachine
from qemunet_tests.qemu.launcher import Launcher
from qemunet_tests.qemu.netdev import Nic
from qemunet_tests.timeouts import Pace

#: What has been reached at the end of each.
STAGES = ("monitor answers", "state loaded", "network started", "lease")


@dataclass(frozen=True)
class Thawing:
    """What guests are thawed with, one at a time."""

    launcher: GuestLauncher
    guests: LivingGuests
    template: Template

    def once(self) -> dict[str, Any]:
        """One guest: by stage what has passed, and how many blocks of its code QEMU has translated (None with KVM)."""
        pace = self.launcher.pace
        backed = self.launcher.machine.backed(self.template.memory, shared=False, network=NETWORK)
        nics = tuple(Nic(UserNetdev(), model) for model in self.template.models)
        guest = self.launcher.start(nics, [*backed, "-incoming", "defer"], self.guests, thawed=True)
        passed = [_passed(guest.qemu.process.pid, guest.started_seconds)]
        for stage in (
            lambda: thaw(guest.monitor, self.template.state, pace.seconds(4.0)),
            lambda: guest.start_network(thawed=True, network=True),
            lambda: guest.await_lease(0, 30),
        ):
            stage()
            passed.append(_passed(guest.qemu.process.pid, guest.started_seconds))
        blocks = re.search(r"TB count\s+(\d+)", guest.monitor.ask("info jit"))
        self.guests.discard(guest)
        return {"stages": dict(zip(STAGES, _differences(passed), strict=True)), "blocks": blocks and int(blocks[1])}


def _passed(pid: int, began_seconds: float) -> tuple[float, float]:
    """Seconds since the start, and CPU seconds of all threads, which the scheduler counts in nanoseconds."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    nanoseconds = sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads)
    return time.monotonic() - began_seconds, nanoseconds / 1e9


def _differences(passed: list[tuple[float, float]]) -> Iterator[dict[str, float]]:
    for before, after in zip([(0.0, 0.0), *passed], passed, strict=False):
        yield {"seconds": round(after[0] - before[0], 4), "cpu_seconds": round(after[1] - before[1], 4)}


def measure(machine: GuestMachine, station: Station, model: str, rounds: int) -> dict[str, Any]:
    pool, pace = MacPool(), Pace(machine.accel.slowdown)
    launcher = Launcher(machine.qemu, station, unprivileged(), None)
    placed = replace(machine, image=machine.image.placed())
    guests = LivingGuests(machine, lambda _: None)
    made = GuestLauncher(placed, machine, launcher, pace, True, pool.choose, pool, _say)
    thawing = Thawing(made, guests, Template(TemplateBuilder(made, guests).freeze((model,)), (model,)))
    samples = []
    for number in range(rounds):
        _say(f"round {number + 1} of {rounds}")
        samples.append(thawing.once())
    return {"nic": model, "medians": {stage: _medians(stage, samples) for stage in STAGES}, "samples": samples}


def _medians(stage: str, samples: list[dict[str, Any]]) -> dict[str, float]:
    found = [each["stages"][stage] for each in samples]
    return {what: round(statistics.median(each[what] for each in found), 4) for what in found[0]}


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--nic", default="virtio-net-pci", metavar="MODEL")
    parser.add_argument("--accel", default="tcg", choices=["auto", "kvm", "tcg"])
    parser.add_argument("--qemu")
    given = parser.parse_args()
    image, qemu = images.ensure(), qemu_facts.find(given.qemu)
    machine = GuestMachine(qemu, image, accel.choose(given.accel, qemu, image))
    with workbench.in_a_lab(machine, captures=False) as (bench, _):
        measured = measure(machine, bench.station, given.nic, given.rounds)
    told = {"schema": 1, "accel": machine.accel.used, "qemu": qemu.version, "cpus": len(os.sched_getaffinity(0))}
    print(json.dumps({**told, **measured}, indent=1))


if __name__ == "__main__":
    main()
