"""The resident guest of an arm, ready to be measured, and the counters of its backend."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from qemunet_tests.harness.bench import Bench
from qemunet_tests.harness.errors import HarnessError
from qemunet_tests.harness.guest import Guest
from qemunet_tests.harness.lab import Lab, plan
from qemunet_tests.harness.lab.station import Station
from qemunet_tests.harness.netdev import Nic
from qemunet_tests.harness.processes import Process, stop
from qemunet_tests.harness.qemu_facts import Qemu
from qemunet_tests.observe import backend
from qemunet_tests.throughput import proof, ways
from qemunet_tests.throughput.arms import Arm

#: One shell command that tells what of the guest's network bears on throughput.
ASK = (
    "until [ -f /run/qemunet/lease.eth0 ]; do usleep 100000; done; cd /sys/class/net/eth0; "
    "echo mtu $(cat mtu); echo features $(cat device/features 2>/dev/null); "
    "echo driver $(basename $(readlink device/driver)); echo kernel $(uname -r); "
    "echo congestion $(cat /proc/sys/net/ipv4/tcp_congestion_control); "
    "echo iperf3 $(iperf3 --version | head -n 1)"
)


@dataclass
class Subject:
    """An arm's guest. `helpers` are processes that carry its traffic beside QEMU."""

    arm: Arm
    guest: Guest
    station: Station
    helpers: Sequence[Process] = ()
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def pids(self) -> list[int]:
        """Everything whose CPU time is the subject's."""
        return [self.guest.qemu.process.pid, *(helper.pid for helper in self.helpers)]

    @property
    def owners(self) -> list[int]:
        """The processes whose own host sockets carry the traffic, where sockets do."""
        return [helper.pid for helper in self.helpers] or [self.guest.qemu.process.pid]

    @property
    def address(self) -> str:
        """Where the guest finds the server."""
        return ways.SERVER.get(self.arm.way, plan.HOST)

    def tap_payload(self) -> Mapping[str, int] | None:
        """Payload that passed this guest's tap so far, by direction; None where it has no tap."""
        name = backend.tap_of(self.guest)
        if name is None:
            return None
        folder = Path("/sys/class/net", name, "statistics")
        counts = {file.name: int(file.read_text()) for file in folder.iterdir()}
        return {
            "g2h": proof.payload(counts["rx_bytes"], counts["rx_packets"]),
            "h2g": proof.payload(counts["tx_bytes"], counts["tx_packets"]),
        }

    def backend_kind(self) -> str:
        """What the monitor shows now."""
        return ", ".join(each.kind for each in backend.backends(self.guest))

    def describe(self) -> dict[str, Any]:
        """For every row: how QEMU was started, and what host and guest negotiated."""
        return {"arm": self.arm.name, "nic": self.arm.nic, "argv": self.guest.qemu.words, **self.facts}

    def look(self) -> None:
        """Wait for the lease and ask for the facts. Raises HarnessError, and TimedOut without a lease."""
        said = self.guest.check(ASK, 12)
        self.facts = {name: rest for name, _, rest in (line.partition(" ") for line in said.splitlines())}
        self.facts["network"] = " ".join(self.guest.monitor.ask("info network").split())
        name = backend.tap_of(self.guest)
        if name:
            self.facts["tun_flags"] = Path(f"/sys/class/net/{name}/tun_flags").read_text().strip()


def boot(bench: Bench, lab: Lab, arms: Sequence[Arm], baseline: Qemu | None) -> list[Subject]:
    """Fresh guests for all arms, a few at a time, booted and not thawed: a template lacks a tap's offloads, and its
    memory is of another kind. Raises HarnessError, Unavailable; guests that were started end with the bench.
    """
    subjects = []
    for arm in arms:
        wiring = ways.wire(arm, lab, bench.identity)
        before = bench.machine
        if arm.is_baseline and baseline:
            bench.machine = replace(before, qemu=baseline)
        try:
            guest = bench.start_cold(Nic(wiring.netdev, arm.nic))
        except HarnessError:
            for helper in wiring.helpers:
                stop(helper)
            raise
        finally:
            bench.machine = before
        subjects.append(Subject(arm, guest, lab.host, wiring.helpers))
    for subject in subjects:
        bench.finish_boot(subject.guest, crowd=len(subjects))
    for subject in subjects:
        subject.look()
    return subjects


def discard(bench: Bench, subjects: Sequence[Subject]) -> None:
    for subject in subjects:
        if subject.guest in bench.guests:
            bench.discard(subject.guest)
        for helper in subject.helpers:
            stop(helper)


def differences(left: Mapping[str, Any], right: Mapping[str, Any]) -> list[str]:
    """What two descriptions of guests do not share, in words; names and addresses of guests are no difference."""
    return [
        f"{name}: {json.dumps(left.get(name))} and {json.dumps(right.get(name))}"
        for name in sorted(left.keys() | right.keys())
        if name not in ("argv", "network", "arm") and left.get(name) != right.get(name)
    ]
