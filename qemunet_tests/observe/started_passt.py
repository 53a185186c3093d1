"""The passt that a QEMU has started itself: its process, and what QEMU says of it."""

import contextlib
import os
import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from qemunet_tests.deadline import Deadline
from qemunet_tests.errors import HarnessError

if TYPE_CHECKING:
    # scapy reads the machine's interfaces when it is imported: not before the lab has been entered.
    from qemunet_tests.guest.peer import Peer

_CONNECTED = re.compile(r"connected to pid (\d+)")
CHANGE_SECONDS = 20.0
#: It goes into a namespace of its own when it is called already.
SETTLING_SECONDS = 3.0


def named_pid(peer: "Peer") -> int | None:
    """The process that `info network` names, by the number that it has for QEMU."""
    # Only a backend that QEMU has started a passt for is `connected to pid`.
    said = peer.qemu.monitor.ask("info network") if peer.qemu else ""
    found = _CONNECTED.search(said)
    return int(found[1]) if found else None


def process_of(peer: "Peer") -> int | None:
    """The number that this process has for us; None where there is none of that number where QEMU runs."""
    pid = named_pid(peer)
    if peer.qemu is None or pid is None:
        return None
    qemus = peer.qemu.process.pid
    # It has gone into a namespace of its own, in which it is the first: one number more than QEMU has, at most.
    level, its_namespace = len(_numbers(qemus)) - 1, _pid_namespace(qemus)
    every = (int(folder.name) for folder in Path("/proc").glob("[0-9]*"))
    return next((each for each in every if _is(each, pid, level, its_namespace)), None)


def _is(process: int, pid: int, level: int, namespace: Path) -> bool:
    """Whether a process has that number at that level, beside others of that namespace."""
    with contextlib.suppress(OSError):  # it has ended meanwhile, or is not ours to look at
        numbers = _numbers(process)
        if len(numbers) > level and numbers[level] == pid:
            return namespace in (_pid_namespace(process), _pid_namespace(int(_field(process, "PPid"))))
    return False


def _numbers(process: int) -> list[int]:
    return [int(number) for number in _field(process, "NSpid").split()]


def _field(process: int, name: str) -> str:
    status = Path(f"/proc/{process}/status").read_text()
    return next(line.partition(":")[2].strip() for line in status.splitlines() if line.startswith(f"{name}:"))


def _pid_namespace(process: int) -> Path:
    return Path(f"/proc/{process}/ns/pid").readlink()


def kill(peer: "Peer") -> None:
    """End it without warning. Raises HarnessError where there is none."""
    found = list[int]()

    def is_there() -> bool:
        found.extend(filter(None, [process_of(peer)]))
        return bool(found)

    if not Deadline(SETTLING_SECONDS, "passt to be where it stays").sees(is_there, interval_seconds=0.05):
        raise HarnessError("QEMU names no passt that runs beside it")
    process = found[-1]
    os.kill(process, signal.SIGKILL)


def program_of(pid: int) -> Path:
    """What a process runs."""
    return Path(f"/proc/{pid}/exe").readlink()


def is_gone(pid: int) -> bool:
    """Whether a process ends, waited for: one that nobody has asked for its status counts as ended."""

    def ended() -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
        except OSError:
            return True

    return Deadline(CHANGE_SECONDS, "the end of passt").sees(ended)


def another_pid(peer: "Peer", before: int | None) -> int | None:
    """The process that `info network` names once that is another than before; None where it stays the same."""
    found: list[int | None] = []

    def changed() -> bool:
        found[:] = [named_pid(peer)]
        return found[0] not in (None, before)

    return found[0] if Deadline(CHANGE_SECONDS, "another passt").sees(changed, interval_seconds=0.1) else None


def aborted_over_its_frames(peer: "Peer") -> bool:
    """Whether QEMU has ended because somebody had read before it what its passt sent."""
    qemu = peer.qemu
    # What it says of an assertion that failed names the function.
    return qemu is not None and qemu.how_it_ended() == "killed by SIGABRT" and "net_fill_rstate" in qemu.said


def says(peer: "Peer", words: str) -> bool:
    """Whether QEMU, or its passt, writes these words on standard error, waited for."""
    qemu = peer.qemu
    return qemu is not None and Deadline(CHANGE_SECONDS, words).sees(lambda: words in qemu.said, interval_seconds=0.1)
