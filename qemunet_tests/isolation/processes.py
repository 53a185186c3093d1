"""Starting programs inside the run's PID namespace and a station's network namespace."""

import contextlib
import os
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.thread import BrokenThreadPool
from typing import IO, Any

from qemunet_tests.deadline import Deadline
from qemunet_tests.errors import HarnessError, TimedOut
from qemunet_tests.host.asking import Completed
from qemunet_tests.host.search_path import SYSTEM_PATH, search_path
from qemunet_tests.isolation.folder_reaper import FolderReaper
from qemunet_tests.isolation.namespaces import inside, scratch
from qemunet_tests.isolation.pid_namespace import PidNamespace

Process = subprocess.Popen[bytes]


class Spawner:
    """Starts every program of a worker.

    One thread of it has the run's PID namespace as the namespace of its children, which the kernel forbids to
    a thread that makes threads; so it does nothing else. The programs remain children of this process.
    """

    def __init__(self, controller_pid: int, reaper: PidNamespace | FolderReaper | None = None) -> None:
        self.reaper = reaper or PidNamespace(controller_pid)
        self._started: list[Process] = []
        self._thread = ThreadPoolExecutor(1, "spawner", initializer=self.reaper.enter)

    def start(
        self,
        words: Sequence[str],
        *,
        network: int,
        stdin: int | IO[bytes] = subprocess.DEVNULL,
        stdout: int | IO[bytes] = subprocess.DEVNULL,
        stderr: int | IO[bytes] = subprocess.DEVNULL,
        own_proc: bool = False,
        **options: Any,
    ) -> Process:
        """Start a program in the network namespace `network`, with a /proc of the run's PID namespace if it needs one.

        It is in a session of its own: the terminal of ours obeys whoever is in it (TIOCSTI of ioctl_tty(2)), and what
        QEMU's user types there root's shell would execute. Raises HarnessError where it cannot be started.
        """
        if self.reaper.ended:
            raise HarnessError(f"cannot start {words[0]}: the reaper was ended, and with it all that it kept")
        environment = _environment() | self.reaper.environment
        kept = self.reaper.with_own_proc(words) if own_proc else self.reaper.guarded(words)

        def launch() -> Process:
            with inside(network):
                process = subprocess.Popen(
                    kept, env=environment, stdin=stdin, stdout=stdout, stderr=stderr, start_new_session=True, **options
                )
            self._started.append(process)
            return process

        try:
            return self._thread.submit(launch).result()
        except OSError as error:
            raise HarnessError(f"cannot start {words[0]}: {error.strerror}") from error
        except BrokenThreadPool as error:
            raise HarnessError(f"cannot start {words[0]}: the reaper's processes cannot be joined") from error

    def run(self, words: Sequence[str], *, network: int, within_seconds: float, **options: Any) -> Completed:
        """Run a program to its end. Raises TimedOut, having ended it and its children, when that takes too long.

        Its output goes into files, so that nobody waits for a child that it leaves in the background.
        """
        with tempfile.TemporaryFile(dir=scratch()) as stdout, tempfile.TemporaryFile(dir=scratch()) as stderr:
            process = self.start(words, network=network, stdout=stdout, stderr=stderr, **options)
            try:
                _wait(process, Deadline(within_seconds, f"the end of {shlex.join(words)}"))
            except TimedOut:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                raise
            finally:
                self.forget(process)
            stdout.seek(0)
            stderr.seek(0)
            return Completed(process.returncode, stdout.read(), stderr.read())

    def forget(self, process: Process) -> None:
        """Stop counting `process` among what is still running."""
        with contextlib.suppress(ValueError):
            self._started.remove(process)

    @property
    def still_running(self) -> list[Process]:
        """Programs started and not yet ended."""
        return [process for process in self._started if process.poll() is None]

    def close(self) -> None:
        """End everything that was started."""
        self.reaper.close()
        self._thread.shutdown()
        for process in self._started:
            process.wait()


def _environment() -> dict[str, str]:
    """Ours, without what would make a program that happens to be written in Python import something else."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return {**kept, "PATH": search_path(SYSTEM_PATH)}


def _wait(process: Process, deadline: Deadline) -> None:
    """Raises TimedOut."""
    while process.poll() is None:
        deadline.check()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(deadline.remaining_seconds)


def stop(process: Process, patience_seconds: float = 2.0) -> int:
    """Ask a process to end, then make it. Returns its status."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(patience_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()
