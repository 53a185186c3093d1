"""What a recording says about where and how it was made: everything that may make two of them differ."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from qemunet_tests.doctor import host_facts
from qemunet_tests.host import routes
from qemunet_tests.host.files import MACHINE, read_int
from qemunet_tests.host.machine_identity import machine_id
from qemunet_tests.qemu.accel import Accel
from qemunet_tests.qemu.built_image import Image
from qemunet_tests.qemu.qemu_facts import Qemu
from qemunet_tests.throughput.placement import Placement
from qemunet_tests.throughput.recording_shapes import MeasuredQemu, Session
from qemunet_tests.throughput.variants import Plan


@dataclass(frozen=True)
class RecordedUplink:
    """The interface of the machine's default route, and how fast it says it is; None where it does not say."""

    name: str | None
    mbit_per_second: int | None


def uplink() -> RecordedUplink:
    """To be asked before the lab is entered."""
    name = next((way.interface for way in routes.read().defaults), None)
    speed = read_int(MACHINE, f"/sys/class/net/{name}/speed") if name else None
    return RecordedUplink(name, speed if speed and speed > 0 else None)


def describe_machine() -> dict[str, Any]:
    """The machine as far as it bears on throughput."""
    model = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return {
        **host_facts.describe(),
        "id": machine_id(),
        "processor": model[1] if model else None,
        "governor": _governor(),
    }


def _governor() -> str | None:
    try:
        return Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").read_text().strip()
    except OSError:
        return None


def binary_of(qemu: Path) -> str:
    """What tells a QEMU from the one that was at its place before. Raises OSError."""
    found = qemu.resolve().stat()
    return f"{found.st_size}-{found.st_mtime_ns}"


def describe_qemu(qemu: Qemu) -> MeasuredQemu:
    return MeasuredQemu.model_validate(
        {
            **qemu.describe(),
            "version_line": qemu.version_line,
            "machine": qemu.machine,
            "binary": binary_of(qemu.path),
        }
    )


def describe(
    plan: Plan, qemu: Qemu, image: Image, accel: Accel, placement: Placement, baseline: Qemu | None,
    seed: int, transfer_seconds: int, guest_time: bool,
) -> Session:  # fmt: skip
    """The session's line: all that is known before anything was measured. To be asked before the lab is entered."""
    link = uplink()
    return Session.model_validate(
        {
            "kind": "session",
            "schema": 1,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": describe_machine(),
            "qemu": describe_qemu(qemu),
            "baseline_qemu": describe_qemu(baseline) if baseline else None,
            "accel": accel.describe(),
            "image": image.describe(),
            "placement": placement.describe(),
            "placed": str(placement),
            "arms": [
                {
                    "name": arm.name,
                    "nic": arm.nic,
                    "way": arm.way,
                    "again": arm.is_again,
                    "far_end": "another guest" if arm.between_guests else "the host",
                }
                for arm in plan.arms
            ],
            "pairs": [
                {"nic": pair.lower.nic, "arms": [pair.upper.name, pair.lower.name], "twin": pair.is_twin}
                for pair in plan.pairs
            ],
            "path": "guest to the host that QEMU runs on, one TCP stream that the guest opens",
            "seed": seed,
            "seconds": transfer_seconds,
            "guest_time": guest_time,
            "uplink": {"name": link.name, "mbit_per_second": link.mbit_per_second},
        }
    )
