"""A busy machine: it is waited for, and its slowness is never taken for a promise that is not kept."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from meta_tests.planted.slowness import SLOWNESS
from meta_tests.user_accounts import CHECKOUT
from qemunet_tests import timeouts
from qemunet_tests.deadline import Deadline
from qemunet_tests.guest import template_builder
from qemunet_tests.guest.bench import Bench
from qemunet_tests.guest.guest import BOOT_SECONDS, Guest, GuestDied
from qemunet_tests.guest.panic import TRIES, TimerMissed, despite_its_timer, died, require_timekeeping
from qemunet_tests.modes.bridge import BridgeNetdev
from qemunet_tests.network import Lab
from qemunet_tests.network.lab_links import add_bridge, add_veth, set_master
from qemunet_tests.network.target import lab_target
from qemunet_tests.observe.bridge import ports_of_mac
from qemunet_tests.observe.lease import lease
from qemunet_tests.observe.process import tap_of
from qemunet_tests.qemu.netdev import Nic

#: As the kernel of Debian 12 says it.
TIMER_PANIC = "IO-APIC + timer doesn't work!  Boot with apic=debug and send a report."
LIMIT_SECONDS = 1200.0


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is four times slower than alone."""
    monkeypatch.setattr(timeouts, "crowding", lambda: 4.0)


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeouts, "crowding", lambda: 1.0)


def test_the_pace_is_measured() -> None:
    """With as many programs as CPUs, and three more on each, nobody has a CPU to himself."""
    burn = [sys.executable, "-c", "while True: pass"]
    burners = [subprocess.Popen(burn) for _ in range(4 * len(os.sched_getaffinity(0)))]
    try:
        found = max(timeouts._own() for _ in range(5))
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()
    assert found > 1.5


def test_the_pace_of_what_was_started_is_measured() -> None:
    """By its own waiting: two programs that share a CPU wait as long as they run."""
    cpu = min(os.sched_getaffinity(0))
    burn = ["taskset", "-c", str(cpu), sys.executable, "-c", "while True: pass"]
    burners = [subprocess.Popen(burn) for _ in range(3)]
    started = [Path("/proc", str(burner.pid)) for burner in burners]
    try:
        seen = Deadline(20, "the programs to have run")
        assert seen.sees(lambda: timeouts._of(started) > 2, interval_seconds=1)
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()
    assert timeouts._of(started) == 1.0


@pytest.mark.usefixtures("slow")
def test_a_deadline_is_put_off_on_a_slow_machine() -> None:
    deadline = Deadline(0.05, "nothing")
    assert not deadline.sees(lambda: False, interval_seconds=0.01)
    assert 0.2 <= deadline.elapsed_seconds < 2
    assert Deadline(0, "what is there").passed


@pytest.mark.usefixtures("slow")
def test_nobody_allows_for_a_slow_machine_twice() -> None:
    _, longer = timeouts.turns(0.05)
    deadline = Deadline(longer, "nothing")
    assert not deadline.sees(lambda: False, interval_seconds=0.01)
    assert 0.2 <= deadline.elapsed_seconds < 0.4
    assert list(timeouts.turns(longer)) == [longer]


@pytest.mark.usefixtures("slow")
def test_a_question_is_put_again_with_longer_patience_on_a_slow_machine() -> None:
    assert list(timeouts.turns(2.0)) == [2.0, 8.0]
    assert list(timeouts.turns(2.0, again=False)) == [2.0, 8.0]
    assert list(timeouts.turns(0)) == [0]


@pytest.mark.usefixtures("alone")
def test_a_question_is_put_again_because_it_may_get_lost() -> None:
    assert list(timeouts.turns(2.0)) == [2.0, 2.0]
    assert list(timeouts.turns(2.0, again=False)) == [2.0]


