"""A command below the first process of namespaces of its own, and what becomes of the signals meant for it.

    we  --  the first process, in the namespaces  --  the command

A terminal's signals reach all three, for they are one process group; what somebody sends to us alone is handed on.
Killing us kills the first process, and the kernel whatever is in its PID namespace.
"""

import os
import select
import signal
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from qemunet_tests.isolation.syscalls import (
    CLONE_NEWNS,
    CLONE_NEWPID,
    MS_PRIVATE,
    MS_REC,
    die_with_parent,
    mount,
    setns,
    unshare,
)

#: Root's own.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: namespaces(7)
CLONE_NEWUTS = 0x0400_0000
CLONE_NEWIPC = 0x0800_0000
#: What ends a program unless it says otherwise.
ENDING = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT}
WATCHED = ENDING | {signal.SIGCHLD}
#: How long a command may take to end after it was told to; then all that it started is ended with it.
GRACE_SECONDS = 15.0
#: What a shell says of a command that is not there, and of one that cannot be run.
NOT_FOUND, NOT_RUN = 127, 126


@dataclass(frozen=True)
class Command:
    """What is run, where and with what environment; `printing` takes its output where that is not our own."""

    words: Sequence[str]
    folder: str
    environment: Mapping[str, str]
    printing: int | None = None


def run(command: Command, prepare: Callable[[], None]) -> int:
    """Run a command in new namespaces, which `prepare` furnishes before, and return its exit status.

    The status is a shell's: 128 and the signal's number where one ended it.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
    namespace = os.open("/proc/self/ns/pid", os.O_RDONLY)
    we = os.pidfd_open(os.getpid())
    sys.stdout.flush()
    try:
        unshare(CLONE_NEWPID)
        first = os.fork()
        if first == 0:
            _be_first(command, prepare, before, we)
        return _follow(first, GRACE_SECONDS)
    finally:
        setns(namespace, CLONE_NEWPID)
        os.close(namespace)
        os.close(we)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _be_first(command: Command, prepare: Callable[[], None], mask: "set[int | signal.Signals]", parent: int) -> None:
    """Be the first process of the namespaces, to the end. `parent` is the descriptor of the process that waits."""
    status = NOT_RUN
    try:
        die_with_parent(signal.SIGKILL)
        if select.select([parent], [], [], 0)[0]:
            # It ended before the kernel knew that we are to end with it.
            return
        unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS)
        mount("none", "/", None, MS_REC | MS_PRIVATE)
        prepare()
        child = os.fork()
        if child == 0:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            _become(command)
        status = _follow(child)
    except OSError as refused:
        sys.stderr.write(f"userland: {refused}\n")
    except Exception:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def _become(command: Command) -> None:
    status = NOT_RUN
    try:
        os.chdir(command.folder)
        if command.printing is not None:
            os.dup2(command.printing, 1)
            os.dup2(command.printing, 2)
        os.execvpe(command.words[0], list(command.words), dict(command.environment))
    except OSError as refused:
        status = NOT_FOUND if isinstance(refused, FileNotFoundError) else NOT_RUN
        sys.stderr.write(f"userland: {command.words[0]}: {refused.strerror}\n")
    finally:
        sys.stderr.flush()
        os._exit(status)


def _follow(child: int, grace_seconds: float | None = None) -> int:
    """Wait for a child, hand on what it is to be told, and bury whoever else ends meanwhile."""
    patience = None
    while True:
        told = signal.sigtimedwait(WATCHED, 3600 if patience is None else patience)
        if told is None and patience is not None:
            os.kill(child, signal.SIGKILL)
        elif told is not None and told.si_signo in ENDING and told.si_code <= 0:
            # Sent by a process: a terminal would have told the child as well. One that is stopped hears nothing.
            os.kill(child, told.si_signo)
            os.kill(child, signal.SIGCONT)
            patience = grace_seconds
        if (status := _buried(child)) is not None:
            return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


def _buried(child: int) -> int | None:
    """The wait status of a child that has ended; None while it lives. Others that have ended are buried."""
    while True:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return None
        if pid == child:
            return status
