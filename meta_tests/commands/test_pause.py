"""`qemunet run --pause-at-failure`: guests of a failed test live, and answer what is typed."""

import io
import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from rich.console import Console

from meta_tests.qemunet_command import BROKEN, conduct
from qemunet_tests.commands.pause import Pause, way_in
from qemunet_tests.host.asking import Completed


@dataclass
class Answering:
    """What stands for a guest where only its answers matter."""

    name: str
    asked: list[str] = field(default_factory=list)

    def run(self, command: str, within_seconds: float) -> Completed:
        self.asked.append(command)
        return Completed(7 if command == "false" else 0, f"{self.name} did {command}\n".encode(), b"")


def told(typed: str, *guests: Answering) -> str:
    shown = io.StringIO()
    Pause(io.StringIO(typed), Console(file=shown, width=80)).at("user/address: no lease", list(guests))
    return shown.getvalue()


def test_lines_are_commands_until_an_empty_one() -> None:
    one, two = Answering("guest-1"), Answering("guest-2")
    said = told("ip addr\n@2 false\n@3 true\n\nnever\n", one, two)
    assert (one.asked, two.asked) == (["ip addr"], ["false"])
    assert "paused: user/address: no lease" in said
    assert "guest-1 did ip addr\n" in said
    assert "guest-2 did false\nstatus 7\n" in said
    assert "no guest is alive that '@3 true' could be for" in said
    assert said.endswith("going on\n")


def test_the_way_into_the_lab_can_be_typed() -> None:
    assert way_in(12, 0) == "nsenter --target 12 --net --mount"
    assert way_in(12, 1000) == "nsenter --target 12 --user --preserve-credentials --net --mount"


def test_a_failed_test_pauses_and_goes_on(tmp_path: Path) -> None:
    done = conduct(tmp_path, BROKEN, "--pause-at-failure")
    assert done.returncode == 1
    assert "paused: user/e1000: no lease" in done.stderr
    assert "no guest is alive" in done.stderr
    assert "paused: user/address" not in done.stderr
    assert "3 claims: 2 holds, 1 broken" in done.stdout


BARE = """
import pytest
@pytest.mark.claim("user/gateway")
def test_gateway(claim):
    assert claim.sees("") == claim.expected
"""


def test_what_was_seen_is_said_in_no_words_of_python(tmp_path: Path) -> None:
    said = " ".join(conduct(tmp_path, BARE, "--pause-at-failure").stderr.split())
    assert "paused: user/gateway: observed nothing, where 10.0.2.2 is promised" in said


@pytest.mark.parametrize("width", [60, 80])
def test_what_a_terminal_is_told_ends_where_it_does_but_for_what_is_typed(width: int) -> None:
    shown = io.StringIO()
    screen = Console(file=shown, width=width, force_terminal=True, color_system=None)
    Pause(io.StringIO("\n"), screen).at(f"user/gateway: {'no lease ' * 20}", [])
    lines = shown.getvalue().splitlines()
    assert [line for line in lines if len(line) > width and "nsenter" not in line] == []
    assert f"  {way_in(os.getpid(), os.geteuid())}" in lines


@pytest.mark.parametrize(("words", "said"), [(("-n", "2"), "there is one process"), (("-q",), "has something to say")])
def test_what_cannot_be_together_is_wrong_usage(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    done = conduct(tmp_path, BROKEN, "--pause-at-failure", *words)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert said in done.stderr