def test_a_machine_that_becomes_slower_is_given_a_third_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = iter([1.0, 3.0])
    monkeypatch.setattr(timeouts, "crowding", lambda: next(measured))
    assert list(timeouts.turns(2.0)) == [2.0, 2.0, 6.0]


EIGHT, CLEAN = [0.5, 0.52, 0.49, 0.5, 0.51, 0.5, 0.48, 0.5], [1.0, 1.02, 0.99, 1.0, 1.01, 0.98, 1.0, 1.01]
NOISY = [1.0, 3.0, 0.4, 2.5, 0.3, 1.8, 0.5, 1.1]


@pytest.mark.parametrize(
    ("faster", "again", "slower"),
    [
        pytest.param([9.0, 12.0], [1.0, 1.4], True, id="every block shows more than the noise"),
        pytest.param([0.23, 8.0], [1.0, 1.1], None, id="one odd block is no evidence"),
        pytest.param([0.23, 0.2], [1.0, 1.0], None, id="nor are two that agree"),
        pytest.param([2.0, 3.0], [1.0, 5.0], None, id="the same differs from itself by more"),
        pytest.param([], [], None, id="nothing was measured"),
        pytest.param(EIGHT, CLEAN, False, id="bridged mode is slower, for sure"),
        pytest.param(CLEAN, CLEAN[::-1], False, id="the two are equally fast, for sure"),
        pytest.param(EIGHT, NOISY, None, id="the machine cannot tell the same from itself"),
        pytest.param([2 * each for each in CLEAN], NOISY, None, id="nor with bridged mode ahead"),
        pytest.param([2 * each for each in CLEAN], CLEAN, True, id="bridged mode is faster, for sure"),
    ],
)
def test_what_follows_from_rates(faster: Sequence[float], again: Sequence[float], slower: bool | None) -> None:
    # Imports what starts threads.
    from qemunet_tests.throughput import quick_ratio

    assert quick_ratio.judge(faster, again)[0] is slower


def verdict(claim: str, folder: Path, *words: str, slowness: str = "") -> dict[str, Any]:
    """A run of one claim with what is planted."""
    command = [
        sys.executable, "-m", "pytest", "--pyargs", "qemunet_tests.conformance", "-p", "no:cacheprovider",
        f"--qemunet-claims={claim}", f"--qemunet-report={folder}", *words,
    ]  # fmt: skip
    environment = {**os.environ, SLOWNESS: slowness}
    ended = subprocess.run(
        command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False
    )
    assert (folder / "results.json").is_file(), ended.stdout + ended.stderr
    found: dict[str, Any] = json.loads((folder / "results.json").read_text())["verdicts"][0]
    return found


@pytest.mark.slow
def test_where_the_control_is_as_late_nothing_is_known_of_spanning_tree(tmp_path: Path) -> None:
    found = verdict("bridge/stp-delays-lease", tmp_path, "-p", "meta_tests.planted.slowness", slowness="late")
    assert (found["verdict"], "without spanning tree, too" in found["reason"]) == ("inconclusive", True), found


@pytest.mark.slow
def test_where_the_same_differs_from_itself_nothing_is_known_of_rates(tmp_path: Path) -> None:
    words = (
        "-p",
        "meta_tests.faults.plugin",
        "--qemunet-fault=bridged-mode-throttled",
        "-p",
        "meta_tests.planted.slowness",
    )
    found = verdict("user/throughput-below-bridge", tmp_path, *words, slowness="faltering")
    assert found["verdict"] == "inconclusive", found


@pytest.mark.parametrize(("said", "wrong"), [(1000, 0), (1130, 0), (996, 0), (1134, 0), (990, 10), (1200, 70)])
def test_a_clock_that_was_set_and_read_in_between_is_right(said: float, wrong: float) -> None:
    """Once, in a guest that took 130 s to answer, a clock was said to be 130 s off, and guests booted cold."""
    assert template_builder.off(said, earliest=1000, latest=1130) == wrong


