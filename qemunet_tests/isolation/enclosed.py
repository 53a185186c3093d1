"""A program that ends with all that it started: run as a script, with the id of its parent and PROGRAM…

A wrapper around QEMU need not `exec` it: killing the wrapper leaves QEMU behind. This process is the parent of every
orphan below it (PR_SET_CHILD_SUBREAPER of prctl(2)), so that it can end them all: when PROGRAM has ended, when it is
asked to end by SIGTERM, and when its own parent is gone. It ends as PROGRAM did. It needs nothing but Python's own
library, so that it can be started with -I and -S, which is quick.

Who may make a PID namespace has PROGRAM in one: what forks without end is faster than whoever kills it one by one, and
the kernel is not. There /proc is the machine's, in which everybody finds himself by /proc/self.
"""

import contextlib
import ctypes
import os
import resource
import signal
import sys
from pathlib import Path

_SET_PARENT_DEATH_SIGNAL = 1
_SET_CHILD_SUBREAPER = 36
_NEW_PID_NAMESPACE = 0x20000000  # CLONE_NEWPID of unshare(2)
_WOKEN_BY = {signal.SIGTERM, signal.SIGCHLD}
_CANNOT_EXECUTE = 126
_LONGEST_STATUS = 16


def _enclose(parent: int, words: list[str]) -> int:
    """Run the program to its end. Returns its status as os.waitpid tells it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _WOKEN_BY)
    libc = ctypes.CDLL(None)
    libc.prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    libc.prctl(_SET_PARENT_DEATH_SIGNAL, int(signal.SIGTERM), 0, 0, 0)
    if os.getppid() != parent:
        return int(signal.SIGKILL)
    # Ctrl-C is for whoever waits for us, who will tell us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    told, tells = os.pipe()
    apart = libc.unshare(_NEW_PID_NAMESPACE) == 0
    program = os.fork()
    if program == 0:
        if apart:
            os.close(told)
            _be_first(words, tells)
        _become(words)
    os.close(tells)
    try:
        status = _await(program)
        return int(os.read(told, _LONGEST_STATUS) or signal.SIGKILL) if apart else status
    finally:
        _end_all()


def _be_first(words: list[str], tells: int) -> None:
    """Process 1 of the namespace, with which the kernel ends all others: bury them, and tell how the program ended."""
    ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, int(signal.SIGKILL), 0, 0, 0)
    # Our parent may be gone already, which its id does not tell: here it is 0 either way.
    with contextlib.suppress(BrokenPipeError):
        os.write(tells, b" ")
        program = os.fork()
        if program == 0:
            _become(words)
        os.write(tells, str(_await(program)).encode())
    os._exit(0)


def _become(words: list[str]) -> None:
    # The terminal of a session obeys whoever is in it (TIOCSTI of ioctl_tty(2)): it is not for another user's program.
    os.setsid()
    # Python ignores the last two.
    for number in (signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _WOKEN_BY)
    try:
        os.execvp(words[0], words)
    except OSError as refused:
        os.write(2, f"{words[0]}: {refused.strerror}\n".encode(errors="replace"))
    os._exit(_CANNOT_EXECUTE)


def _await(program: int) -> int:
    """Bury whoever ends, until the program does or we are to end."""
    while signal.sigwait(_WOKEN_BY) == signal.SIGCHLD:
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            if ended[0] == program:
                return ended[1]
    return int(signal.SIGKILL)


def _end_all() -> None:
    """Kill the children until there are none: those of a child that was killed become ours."""
    while children := _children():
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(-1, 0)


def _children() -> list[int]:
    return [int(word) for word in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]


def _end_as(status: int) -> None:
    if os.WIFEXITED(status):
        os._exit(os.WEXITSTATUS(status))
    ending = os.WTERMSIG(status)
    # Without a core dump: it is not we who crashed.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if ending != signal.SIGKILL:
        signal.signal(ending, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {ending})
    os.kill(os.getpid(), ending)
    os._exit(128 + ending)


if __name__ == "__main__":
    _end_as(_enclose(int(sys.argv[1]), sys.argv[2:]))
