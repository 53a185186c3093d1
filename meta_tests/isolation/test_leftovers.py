"""However a run is killed, 5 seconds later nothing of it is left: real runs, with guests alive."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterable
from pathlib import Path

import pytest

from meta_tests.isolation import leftovers
from meta_tests.isolation.leftovers import LIMIT_SECONDS, Seen
from meta_tests.isolation.runs import (
    CLAIMS,
    START_SECONDS,
    Start,
    by_everybody,
    by_root_first,
    hand_over,
    one_or_two_workers,
    shelves,
    standing,
)
from meta_tests.patience import limit
from meta_tests.user_accounts import Account
from qemunet_tests.deadline import Deadline
from qemunet_tests.qemu import qemu_facts

pytest_plugins = "meta_tests.isolation.runs"


def one(processes: Iterable[Seen]) -> int:
    """The id of the first."""
    return next(iter(processes)).pid


@by_everybody
def test_the_measure_sees_what_there_is(start: Start) -> None:
    """Or nothing below could fail."""
    run = standing(start, 1, "bridge/lease-address")
    left = run.leftovers()
    assert [process for process in run.processes() if process.is_guest]
    assert [process for process in run.processes() if process.is_reaper]
    for kind in ("process", "namespace mnt", "namespace pid"):
        assert [each for each in left if each.startswith(kind)], (kind, left)
    # Host, switch, router, neighbour, outside.
    assert len([each for each in left if each.startswith("namespace net")]) == 5
    assert not [each for each in left if each.startswith(("mount", "interface", "file"))], left


@by_root_first
def test_the_measure_sees_what_is_left(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    left = Path(tempfile.gettempdir(), f"qemunet-left-{os.getpid()}")
    code = f"import os; open({str(left)!r}, 'w'); os.fork() or (os.setsid(), os.execlp('sleep', 'sleep', '1000'))"
    run = start("timeit", "-n", "1", "-r", "1", code)
    run.process.wait()
    try:
        monkeypatch.setattr(leftovers, "mounts", lambda: {"tmpfs on /mnt/forgotten"})
        monkeypatch.setattr(leftovers, "links", lambda: {"tap7"})
        found = run.leftovers()
    finally:
        left.unlink()
    assert len([each for each in found if each.startswith("process")]) == 1, found
    assert {"mount of tmpfs on /mnt/forgotten", "interface tap7", f"file {left}"} <= set(found)


@by_everybody
@one_or_two_workers
def test_the_controller_is_killed(start: Start, home: Path, workers: int) -> None:
    before = shelves(home / "cache")
    run = standing(start, workers)
    os.kill(run.process.pid, signal.SIGKILL)
    run.process.wait()
    assert run.leaves_nothing(), run.leftovers()
    after = shelves(home / "cache")
    assert after >= before
    assert not [name for name in after if "unfinished" in name]


@by_root_first
def test_a_worker_is_killed(start: Start) -> None:
    run = standing(start, 2)
    reapers = [process for process in run.processes() if process.is_reaper and process.parent != 0]
    worker = next(reaper.parent for reaper in reapers if reaper.parent != run.process.pid)
    doomed = set(run.below(worker))
    assert {process.is_guest for process in doomed} == {True, False}
    os.kill(worker, signal.SIGKILL)
    vanishing = Deadline(LIMIT_SECONDS, "what the worker had to vanish")
    assert vanishing.sees(lambda: not doomed & set(run.processes())), doomed & set(run.processes())
    assert run.process.poll() is None, "the controller went with it"
    os.kill(run.process.pid, signal.SIGKILL)
    run.process.wait()
    assert run.leaves_nothing(), run.leftovers()


@by_root_first
def test_the_reaper_is_killed(start: Start) -> None:
    """The run itself goes on, learns nothing more, and says so."""
    run = standing(start, 1, "bridge/lease-address", "user/address")
    reaper = one(process for process in run.processes() if process.is_reaper and process.parent == run.process.pid)
    kept = {process for process in run.processes() if process.pid not in (reaper, run.process.pid)}
    os.kill(reaper, signal.SIGKILL)
    vanishing = Deadline(LIMIT_SECONDS, "what it kept to vanish")
    assert vanishing.sees(lambda: not kept & set(run.processes())), kept & set(run.processes())
    assert run.process.wait(limit(20)) == pytest.ExitCode.TESTS_FAILED
    assert run.leaves_nothing(), run.leftovers()
    assert "2 inconclusive" in run.output, run.output
    assert "the reaper was ended, and with it all that it kept" in run.output


@by_root_first
def test_qemu_is_killed(start: Start) -> None:
    """The test that had it is inconclusive, the next one has a guest of its own."""
    run = standing(start, 1, "user/address", "user/gateway")
    os.kill(one(process for process in run.processes() if process.is_guest), signal.SIGKILL)
    assert run.process.wait(limit(60)) == pytest.ExitCode.TESTS_FAILED
    assert run.leaves_nothing(), run.leftovers()
    assert "1 holds, 1 inconclusive" in run.output, run.output
    assert "QEMU ended, killed by SIGKILL" in run.output


@pytest.mark.slow
@by_everybody
def test_the_labs_servers_are_killed(start: Start) -> None:
    run = standing(start, 1, "user/address", "bridge/lease-address")
    servers = [process for process in run.processes() if "dnsmasq" in process.words[0]]
    assert len(servers) >= 5
    for process in (*servers, next(process for process in run.processes() if process.is_guest)):
        os.kill(process.pid, signal.SIGKILL)
    assert run.process.wait(limit(START_SECONDS)) == pytest.ExitCode.TESTS_FAILED
    assert run.leaves_nothing(), run.leftovers()
    assert "the bench did not clean up" not in run.output, run.output


@pytest.mark.slow
@by_everybody
def test_killed_while_a_template_is_made(start: Start, home: Path, account: Account) -> None:
    """Nobody takes the half for the whole: the next run makes it anew."""
    cache = home / "half-made"
    shutil.copytree(home / "cache", cache, symlinks=True, ignore=shutil.ignore_patterns("templates"))
    hand_over(cache, account)
    # A QEMU of another name has no template anywhere.
    qemu = home / "another-qemu"
    qemu.write_text(f'#!/bin/sh\nexec {qemu_facts.find().path} "$@"\n')
    qemu.chmod(0o755)
    words = [
        "pytest",
        "--pyargs",
        "qemunet_tests.conformance",
        "-p",
        "no:cacheprovider",
        "-n",
        "2",
        "--qemunet-accel=tcg",
    ]
    words += [f"--qemunet-qemu={qemu}", *(f"--qemunet-claims={claim}" for claim in CLAIMS)]
    run = start(*words, QEMUNET_CACHE=str(cache))

    def makes() -> bool:
        assert run.process.poll() is None, run.output
        return any(word.startswith("template-") for process in run.processes() for word in process.words)

    Deadline(START_SECONDS, "a template to be made").wait_until(makes, interval_seconds=0.1)
    run.process.kill()
    run.process.wait()
    assert run.leaves_nothing(), run.leftovers()
    assert not [name for name in shelves(cache) if name.startswith("templates/") and "unfinished" not in name]

    again = start(*words, QEMUNET_CACHE=str(cache))
    assert again.process.wait(limit(START_SECONDS)) == 0, again.output
    assert "2 booted" not in again.output
    assert len([name for name in shelves(cache) if name.startswith("templates/")]) == 1
    assert again.leaves_nothing(), again.leftovers()