def test_a_panic_of_the_timer_is_told_from_others() -> None:
    assert isinstance(died("it ended", TIMER_PANIC), TimerMissed)
    assert not isinstance(died("it ended", "sysrq triggered crash"), TimerMissed)
    assert not isinstance(died("it ended", None), TimerMissed)


def test_a_guest_that_misses_its_timer_for_ever_is_not_booted_for_ever() -> None:
    noted: list[str] = []

    def boot() -> None:
        raise died("it ended", TIMER_PANIC)

    with pytest.raises(TimerMissed):
        despite_its_timer(boot, noted.append)
    assert len(noted) == TRIES - 1


def test_a_guest_that_misses_its_timer_is_booted_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel's own panic, with the words of one that misses its timer."""
    noted: list[str] = []
    before, ready = bench.guests, Guest.wait_until_ready
    monkeypatch.setattr(Bench, "note", property(lambda _: noted.append))

    def panics_once(guest: Guest, within_seconds: float) -> None:
        ready(guest, within_seconds)
        if not noted and guest not in before:
            monkeypatch.setattr("qemunet_tests.guest.panic._OF_THE_TIMER", _anything())
            guest.run("echo c >/proc/sysrq-trigger; sleep 1000")

    def as_at_boot(guest: Guest, within_seconds: float) -> None:
        try:
            panics_once(guest, within_seconds)
        except GuestDied as error:
            raise died(str(error), guest.panic) from error

    monkeypatch.setattr(Guest, "wait_until_ready", as_at_boot)
    guest = bench.boot(network=False, cold=True)
    try:
        assert guest.check("echo here") == "here"
        assert bench.guests == [*before, guest]
        # More than once where this machine is busy indeed.
        assert {each.partition(":")[0] for each in noted} == {
            "a guest's kernel missed its timer, as happens on a busy machine"
        }
    finally:
        bench.discard(guest)


def _anything() -> Any:
    return SimpleNamespace(search=lambda text: True)


@pytest.mark.slow  # on QEMU 11.1 such a guest takes minutes
def test_a_guest_whose_clock_runs_wild_counts_as_one_that_missed_its_timer(bench: Bench) -> None:
    """Its time is not waited for: where it has nothing to do the next timer comes at once."""
    started = time.monotonic()
    wild, process = bench.documented.boot_diskless("-nographic", "-nic", "none", "-icount", "shift=4,sleep=off")
    try:
        wild.wait_for_prompt(BOOT_SECONDS)
        wild.run("sleep 60", 60)
        with pytest.raises(
            TimerMissed, match=r"clock runs wild: it has been up [\d.]+ s, and was started [\d.]+ s ago"
        ):
            require_timekeeping(wild.run, started)
    finally:
        bench.documented.end(process)


def test_a_second_bridge_on_the_lan_is_not_a_second_machine(bench: Bench, lab: Lab) -> None:
    """It hears the guest at its own uplink; that was once taken for another machine with the guest's MAC."""
    from qemunet_tests.diagnosis.failure import Failure
    from qemunet_tests.diagnosis.lost_frame import host_side

    add_bridge(lab.host, "br-second")
    add_veth(lab.switch, "to-second", lab.host, "enp0s27")
    set_master(lab.switch, "to-second", "lan")
    set_master(lab.host, "enp0s27", "br-second")
    guest = bench.boot(Nic(BridgeNetdev(lab.bridge)))
    try:
        assert lease(guest)
        assert ports_of_mac(lab.host, "br-second", guest.macs[0]) == {"enp0s27"}
        assert ports_of_mac(lab.host, lab.bridge, guest.macs[0]) == {tap_of(guest)}
        failure = Failure("bridge", bench, lab_target(lab), AssertionError())
        assert host_side.mac_elsewhere(failure) is None
    finally:
        bench.discard(guest)
        for link in ("enp0s27", "br-second"):
            lab.host.netlink.link("del", index=lab.host.index(link))
