"""A clock that jumps: nothing waits by it, and nothing is called broken while it was set."""

import ast
import itertools
import json
import os
import shutil
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from meta_tests.patience import limit
from meta_tests.qemunet_command import clean_environment
from meta_tests.user_accounts import CHECKOUT
from qemunet_tests.deadline import Deadline
from qemunet_tests.host.wall_clock import WallClock

pytest_plugins = "pytester"

#: Who may ask what the time of day is: for what a reader is told, for ages, and for clocks that are compared.
ASKS_THE_TIME_OF_DAY = {
    "guest/guest.py", "guest/template_builder.py", "guest/templates.py", "host/wall_clock.py", "qemu/command_line.py",
    "report/earlier_runs.py", "report/known_claims.py", "report/session_results.py", "throughput/session.py",
    "images/store.py",
}  # fmt: skip


def product() -> Iterator[tuple[str, ast.Module]]:
    for root in (CHECKOUT / "qemunet_tests", CHECKOUT / "images", CHECKOUT / "fixtures"):
        for file in root.rglob("*.py"):
            place = file.relative_to(CHECKOUT / "qemunet_tests" if root.name == "qemunet_tests" else CHECKOUT)
            yield str(place), ast.parse(file.read_text())


def asks(tree: ast.Module) -> bool:
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return any(ast.unparse(call) in ("time.time", "datetime.now", "date.today", "time.time_ns") for call in calls)


def test_nobody_else_asks_for_the_time_of_day() -> None:
    assert {place for place, tree in product() if asks(tree)} == ASKS_THE_TIME_OF_DAY


@pytest.mark.parametrize("by_seconds", [6 * 3600.0, -6 * 3600.0])
def test_a_deadline_does_not_notice(by_seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + by_seconds)
    short = Deadline(0.2, "nothing")
    assert not short.passed
    assert Deadline(5, "the end").sees(lambda: short.passed)


@pytest.mark.parametrize(
    ("by_seconds", "said"),
    [
        (6 * 3600, "was put forward by 6 h"), (-5400, "was put back by 1.5 h"), (90, "was put forward by 1.5 min"),
        (-3, "was put back by 3 s"), (1, None), (0, None),
    ],
)  # fmt: skip
def test_what_was_done_to_a_clock(by_seconds: float, said: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = WallClock()
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + by_seconds)
    assert clock.change() == said


SET_MEANWHILE = """
import time, pytest
real = time.time
@pytest.mark.claim("user/address")
def test_while_the_clock_is_set(monkeypatch):
    monkeypatch.setattr(time, "time", lambda: real() + 6 * 3600)
    assert False, "no lease"
@pytest.mark.claim("user/gateway")
def test_afterwards(): assert False, "no gateway"
"""


def test_what_breaks_while_the_clock_is_set_is_inconclusive(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SET_MEANWHILE)
    pytester.runpytest_subprocess("--qemunet-report=out", "-p", "no:cacheprovider", "--qemunet-target=host")
    said = {each["claim"]: each for each in json.loads(Path("out/results.json").read_text())["verdicts"]}
    assert said["user/address"]["verdict"] == "inconclusive"
    assert said["user/address"]["reason"] == (
        "the clock of this host was put forward by 6 h meanwhile; the test saw: no lease"
    )
    assert said["user/gateway"]["verdict"] == "broken"


def run(folder: Path, *claims: str, **environment: str) -> dict[str, str]:
    words = [CHECKOUT / "bootstrap", "qemunet", "run", *claims, "--accel", "tcg", "--report", folder]
    done = subprocess.run(
        words, env={**clean_environment(), **environment}, capture_output=True, text=True, check=False,
        timeout=limit(600), cwd="/",
    )  # fmt: skip
    assert (folder / "results.json").exists(), done.stdout + done.stderr
    return {each["claim"]: each["verdict"] for each in json.loads((folder / "results.json").read_text())["verdicts"]}


@pytest.mark.slow
@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York"])
def test_another_time_zone_changes_no_verdict(tmp_path: Path, zone: str) -> None:
    """QEMU dates its captures so that they are right in UTC alone."""
    assert run(tmp_path, "bridge/stp-delays-lease", TZ=zone) == {"bridge/stp-delays-lease": "holds"}


@pytest.fixture(params=[3600, -3600], ids=["forward", "back"])
def jumping_clock(open_folder: Path, request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """The environment of programs whose clock is put on by an hour again and again."""
    library, shift = open_folder / "shift.so", open_folder / "shift"
    source = CHECKOUT / "meta_tests" / "planted" / "shifted_clock.c"
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    shift.write_bytes(struct.pack("q", 0))
    done = threading.Event()

    def jump() -> None:
        with shift.open("r+b", buffering=0) as file:
            for seconds in itertools.count(0, request.param):
                if done.wait(3):
                    return
                os.pwrite(file.fileno(), struct.pack("q", seconds), 0)

    thread = threading.Thread(target=jump)
    thread.start()
    yield {"LD_PRELOAD": str(library), "QEMUNET_META_SHIFT": str(shift)}
    done.set()
    thread.join()


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("cc"), reason="there is no compiler for what shifts the clock")
def test_a_run_while_the_clock_jumps_finds_nothing_broken(open_folder: Path, jumping_clock: dict[str, str]) -> None:
    """For whatever the run starts, QEMU and the lab's servers included."""
    claims = ("bridge/stp-delays-lease", "bridge/lease-known-to-server", "bridge/reachable-ssh", "user/address")
    found = run(open_folder / "out", *claims, **jumping_clock)
    assert set(found) == set(claims)
    assert set(found.values()) <= {"holds", "inconclusive"}, found
