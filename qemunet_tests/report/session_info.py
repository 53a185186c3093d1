"""What a session learned about the machine and spent on it, apart from verdicts."""

import os
import shlex
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from qemunet_tests.host.machine_identity import machine_id, machine_name
from qemunet_tests.host.system import os_release

GUEST_KINDS = ("booted", "thawed", "peers")
PHASES = ("image", "templates", "tests")


def _no_guests() -> dict[str, int]:
    return dict.fromkeys(GUEST_KINDS, 0)


def _no_seconds() -> dict[str, float]:
    return dict.fromkeys(PHASES, 0.0)


@dataclass
class SessionFacts:
    """One process's share; fixtures fill it.

    `host`: kernel, distribution, cpus and more. `image`: name, digest. `qemu`: path, version, slirp, and builds of
    the caller's own in it; `passt`: the same of his passt. `network`: of target `host`. `accel`: used, reason. `guests`
    counts. `phases` are seconds. `notes` are sentences for the end of the report card; `faults` as well, of what the
    bench itself did wrong, besides any verdict.
    """

    host: dict[str, Any] = field(default_factory=dict)
    image: dict[str, str] = field(default_factory=dict)
    qemu: dict[str, Any] = field(default_factory=dict)
    passt: dict[str, Any] = field(default_factory=dict)
    network: dict[str, str | None] = field(default_factory=dict)
    accel: dict[str, Any] = field(default_factory=dict)
    guests: dict[str, int] = field(default_factory=_no_guests)
    phases: dict[str, float] = field(default_factory=_no_seconds)
    notes: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def note(self, sentence: str) -> None:
        """Say something once, however often it happens."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def fault(self, sentence: str) -> None:
        """The bench did something wrong that no test is to blame for: the session is not what it should be."""
        if sentence not in self.faults:
            self.faults.append(sentence)

    def as_dict(self) -> dict[str, Any]:
        """Plain data, as it travels between processes."""
        return asdict(self)

    def count(self, kind: str) -> None:
        """One more guest was made: `booted`, `thawed`, or a peer."""
        self.guests[kind] += 1

    @property
    def empty(self) -> bool:
        return self == SessionFacts()


def merged(shares: Iterable[SessionFacts]) -> SessionFacts:
    """All processes together.

    The first that knows the machine describes it. Guests add up. Phases are the longest, because processes
    prepare side by side.
    """
    whole = SessionFacts()
    for share in shares:
        whole.host = whole.host or share.host
        whole.image = whole.image or share.image
        whole.qemu = whole.qemu or share.qemu
        whole.passt = whole.passt or share.passt
        whole.network = whole.network or share.network
        whole.accel = whole.accel or share.accel
        for kind, count in share.guests.items():
            whole.guests[kind] = whole.guests.get(kind, 0) + count
        for phase, seconds in share.phases.items():
            whole.phases[phase] = max(whole.phases.get(phase, 0.0), seconds)
        for sentence in share.notes:
            whole.note(sentence)
        for sentence in share.faults:
            whole.fault(sentence)
    return whole


def version() -> str | None:
    """qemunet's own; None where it was not installed."""
    try:
        return metadata.version("qemunet")
    except metadata.PackageNotFoundError:
        return None


def command() -> str:
    """How the session was started, as somebody would type it again."""
    program, *words = sys.argv
    return shlex.join([_called(Path(program)), *words])


def _called(program: Path) -> str:
    """What Python runs by `-m` is known by its package: ours bears another name than its command."""
    if program.name != "__main__.py":
        return program.name
    return "qemunet" if program.parent.name == "qemunet_tests" else program.parent.name


def this_host() -> dict[str, Any]:
    """What can be said about the machine without asking it anything difficult."""
    return {
        "id": machine_id(),
        "name": machine_name(),
        "kernel": os.uname().release,
        "distribution": os_release().get("PRETTY_NAME", "an unnamed distribution"),
        "architecture": os.uname().machine,
        "cpus": len(os.sched_getaffinity(0)),
        "memory_mb": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20,
    }
