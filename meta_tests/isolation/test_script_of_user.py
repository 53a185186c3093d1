"""A script of a user's is run by a Python that he may execute, wherever the one lies that runs us."""

import sys
from pathlib import Path
from typing import Any

import pytest

from qemunet_tests.host.asking import ask_here
from qemunet_tests.isolation import script_of_user

SCRIPT = "import os, sys; sys.exit(f'{sys.argv[1]} by {os.path.realpath(sys.executable)}')"


class Here:
    """A station and a user of it that are where and who the test is."""

    def ask(self, words: list[str]) -> Any:
        return ask_here(words, within_seconds=60)

    def prefix(self) -> list[str]:
        return ["setpriv", "--"]


@pytest.mark.parametrize("mode", [None, 0o644])
def test_an_interpreter_of_somebody_elses_is_passed_over(
    mode: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is out of sight, or may not be executed."""
    closed = tmp_path / "python3"
    if mode is not None:
        closed.write_text("")
        closed.chmod(mode)
    monkeypatch.setattr(sys, "executable", str(closed))
    here: Any = Here()
    ended = script_of_user.run_as(here, here, SCRIPT, "said")
    assert ended.complaint.startswith("said by /usr"), ended


def test_it_is_ours_where_he_may(monkeypatch: pytest.MonkeyPatch) -> None:
    here: Any = Here()
    monkeypatch.setattr(script_of_user, "PROGRAM_FOLDERS", "/nowhere")
    assert script_of_user.run_as(here, here, SCRIPT, "said").complaint.startswith("said by /")
    monkeypatch.setattr(sys, "executable", "/nowhere/python3")
    assert script_of_user.run_as(here, here, SCRIPT, "said").status in (126, 127)
