"""QEMU's monitor: its refusals in its own words, and no waiting for one that hangs."""

import gc
import os
import signal
import socket
import sys
import time
from asyncio.selector_events import BaseSelectorEventLoop
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from meta_tests.patience import limit
from qemunet_tests.errors import HarnessError, TimedOut
from qemunet_tests.guest.guest import Guest
from qemunet_tests.qemu.qmp import Monitor
from qemunet_tests.signal_handlers import handled


@contextmanager
def stopped(guest: Guest) -> Iterator[None]:
    """QEMU itself stands still, monitor and all."""
    os.kill(guest.qemu.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(guest.qemu.process.pid, signal.SIGCONT)


def test_a_command_is_answered(shared_guest: Guest) -> None:
    assert shared_guest.monitor.execute("query-status")["status"] == "running"
    assert shared_guest.monitor.ask("info status") == "VM status: running\n"


@pytest.mark.parametrize(
    ("command", "arguments", "words"),
    [
        ("no-such-command", {}, "asked to answer no-such-command: The command no-such-command has not been found"),
        ("set_link", {"name": "net7", "up": False}, "Device 'net7' not found"),
        ("set_link", {"name": "net7"}, "Parameter 'up' is missing"),
    ],
)
def test_a_refusal_has_qemus_words(shared_guest: Guest, command: str, arguments: dict[str, object], words: str) -> None:
    with pytest.raises(HarnessError, match=words):
        shared_guest.monitor.execute(command, **arguments)
    assert shared_guest.monitor.execute("query-status")["status"] == "running"


def test_a_monitor_that_hangs_is_given_up_in_time(shared_guest: Guest) -> None:
    begun = time.monotonic()
    with stopped(shared_guest), pytest.raises(TimedOut, match=r"gave up after [\d.]+ s .* to answer query-name"):
        shared_guest.monitor.execute("query-name", within_seconds=0.5)
    assert time.monotonic() - begun < limit(2)


def test_an_answer_that_comes_too_late_is_not_taken_for_the_next(shared_guest: Guest) -> None:
    with stopped(shared_guest), pytest.raises(TimedOut):
        shared_guest.monitor.execute("query-name", within_seconds=0.2)
    assert set(shared_guest.monitor.execute("query-version")) == {"qemu", "package"}


def test_what_was_said_is_written_down(doomed_guest: Guest) -> None:
    with pytest.raises(HarnessError):
        doomed_guest.monitor.execute("no-such-command", why="to see")
    doomed_guest.monitor.ask("info status")
    doomed_guest.write_monitor_log()
    said = (doomed_guest.folder / "monitor.log").read_text()
    assert "-> no-such-command {'why': 'to see'}\n!! QEMU's monitor" in said
    assert "-> human-monitor-command {'command-line': 'info status'}\n<- VM status: running" in said


def test_quit_ends_qemu_as_an_operator_would(doomed_guest: Guest) -> None:
    doomed_guest.qemu.quit()
    assert doomed_guest.qemu.how_it_ended() == "exit status 0"


def test_quit_ends_a_qemu_that_stands_still(doomed_guest: Guest) -> None:
    os.kill(doomed_guest.qemu.process.pid, signal.SIGSTOP)
    begun = time.monotonic()
    doomed_guest.qemu.quit()
    assert doomed_guest.qemu.how_it_ended() == "killed by SIGKILL"
    assert time.monotonic() - begun < limit(10)


def test_a_monitor_whose_qemu_was_killed(doomed_guest: Guest) -> None:
    os.kill(doomed_guest.qemu.process.pid, signal.SIGKILL)
    doomed_guest.qemu.process.wait()
    for _ in range(2):
        with pytest.raises(HarnessError, match=r"to answer query-status: .*; it has ended \(killed by SIGKILL\)"):
            doomed_guest.monitor.execute("query-status")
    doomed_guest.qemu.quit()


@pytest.mark.filterwarnings("error")
def test_quitting_twice_changes_nothing(doomed_guest: Guest) -> None:
    doomed_guest.qemu.quit()
    doomed_guest.qemu.quit()
    with pytest.raises(HarnessError, match="asked to answer query-status: the connection was closed before"):
        doomed_guest.monitor.execute("query-status")


def test_ctrl_c_while_a_monitor_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is half made: what is thrown away does not complain on standard error."""
    complaints: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda told: complaints.append(told.exc_value))
    make_the_pipe = BaseSelectorEventLoop._make_self_pipe  # type: ignore[attr-defined]

    def interrupted(loop: BaseSelectorEventLoop) -> None:
        signal.raise_signal(signal.SIGINT)
        make_the_pipe(loop)

    monkeypatch.setattr(BaseSelectorEventLoop, "_make_self_pipe", interrupted)
    ours, theirs = socket.socketpair()
    with closing(ours), closing(theirs), handled(signal.default_int_handler, signal.SIGINT):
        with pytest.raises(KeyboardInterrupt):
            Monitor(ours, "interrupted")
        gc.collect()
    assert not complaints
