"""The reaper of a folder: what that of a PID namespace is, for a user who may make no PID namespace on his own machine.

Run as a module with CONTROLLER-PID FOLDER it waits until its owner (its parent) or the run's
controller is gone, ends every program that works in FOLDER, and removes it. The programs themselves ask to die with
the owner, but one that changed its user on the way is not heard.
"""

import contextlib
import os
import secrets
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from qemunet_tests.deadline import Deadline
from qemunet_tests.isolation.reaper import Reaper, on_watch
from qemunet_tests.isolation.syscalls import file_access_as

#: A program whose parent was gone before it asked to go with it is told nothing; so it looks for itself.
UNLESS_ORPHANED = '[ "$PPID" = {owner} ] && exec "$@"'
CLEARING_SECONDS = 10.0
#: The variable with the secret; as many bytes as it has hex digits come to the reaper on its standard input.
MARK = "QEMUNET_RUN"
_DIGITS = 32


class FolderReaper(Reaper):
    """Watches over the programs of one run, and over the folder that the run writes into."""

    def __init__(self, controller_pid: int, folder: Path) -> None:
        self._folder = folder
        self._secret = secrets.token_hex(_DIGITS // 2)
        super().__init__(__name__, str(controller_pid), str(folder), stdin=subprocess.PIPE)
        # Not on its command line, which everybody can read.
        os.write(self._process.stdin.fileno(), self._secret.encode())  # type: ignore[union-attr]

    @property
    def environment(self) -> dict[str, str]:
        """What every program of the run is started with."""
        return {MARK: self._secret}

    def enter(self) -> None:
        """Nothing has to be done for what the calling thread starts."""

    def guarded(self, words: Sequence[str]) -> list[str]:
        """The command line of a program that dies with the thread that starts it."""
        check = UNLESS_ORPHANED.format(owner=os.getpid())
        return ["setpriv", "--pdeathsig", "KILL", "--", "sh", "-c", check, "sh", *words]

    def with_own_proc(self, words: Sequence[str]) -> list[str]:
        """The same: all have the machine's numbers."""
        return self.guarded(words)

    def keeps(self) -> list[int]:
        """The programs of the run."""
        return _of_the_run(self._secret)

    def close(self) -> None:
        """End every program of the run, and remove the folder; where the reaper was killed, in its place."""
        with contextlib.suppress(BrokenPipeError):
            self._process.communicate()
        if self._folder.exists():
            _clear_up(self._folder, self._secret)


def _of_the_run(secret: str) -> list[int]:
    return [pid for pid in _all_pids() if _is_of_the_run(pid, secret)]


def _all_pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _is_of_the_run(pid: int, secret: str) -> bool:
    """Whether a process has the run's secret; one that ended meanwhile, or may not be asked, has not."""
    process = Path(f"/proc/{pid}")
    with contextlib.suppress(OSError):
        found = process.stat()
        # A container's root may not look into processes of others, which run for him all the same.
        with file_access_as(found.st_uid, found.st_gid) if os.geteuid() == 0 else contextlib.nullcontext():
            words = (process / "environ").read_bytes().split(b"\0")
        return f"{MARK}={secret}".encode() in words and pid != os.getpid()
    return False


def _take_care(controller_pid: int, folder: Path) -> None:
    secret = os.read(sys.stdin.fileno(), _DIGITS).decode()
    watched = on_watch(controller_pid)
    # Where one is gone already there is only the clearing up.
    if watched is not None:
        # The owner closes our standard input when it is done.
        select.select([*watched, sys.stdin], [], [])
    _clear_up(folder, secret)


def _clear_up(folder: Path, secret: str) -> None:
    # More than once: what is being started just now has its environment not yet.
    if secret:
        Deadline(CLEARING_SECONDS, "the run's programs to end").sees(lambda: not _end_all(secret))
    shutil.rmtree(folder, ignore_errors=True)


def _end_all(secret: str) -> list[int]:
    """End what is of the run, and say what that was."""
    found = []
    for pid in _all_pids():
        # Held on to before it is asked, so that no other is ended that gets its number.
        with contextlib.suppress(OSError):
            process = os.pidfd_open(pid)
            try:
                if _is_of_the_run(pid, secret):
                    signal.pidfd_send_signal(process, signal.SIGKILL)
                    found.append(pid)
            finally:
                os.close(process)
    return found


if __name__ == "__main__":
    _take_care(int(sys.argv[1]), Path(sys.argv[2]))
