"""What a run has on this machine while it lasts, and what it leaves behind: measured, whoever else is busy here.

A run's processes bear a mark in their environment, which every program inherits from the one that starts it; one
that hides its environment is known by the namespaces it is in. A namespace lives while a process is in it or holds
it open, or while it is mounted. Files are told by their owner: a group that nobody else has where we are root, else
our own user.
"""

import contextlib
import os
import secrets
import signal
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from meta_tests.user_accounts import CHECKOUT, Account
from qemunet_tests.deadline import Deadline

MARK = "QEMUNET_META_RUN"
TEMPORARY = (Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"))
NAMESPACES = ("net", "mnt", "pid", "user")
#: What these tests themselves keep for a run.
FOLDER_PREFIX = "qemunet-meta-"
LIMIT_SECONDS = 5.0


@dataclass(frozen=True)
class Seen:
    """A process, as /proc showed it."""

    pid: int
    parent: int
    words: tuple[str, ...]
    #: Since the machine was started, in clock ticks: tells a process from a later one of the same number.
    started: int

    def __str__(self) -> str:
        return f"process {self.pid}: {' '.join(self.words)[:120]}"

    @property
    def is_guest(self) -> bool:
        return any(word.startswith("guest-") for word in self.words)

    @property
    def is_reaper(self) -> bool:
        return "qemunet_tests.isolation.pid_namespace" in self.words


def processes_of_the_machine() -> list[Path]:
    return [folder for folder in Path("/proc").iterdir() if folder.name.isdigit()]


def namespaces_of(process: Path) -> set[str]:
    """The namespaces that a process is in or holds open, for instance `net:[4026531840]`."""
    links = [process / "ns" / kind for kind in NAMESPACES]
    with contextlib.suppress(OSError):
        links += (process / "fd").iterdir()
    found = set()
    for link in links:
        with contextlib.suppress(OSError):
            found.add(str(link.readlink()))
    return {name for name in found if name.partition(":")[0] in NAMESPACES}


def seen(folder: Path) -> Seen | None:
    """None for a process that is gone, or that waits to be buried."""
    try:
        words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
        state, parent, *rest = (folder / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if state == "Z" else Seen(int(folder.name), int(parent), tuple(words), int(rest[17]))


def mounts() -> set[str]:
    """What is mounted where in our own mount namespace."""
    rows = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return {f"{row[row.index('-') + 2]} on {row[4]}" for row in rows}


def links() -> set[str]:
    """The network interfaces of our own network namespace."""
    return {line.split(":")[0].strip() for line in Path("/proc/self/net/dev").read_text().splitlines() if ":" in line}


class Run:
    """A command that is run by an account, in a process group of its own, and watched."""

    def __init__(self, words: Sequence[str], account: Account, folder: Path, **environment: str) -> None:
        self._mark = f"{MARK}={secrets.token_hex(8)}"
        self._account = account
        self._folder = folder
        self._noted: set[Seen] = set()
        self._before = (mounts(), links(), self._files())
        marked = dict([self._mark.split("=")])
        # Guests of a root run belong to whoever called sudo.
        sudo = {"SUDO_UID": "65534", "SUDO_GID": str(account.group)} if account.uid == 0 else {}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                # Whoever runs these tests in the background may have us ignore SIGINT, and all that we start.
                ["env", "--default-signal=INT", *account.prefix, *words],
                cwd=CHECKOUT,
                env={**account.environment, **sudo, **environment, **marked},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def log(self) -> Path:
        return self._folder / "output"

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def processes(self) -> list[Seen]:
        """Everything that lives and belongs to the run."""
        return [process for folder in processes_of_the_machine() if (process := seen(folder)) and self._has(process)]

    def _has(self, process: Seen) -> bool:
        if process in self._noted:
            return True
        with contextlib.suppress(OSError):
            return self._mark.encode() in Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0")
        return False

    def below(self, pid: int) -> list[Seen]:
        """A process of the run and all its descendants."""
        seen = self.processes()
        found = [process for process in seen if process.pid == pid]
        for ancestor in found:
            found += [process for process in seen if process.parent == ancestor.pid]
        return found

    def namespaces(self) -> set[str]:
        """The namespaces that exist because of the run."""
        present = [namespaces_of(Path(f"/proc/{process.pid}")) for process in self.processes()]
        return set().union(*present) - namespaces_of(Path("/proc/self"))

    def note(self) -> None:
        """Remember whoever is in the run's namespaces now. A namespace's number may be another's later."""
        ours = self.namespaces()
        for folder in processes_of_the_machine():
            if namespaces_of(folder) & ours and (process := seen(folder)):
                self._noted.add(process)

    def leftovers(self) -> list[str]:
        """What there still is of the run, in words."""
        left = [str(process) for process in self.processes()]
        left += [f"namespace {name}" for name in self.namespaces()]
        before_mounts, before_links, before_files = self._before
        left += [f"mount of {mount}" for mount in mounts() - before_mounts]
        left += [f"interface {link}" for link in links() - before_links]
        return left + [f"file {path}" for path in self._files() - before_files]

    def _files(self) -> set[Path]:
        return {path for folder in TEMPORARY for path in self._own(folder, depth=2)}

    def _own(self, folder: Path, depth: int) -> Iterator[Path]:
        with contextlib.suppress(OSError):
            for path in folder.iterdir():
                if path.name.startswith(FOLDER_PREFIX):
                    continue
                with contextlib.suppress(OSError):
                    if self._owns(path):
                        yield path
                    elif depth > 1 and path.is_dir() and not path.is_symlink():
                        yield from self._own(path, depth - 1)

    def _owns(self, path: Path) -> bool:
        status = path.lstat()
        return status.st_gid == self._account.group if os.geteuid() == 0 else status.st_uid == self._account.uid

    def leaves_nothing(self, within_seconds: float = LIMIT_SECONDS) -> bool:
        """Whether nothing is left of the run in time."""
        vanishing = Deadline(within_seconds, "the run to vanish")
        return vanishing.sees(lambda: not self.leftovers(), interval_seconds=0.2)

    def end(self) -> None:
        """Kill whatever is left: all of it bears our mark."""
        for _ in range(3):
            for process in self.processes():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
        self.process.wait()
