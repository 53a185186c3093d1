"""The passt that a QEMU has started itself: its process, and what QEMU says of it."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from qemunet_tests.deadline import Deadline
from qemunet_tests.observe.backends import said_of

if TYPE_CHECKING:
    # scapy reads the machine's interfaces when it is imported: not before the lab has been entered.
    from qemunet_tests.guest.peer import Peer

_CONNECTED = re.compile(r"connected to pid (\d+)")
CHANGE_SECONDS = 20.0


def named_pid(peer: "Peer") -> int | None:
    """The process that `info network` names, by the number that it has for QEMU."""
    found = _CONNECTED.search(said_of(peer, "net0") or "")
    return int(found[1]) if found else None


def process_of(peer: "Peer") -> int | None:
    """The number that this process has for us; None where there is none of that number where QEMU runs."""
    pid = named_pid(peer)
    if peer.qemu is None or pid is None:
        return None
    its_namespace = Path(f"/proc/{peer.qemu.process.pid}/ns/pid").readlink()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            numbers = re.search(r"^NSpid:\s*(.*)$", (folder / "status").read_text(), re.MULTILINE)
            if numbers and numbers[1].split()[-1] == str(pid) and (folder / "ns/pid").readlink() == its_namespace:
                return int(folder.name)
        except OSError:  # it has ended meanwhile, or is not ours to look at
            continue
    return None


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


def says(peer: "Peer", words: str) -> bool:
    """Whether QEMU, or its passt, writes these words on standard error, waited for."""
    qemu = peer.qemu
    return qemu is not None and Deadline(CHANGE_SECONDS, words).sees(lambda: words in qemu.said, interval_seconds=0.1)
