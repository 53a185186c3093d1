"""Saving what a QEMU keeps into a disk, and loading it from there."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qemunet_tests.deadline import Deadline
from qemunet_tests.errors import HarnessError

if TYPE_CHECKING:
    from qemunet_tests.qemu.qmp import Monitor

JOB_SECONDS = 20.0
DISK, TAG = "saved", "once"
DISK_BYTES = 1 << 20


def add_disk(monitor: "Monitor", file: Path) -> None:
    """Give a QEMU a disk that can hold its state; QEMU makes the file. Raises HarnessError, TimedOut."""
    _job(monitor, "blockdev-create", options={"driver": "file", "filename": str(file), "size": 0})
    _add_node(monitor, "file", driver="file", filename=str(file))
    _job(monitor, "blockdev-create", options={"driver": "qcow2", "file": "file", "size": DISK_BYTES})
    _add_node(monitor, DISK, driver="qcow2", file="file")


def save(monitor: "Monitor") -> None:
    """Save all of QEMU's state into that disk. Raises HarnessError, TimedOut."""
    _job(monitor, "snapshot-save", tag=TAG, vmstate=DISK, devices=[DISK])


def load(monitor: "Monitor") -> None:
    """Go on from what was saved. Raises HarnessError, TimedOut."""
    _job(monitor, "snapshot-load", tag=TAG, vmstate=DISK, devices=[DISK])
    if not monitor.execute("query-status")["running"]:
        monitor.execute("cont")


def _add_node(monitor: "Monitor", name: str, **arguments: Any) -> None:
    spelled: dict[str, Any] = {"node-name": name, **arguments}
    monitor.execute("blockdev-add", **spelled)


def _job(monitor: "Monitor", command: str, **arguments: Any) -> None:
    spelled: dict[str, Any] = {"job-id": command, **arguments}
    monitor.execute(command, **spelled)
    Deadline(JOB_SECONDS, f"{command} to be done").wait_until(lambda: _is_done(monitor, command))
    monitor.execute("job-dismiss", id=command)


def _is_done(monitor: "Monitor", name: str) -> bool:
    """Raises HarnessError where it has failed."""
    job = next(each for each in monitor.execute("query-jobs") if each["id"] == name)
    if "error" in job:
        raise HarnessError(f"QEMU's {name}: {job['error']}")
    return bool(job["status"] == "concluded")
