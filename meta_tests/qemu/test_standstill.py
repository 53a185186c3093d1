"""A QEMU that stands still is told from one that is slow, and another is started in its place."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event

import pytest

from qemunet_tests.deadline import Deadline
from qemunet_tests.qemu.standstill import (
    ATTEMPTS,
    LOOK_SECONDS,
    LOOKS,
    MONITORS_THREAD,
    StandsStill,
    Standstill,
    again_where_it_stands_still,
)

#: PR_SET_NAME of prctl(2) is 15. Its two threads do what the third word says.
PROGRAM = """
import ctypes, sys, threading, time
def work():
    ctypes.CDLL(None).prctl(15, sys.argv[1].encode(), 0, 0, 0)
    while sys.argv[2] == "busy":
        pass
    time.sleep(1000)
threading.Thread(target=work, daemon=True).start()
print(flush=True)
time.sleep(1000)
"""


@contextmanager
def running(thread: str, does: str) -> Iterator[int]:
    with subprocess.Popen([sys.executable, "-c", PROGRAM, thread, does], stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        yield process.pid
        process.kill()


def is_seen(pid: int, within_seconds: float) -> bool:
    return Deadline(within_seconds, "a standstill").sees(Standstill(pid).seen)


def test_a_process_that_sleeps_with_its_monitor_stands_still() -> None:
    with running(MONITORS_THREAD, "sleeps") as pid:
        assert is_seen(pid, 20.0)


@pytest.mark.parametrize(("thread", "does"), [(MONITORS_THREAD, "busy"), ("another", "sleeps")])
def test_one_that_works_or_has_no_monitor_yet_does_not(thread: str, does: str) -> None:
    with running(thread, does) as pid:
        looking = Standstill(pid)
        # So many looks and not so long: a deadline is put off on a machine that is busy.
        assert not any(looking.seen() or Event().wait(LOOK_SECONDS) for _ in range(LOOKS + 4))


def test_one_that_has_ended_does_not() -> None:
    with running(MONITORS_THREAD, "sleeps") as pid:
        looking = Standstill(pid)
    assert not looking.seen()


def test_another_is_started_until_one_goes_on() -> None:
    started: list[int] = []
    notes: list[str] = []

    def start(good: int) -> str:
        started.append(1)
        if len(started) < good:
            raise StandsStill
        return "runs"

    assert again_where_it_stands_still(lambda: start(3), notes.append) == "runs"
    assert notes == ["a QEMU stood still soon after its start, and another one was tried"] * 2
    started.clear()
    with pytest.raises(StandsStill):
        again_where_it_stands_still(lambda: start(ATTEMPTS + 1), notes.append)
    assert len(started) == ATTEMPTS
