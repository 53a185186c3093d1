"""A guest that ends while it is asked something: the error says what became of it, and at once."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from meta_tests import patience
from qemunet_tests.errors import HarnessError
from qemunet_tests.guest.bench import Bench
from qemunet_tests.guest.guest import Guest, GuestDied
from qemunet_tests.report.verdict import judge
from qemunet_tests.report.verdict_of_test import Verdict


@contextmanager
def soon(happens: Callable[[], object]) -> Iterator[None]:
    """What is given happens while the body runs, which must not hang."""
    timer = threading.Timer(0.3, happens)
    begun = time.monotonic()
    timer.start()
    try:
        yield
    finally:
        timer.join()
    assert time.monotonic() - begun < patience.limit(5)


def test_qemu_is_told_to_quit_half_way(doomed_guest: Guest) -> None:
    with soon(lambda: doomed_guest.monitor.execute("quit")), pytest.raises(GuestDied) as died:
        doomed_guest.run("echo begun; sleep 1000")
    assert "sleep 1000" in str(died.value)
    assert "QEMU ended, exit status 0" in str(died.value)


def test_qemu_is_killed_half_way(doomed_guest: Guest) -> None:
    def kill() -> None:
        os.kill(doomed_guest.qemu.process.pid, signal.SIGKILL)

    with soon(kill), pytest.raises(GuestDied, match="QEMU ended, killed by SIGKILL") as died:
        doomed_guest.run("head -c 100000000 /dev/zero; sleep 1000")
    assert judge(died.value, "call")[0] is Verdict.INCONCLUSIVE


def test_the_guest_powers_itself_off_half_way(doomed_guest: Guest) -> None:
    with pytest.raises(GuestDied, match="QEMU ended, exit status 0"):
        doomed_guest.run("poweroff -f")


def test_the_kernel_panics_half_way(doomed_guest: Guest) -> None:
    with pytest.raises(GuestDied, match="its kernel panicked: sysrq triggered crash") as died:
        doomed_guest.run("echo begun; echo c >/proc/sysrq-trigger; sleep 1000")
    assert doomed_guest.panic == "sysrq triggered crash"
    assert judge(died.value, "call")[0] is Verdict.INCONCLUSIVE


def test_a_dead_guest_is_asked_again(doomed_guest: Guest) -> None:
    os.kill(doomed_guest.qemu.process.pid, signal.SIGKILL)
    doomed_guest.qemu.process.wait()
    for _ in range(2):
        with pytest.raises(GuestDied, match="killed by SIGKILL"):
            doomed_guest.run("true")
    with pytest.raises(HarnessError):
        doomed_guest.unplug()


def test_a_guest_that_does_not_come_up_stays_until_it_is_buried(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it wrote is wanted for the report first."""

    def dies(guest: Guest) -> None:
        guest.run("poweroff -f")

    monkeypatch.setattr(bench, "_events", replace(bench._events, on_ready=dies))
    before = bench.guests
    with pytest.raises(GuestDied):
        bench.boot(network=False)
    (unseen,) = [guest for guest in bench.guests if guest not in before]
    assert (unseen.folder / "console.log").is_file()
    bench.discard_failed()
    assert bench.guests == before
    assert not unseen.folder.exists()


def test_a_guest_that_outlives_tests_is_nobodys_between_them(bench: Bench) -> None:
    """Who looks for a cause, or keeps what guests wrote, would take it for the failed test's own."""
    before = bench.guests
    guest = bench.boot(network=False)
    bench.set_aside(guest)
    assert bench.guests == before
    bench.take_up(guest)
    assert bench.guests == [*before, guest]
    bench.set_aside(guest)
    bench.discard(guest)
    assert guest.qemu.how_it_ended() is not None
    assert not guest.folder.exists()
