"""The reaper of a PID namespace: nothing that a run starts outlives it, whatever ends it.

Run as a module with CONTROLLER-PID it makes a PID namespace whose first process it holds on to.
Everything the run starts is put into that namespace, and the kernel kills all of it with its first process. The
reaper ends, and takes that process along, when its owner (its parent) or the run's controller is gone; an owner
that has lost its controller is killed too, because it would go on for many seconds. A reaper that is itself ended
takes along what it keeps, and its owner learns of it when it starts the next program.
"""

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from qemunet_tests.errors import HarnessError
from qemunet_tests.isolation.reaper import Reaper, on_watch
from qemunet_tests.isolation.syscalls import CLONE_NEWPID, die_with_parent, setns, unshare

#: A container that hides parts of /proc lets nobody have one of his own: he goes on with the machine's.
OWN_PROC = 'mount -t proc proc /proc 2>/dev/null; exec "$@"'


class PidNamespace(Reaper):
    """Owns the PID namespace of one worker. `namespace` is its file descriptor. Where it has `ended`, all is gone."""

    def __init__(self, controller_pid: int) -> None:
        super().__init__(__name__, str(controller_pid), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        first = self._first_process()
        self.namespace = os.open(f"/proc/{first}/ns/pid", os.O_RDONLY)

    def _first_process(self) -> int:
        answer = self._process.stdout.readline() if self._process.stdout else b""
        if not answer:
            raise HarnessError(f"the reaper ended with status {self._process.wait()} before it kept anything")
        return int(answer)

    def enter(self) -> None:
        """What the calling thread starts from now on is kept."""
        setns(self.namespace, CLONE_NEWPID)

    @property
    def environment(self) -> dict[str, str]:
        """Nothing has to tell what is kept from what is not."""
        return {}

    def guarded(self, words: Sequence[str]) -> list[str]:
        """The command line of a program that is to be kept."""
        return list(words)

    def with_own_proc(self, words: Sequence[str]) -> list[str]:
        """The same of one that looks itself up in /proc by its number, which is another in the machine's."""
        return ["unshare", "--mount", "--", "sh", "-c", OWN_PROC, "sh", *self.guarded(words)]

    def keeps(self) -> list[int]:
        """The ids of all processes in the namespace, as they are seen from outside."""
        ours = os.fstat(self.namespace).st_ino
        processes = [folder for folder in Path("/proc").iterdir() if folder.name.isdigit()]
        return [int(folder.name) for folder in processes if _pid_namespace(folder) == ours]

    def close(self) -> None:
        """End the reaper and, with it, every process it keeps."""
        os.close(self.namespace)
        self._process.kill()
        self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()


def _pid_namespace(process: Path) -> int | None:
    """None for a process that is gone, or another user's."""
    try:
        return (process / "ns/pid").stat().st_ino
    except OSError:
        return None


def _keep(controller_pid: int) -> None:
    watched = on_watch(controller_pid)
    if watched is None:
        return
    owner, controller = watched
    reaper = os.pidfd_open(os.getpid())
    unshare(CLONE_NEWPID)
    first = os.fork()
    if first == 0:
        _be_first(reaper)
        os._exit(0)
    os.write(sys.stdout.fileno(), f"{first}\n".encode())
    child = os.pidfd_open(first)
    gone, _, _ = select.select([owner, controller, child], [], [])
    if controller in gone and owner not in gone:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(owner, signal.SIGKILL)
    if child not in gone:
        os.kill(first, signal.SIGKILL)


def _be_first(reaper: int) -> None:
    """Be process 1: die with the reaper, and wait for orphans."""
    die_with_parent(signal.SIGKILL)
    # Where it was gone before we asked to go with it, nobody tells us.
    if select.select([reaper], [], [], 0)[0]:
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
    while signal.sigwait([signal.SIGCHLD]):
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass


if __name__ == "__main__":
    _keep(int(sys.argv[1]))
