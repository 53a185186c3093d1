"""What two recordings differ in besides their numbers. A comparison is valid only where all of it was asked for."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from qemunet_tests.throughput.recording import Recording

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
    "mtu": "another MTU in the guest",
    "offloads": "other offloads between guest and backend",
    "driver": "another driver or kernel in the guest",
    "congestion": "another congestion control",
    "any": "all of these",
}
#: What differs between two guests of one configuration.
OF_ONE_GUEST = re.compile(r"fd=\d+|guest-\d+|mac=[0-9a-f:]+|ifname=\w+|/dev/shm/[\w.-]+|/[\w/.-]*/passt-\d+")


@dataclass(frozen=True)
class Difference:
    """One thing that is not the same. `where` names arm and NIC, empty for the session as a whole."""

    factor: str
    where: str
    before: str
    after: str

    def __str__(self) -> str:
        place = f" of {self.where}" if self.where else ""
        return f"{self.factor}{place}: {self.before} -> {self.after}"


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
    return sorted(found, key=lambda each: (list(FACTORS).index(each.factor), each.where))


def _session(said: Mapping[str, Any]) -> dict[str, Any]:
    machine, qemu = said["machine"], said["qemu"]
    return {
        "machine": [machine.get(name) for name in ("id", "processor", "cpus", "architecture")],
        "kernel": machine.get("kernel"),
        "qemu": [qemu.get(name) for name in ("version_line", "slirp", "binary")],
        "accel": said["accel"].get("used"),
        "image": said["image"].get("digest"),
        "placement": said["placement"],
        "method": [said.get("seconds"), said.get("guest_time"), said.get("path")],
    }


def _guests(recording: Recording) -> dict[str, Mapping[str, Any]]:
    return {f"{run['arm']} {run['nic']}": run["guest"] for run in recording.runs if run.get("guest")}


def _of_guests(where: str, left: Mapping[str, Any], right: Mapping[str, Any]) -> Iterator[Difference]:
    for factor, names in {
        "mtu": ("mtu",),
        "offloads": ("features", "tun_flags"),
        "driver": ("driver", "kernel"),
        "congestion": ("congestion",),
        "iperf3": ("iperf3",),
    }.items():
        for name in names:
            if left.get(name) != right.get(name):
                yield Difference(factor, where, f"{name} {left.get(name)}", str(right.get(name)))
    words = [[OF_ONE_GUEST.sub("", word) for word in each.get("argv", [])[1:]] for each in (left, right)]
    if words[0] != words[1]:
        only = [" ".join(word for word in words[n] if word not in words[1 - n]) or "-" for n in (0, 1)]
        yield Difference("arguments", where, only[0], only[1])


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
