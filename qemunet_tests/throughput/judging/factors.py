"""What two recordings differ in besides their numbers. A comparison is valid only where all of it was asked for."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from qemunet_tests.throughput.judging import offloads
from qemunet_tests.throughput.recording import Recording
from qemunet_tests.throughput.recording_shapes import MeasuredGuest, Session

#: Words that `--factor` takes, and what each stands for.
FACTORS = {
    "machine": "another machine, processor or number of CPUs",
    "kernel": "another kernel on the same machine",
    "qemu": "another QEMU or libslirp",
    "accel": "another accelerator",
    "image": "another guest image",
    "iperf3": "another iperf3",
    "placement": "other CPUs",
    "method": "another length of transfers, another lane or path",
    "arguments": "another command line of QEMU",
    "mtu": "another MTU in the guest or on its path",
    "offloads": "other offloads between guest and backend",
    "qdisc": "another queue discipline on the guest's tap",
    "driver": "another driver or kernel in the guest",
    "congestion": "another congestion control",
    "any": "all of these",
}
#: What differs between two guests of one configuration.
OF_ONE_GUEST = re.compile(
    r"fd=\d+|guest-\d+|addr\.port=\d+|mac=[0-9a-f:]+|ifname=\w+|/dev/shm/[\w.-]+|/[\w/.-]*/passt-\d+"
)

#: What rows say of the path on the host: the factor that it is, and how it is called.
ON_PATH = {
    "tap_mtu": ("mtu", "MTU of the tap"),
    "bridge_mtu": ("mtu", "MTU of the bridge"),
    "mss": ("mtu", "bytes in a TCP segment"),
    "qdisc": ("qdisc", "on the tap"),
}


@dataclass(frozen=True)
class Difference:
    """One thing that is not the same. `where` names arm and NIC, empty for the session as a whole."""

    factor: str
    where: str
    before: str
    after: str

    @property
    def name(self) -> str:
        return f"{self.factor} of {self.where}" if self.where else self.factor

    def __str__(self) -> str:
        return f"{self.name}: {self.before} -> {self.after}"


def differences(before: Recording, after: Recording) -> list[Difference]:
    """Everything that is not the same, each once."""
    sessions = _session(before.session), _session(after.session)
    found = [
        Difference(factor, "", _text(sessions[0][factor]), _text(sessions[1][factor]))
        for factor in sessions[0]
        if sessions[0][factor] != sessions[1][factor]
    ]
    left, right = _guests(before), _guests(after)
    for where in left.keys() & right.keys():
        found += _of_guests(where, left[where], right[where])
    passed, passes = _paths(before), _paths(after)
    for where in passed.keys() & passes.keys():
        found += _of_paths(where, passed[where], passes[where])
    return sorted(found, key=lambda each: (list(FACTORS).index(each.factor), each.where))


def _session(said: Session) -> dict[str, Any]:
    machine, qemu = said.machine, said.qemu
    return {
        "machine": [machine.id, machine.processor, machine.cpus, machine.architecture],
        "kernel": machine.kernel,
        "qemu": [qemu.version_line, qemu.slirp, qemu.binary],
        "accel": said.accel.used,
        "image": said.image.digest,
        "placement": said.placement.model_dump(),
        "method": [said.seconds, said.guest_time, said.path],
    }


def _guests(recording: Recording) -> dict[str, MeasuredGuest]:
    return {f"{run.arm} {run.nic}": run.guest for run in recording.runs if run.guest}


def _paths(recording: Recording) -> dict[str, dict[str, str]]:
    """For every arm and NIC all that any row found on its path."""
    found: dict[str, dict[str, set[str]]] = {}
    for run in recording.runs:
        names = found.setdefault(f"{run.arm} {run.nic}", {})
        for name, value in (run.on_path.model_dump(exclude_unset=True) if run.on_path else {}).items():
            names.setdefault(name, set()).add(str(value))
    return {
        where: {name: ", ".join(sorted(values)) for name, values in names.items()} for where, names in found.items()
    }


def _of_paths(where: str, left: Mapping[str, str], right: Mapping[str, str]) -> Iterator[Difference]:
    """What an older recording did not ask for is no difference."""
    for name, (factor, words) in ON_PATH.items():
        if name in left and name in right and left[name] != right[name]:
            yield Difference(factor, where, f"{words} {left[name]}", right[name])


def _of_guests(where: str, left: MeasuredGuest, right: MeasuredGuest) -> Iterator[Difference]:
    for factor, name in {
        "mtu": "mtu",
        "driver": "driver",
        "kernel": "kernel",
        "congestion": "congestion",
        "iperf3": "iperf3",
    }.items():
        before, after = getattr(left, name), getattr(right, name)
        if before != after:
            kind = "driver" if factor == "kernel" else factor
            yield Difference(kind, where, f"{name} {before}", str(after))
    if left.features != right.features:
        yield Difference("offloads", where, *offloads.changed(left.features, right.features))
    if left.tun_flags != right.tun_flags:
        flags = [offloads.spelled(each.tun_flags) for each in (left, right)]
        yield Difference("offloads", where, *flags)
    for words in ("argv", "far_argv"):
        said = [[OF_ONE_GUEST.sub("", word) for word in (getattr(each, words) or [])[1:]] for each in (left, right)]
        if said[0] != said[1]:
            only = [" ".join(word for word in said[n] if word not in said[1 - n]) or "-" for n in (0, 1)]
            yield Difference("arguments", where, only[0], only[1])


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
