"""Starting programs inside the keeper's PID namespace and a station's network namespace."""

import contextlib
import os
import queue
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import IO, Any

from qemunet_tests.harness.errors import HarnessError, TimedOut
from qemunet_tests.harness.keeper import Keeper
from qemunet_tests.harness.namespaces import inside
from qemunet_tests.harness.syscalls import CLONE_NEWPID, setns

Process = subprocess.Popen[bytes]

#: Where servers lie; an ordinary user's PATH often leaves these folders out.
SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin"


@dataclass(frozen=True)
class Completed:
    """What a program left behind: its exit status and both streams, byte for byte."""

    status: int
    stdout: bytes
    stderr: bytes

    @property
    def succeeded(self) -> bool:
        return self.status == 0

    @property
    def text(self) -> str:
        """Standard output as text without surrounding blanks."""
        return self.stdout.decode(errors="replace").strip()

    @property
    def complaint(self) -> str:
        """Standard error as text without surrounding blanks."""
        return self.stderr.decode(errors="replace").strip()


class Spawner:
    """Starts every program of a worker.

    One thread of it has the keeper's PID namespace as the namespace of its children, which the kernel forbids to
    a thread that makes threads; so it does nothing else. The programs remain children of this process.
    """

    def __init__(self, controller_pid: int) -> None:
        self.keeper = Keeper(controller_pid)
        self._started: list[Process] = []
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="spawner", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        setns(self.keeper.namespace, CLONE_NEWPID)
        while (job := self._jobs.get()) is not None:
            job()

    def start(
        self,
        words: Sequence[str],
        *,
        network: int,
        stdin: int | IO[bytes] = subprocess.DEVNULL,
        stdout: int | IO[bytes] = subprocess.DEVNULL,
        stderr: int | IO[bytes] = subprocess.DEVNULL,
        **options: Any,
    ) -> Process:
        """Start a program in the network namespace `network`. Raises HarnessError where it cannot be started."""
        environment = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}"}
        answers: queue.SimpleQueue[Process | BaseException] = queue.SimpleQueue()

        def job() -> None:
            try:
                with inside(network):
                    answers.put(
                        subprocess.Popen(
                            list(words), env=environment, stdin=stdin, stdout=stdout, stderr=stderr, **options
                        )
                    )
            except BaseException as error:  # handed to the thread that asked
                answers.put(error)

        self._jobs.put(job)
        answer = answers.get()
        if isinstance(answer, OSError):
            raise HarnessError(f"cannot start {words[0]}: {answer.strerror}") from answer
        if isinstance(answer, BaseException):
            raise answer
        self._started.append(answer)
        return answer

    def run(self, words: Sequence[str], *, network: int, within_seconds: float, **options: Any) -> Completed:
        """Run a program to its end. Raises TimedOut, having ended it, when that takes too long."""
        process = self.start(words, network=network, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
        try:
            stdout, stderr = process.communicate(timeout=within_seconds)
        except subprocess.TimeoutExpired as late:
            stop(process)
            raise TimedOut(f"gave up after {within_seconds:.3g} s waiting for {words[0]} to end") from late
        finally:
            self.forget(process)
        return Completed(process.returncode, stdout, stderr)

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
        self.keeper.close()
        self._jobs.put(None)
        self._thread.join()
        for process in self._started:
            process.wait()


def stop(process: Process, patience_seconds: float = 2.0) -> int:
    """Ask a process to end, then make it. Returns its status."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(patience_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()
