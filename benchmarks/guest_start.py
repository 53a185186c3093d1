"""How long a fresh guest takes: booted cold, thawed from a template, and by virtme-ng where that is installed.

    ./bootstrap python benchmarks/guest_start.py [--rounds N] [--accel tcg|kvm] [--qemu PATH]

Prints JSON alone on standard output (its shape: docs/report.md). The arms take turns, so that whatever else the
machine does meets all of them; compare ratios of one run, never seconds of two. It records and never fails by time.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import virtme_arm

from qemunet_tests import images, workbench
from qemunet_tests.guest import ssh
from qemunet_tests.guest.bench import Bench, BenchEvents
from qemunet_tests.guest.guest import Guest
from qemunet_tests.isolation import namespaces
from qemunet_tests.modes.user import UserNetdev
from qemunet_tests.qemu import accel, qemu_facts
from qemunet_tests.qemu.guest_machine import GuestMachine
from qemunet_tests.qemu.netdev import Nic

NICS = ("virtio-net-pci", "e1000")
#: How many guests are alive at once when memory is compared.
CROWD = 8
FORWARD = UserNetdev(hostfwd=("tcp:127.0.0.1:2222-:22",))
#: Somebody else's way to come by a guest, which brings its sample with it.
Other = Callable[[Bench], dict[str, Any]]


@dataclass(frozen=True)
class Arm:
    """One way to come by a guest."""

    name: str
    cold: bool

    def guest(self, bench: Bench, model: str, netdev: UserNetdev) -> Guest:
        return bench.boot(Nic(netdev, model), cold=self.cold)


ARMS = (Arm("cold", True), Arm("thawed", False))


def seconds_to_lease(bench: Bench, arm: Arm, model: str) -> dict[str, float]:
    """From the start of QEMU's process: until it takes commands, and until its DHCP client has a lease."""
    guest = arm.guest(bench, model, UserNetdev())
    running = time.monotonic() - guest.started_seconds
    guest.await_lease(0, 30)
    lease = time.monotonic() - guest.started_seconds
    bench.discard(guest)
    return {"running": round(running, 3), "lease": round(lease, 3)}


def seconds_to_ssh(bench: Bench, arm: Arm, model: str, key: ssh.SshKey) -> float:
    """From the start of QEMU's process until a first command was answered over SSH through a forward."""
    guest = arm.guest(bench, model, FORWARD)
    key.admit_to(guest)
    answer = ssh.ask(key, bench.station, "127.0.0.1", 2222, "hostname", guest.pace.seconds(10))
    if not answer.succeeded:
        raise SystemExit(f"no SSH to a guest started {arm.name}: {answer.complaint}")
    seconds = time.monotonic() - guest.started_seconds
    bench.discard(guest)
    return round(seconds, 3)


def memory_mb(bench: Bench, arm: Arm) -> float:
    """The memory that a crowd of guests costs together, each page counted once (PSS)."""
    guests = [arm.guest(bench, NICS[0], UserNetdev()) for _ in range(CROWD)]
    for guest in guests:
        guest.await_lease(0, 30)
    total_kib = sum(_pss_kib(guest.qemu.process.pid) for guest in guests)
    for guest in guests:
        bench.discard(guest)
    return round(total_kib / 1024, 1)


def _pss_kib(pid: int) -> int:
    rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(row.split()[1]) for row in rows if row.startswith("Pss:"))


def median(samples: list[dict[str, Any]], arm: str, nic: str, what: str) -> float | None:
    found = [each["seconds"][what] for each in samples if (each["arm"], each["nic"]) == (arm, nic)]
    found = [seconds for seconds in found if seconds is not None]
    return statistics.median(found) if found else None


def ratio(upper: float | None, lower: float | None) -> float | None:
    return round(upper / lower, 2) if upper and lower else None


def measure(bench: Bench, rounds: int, others: list[Other]) -> dict[str, Any]:
    """Every arm in turn, `rounds` times; `others` after ours."""
    key, samples = ssh.SshKey.generate(), list[dict[str, Any]]()
    for model in NICS:  # templates are made here, so that no sample pays for them
        bench.discard(bench.boot(Nic(UserNetdev(), model)))
    for number in range(rounds):
        for model in NICS:
            for arm in ARMS:
                print(f"round {number + 1} of {rounds}: {arm.name} {model}", file=sys.stderr)
                lease = seconds_to_lease(bench, arm, model)
                seconds = {**lease, "ssh": seconds_to_ssh(bench, arm, model, key)}
                samples.append({"arm": arm.name, "nic": model, "seconds": seconds, "pss_mb": None})
        samples += [other(bench) for other in others]
    memory = {arm.name: memory_mb(bench, arm) for arm in ARMS}
    for arm in ARMS:
        untimed = {"running": None, "lease": None, "ssh": None}
        each_mb = round(memory[arm.name] / CROWD, 1)
        samples.append({"arm": arm.name, "nic": NICS[0], "seconds": untimed, "pss_mb": each_mb})
    return {
        "samples": samples,
        "ratios": {nic: ratios(samples, nic) for nic in NICS},
        "memory": {"thawed_over_cold": ratio(memory["thawed"], memory["cold"])},
    }


def ratios(samples: list[dict[str, Any]], nic: str) -> dict[str, float | None]:
    """Ratios of medians."""
    lease = {arm: median(samples, arm, nic, "lease") for arm in ("cold", "thawed", virtme_arm.NAME)}
    return {
        "cold_over_thawed_lease": ratio(lease["cold"], lease["thawed"]),
        "cold_over_thawed_ssh": ratio(median(samples, "cold", nic, "ssh"), median(samples, "thawed", nic, "ssh")),
        "virtme_over_thawed_lease": ratio(lease[virtme_arm.NAME], lease["thawed"]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--accel", default="tcg", choices=["auto", "kvm", "tcg"])
    parser.add_argument("--qemu")
    arguments = parser.parse_args()
    image, qemu = images.ensure(), qemu_facts.find(arguments.qemu)
    with tempfile.TemporaryDirectory() as folder:
        packages = virtme_arm.fetch(image, Path(folder))
        namespaces.enter()
        kernel = virtme_arm.lay_out(packages)
    machine = GuestMachine(qemu, image, accel.choose(arguments.accel, qemu, image))
    events = BenchEvents(note=lambda sentence: print(sentence, file=sys.stderr))
    with workbench.in_a_lab(machine, events) as (bench, _):
        measured = measure(bench, arguments.rounds, virtme_arm.arms(bench, kernel))
    print(json.dumps({"schema": 1, "accel": machine.accel.used, "qemu": qemu.version, **measured}, indent=1))


if __name__ == "__main__":
    main()
