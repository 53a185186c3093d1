"""A passt of the caller's own serves passt mode, and another that runs in its place is found out."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from meta_tests.patience import limit
from meta_tests.qemunet_command import qemunet
from qemunet_tests.claims import Installed, load
from qemunet_tests.deadline import Deadline
from qemunet_tests.errors import HarnessError
from qemunet_tests.guest.bench import Bench
from qemunet_tests.isolation.processes import stop
from qemunet_tests.modes.passt import MODE
from qemunet_tests.network import Lab
from qemunet_tests.qemu import passt
from qemunet_tests.report.claim_report import ClaimReport
from qemunet_tests.report.session_results import verdicts_of
from qemunet_tests.report.verdict_of_test import VerdictOfTest


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    installed = passt.installed_path()
    if installed is None:
        pytest.skip("passt is not installed")
    copy = Path(shutil.copy(Path(installed).resolve(), tmp_path / "mine"))
    monkeypatch.setattr(passt, "_chosen", [copy])
    yield copy


def test_the_passt_that_was_chosen_serves(own: Path, lab: Lab, bench: Bench) -> None:
    wiring = MODE.plain.wired(lab, bench.identity, bench.qemu)
    try:
        (process,) = wiring.helpers
        assert Path(f"/proc/{process.pid}/exe").read_bytes() == own.read_bytes()
    finally:
        for process in wiring.helpers:
            stop(process)


def test_another_passt_is_found_out(own: Path, lab: Lab, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    # As passt does where passt.avx2 lies beside it.
    monkeypatch.setattr("qemunet_tests.modes.passt._program", iter([passt.installed_path(), str(own)]).__next__)
    with pytest.raises(HarnessError, match="which was to be tried"):
        MODE.plain.wired(lab, bench.identity, bench.qemu)


def test_a_claim_names_the_passt_that_stood_in_its_path(lab: Lab, bench: Bench) -> None:
    installed = passt.find()
    if installed is None:
        pytest.skip("passt is not installed")
    record = ClaimReport(load()["user/address"], "t")
    record.installed = Installed(lambda program: installed.version if program == "passt" else None)
    record.began()
    assert record.verdict().passt is None
    for process in MODE.plain.wired(lab, bench.identity, bench.qemu).helpers:
        stop(process)
    found = VerdictOfTest.from_properties(record.verdict().as_properties())
    assert found and found.passt == installed.version
    (told,) = verdicts_of([found], {})
    assert told.passt == installed.version


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_run_tries_the_one_that_it_was_given(workers: str, open_folder: Path) -> None:
    """One that tells its version, and takes none of the options that it is started with: nothing is learned of it."""
    installed = passt.installed_path()
    if installed is None:
        pytest.skip("passt is not installed")
    # As passt it runs, under another name it would not.
    mine, said = open_folder / "passt", Path(installed).resolve().read_bytes()
    assert said.count(b"\0foreground\0") == 1
    mine.write_bytes(said.replace(b"\0foreground\0", b"\0foregrounD\0"))
    mine.chmod(0o755)
    done = qemunet("run", "passt/guest-address", "passt/one-address", "-n", workers, "--passt", str(mine))
    assert done.returncode == 3, done.stdout + done.stderr
    assert "passt ended" in done.stdout


@pytest.mark.parametrize(
    ("then", "version"),
    [
        ("echo passt 1", "1"),
        ("sleep 4711", None),
        ("echo passt 1; exec sleep 4711", None),
        # As that of Debian 13 does; and as nothing does that is passt.
        ("if [ -t 1 ]; then echo passt 1; fi", "1"),
        ("true", None),
    ],
)
def test_what_a_passt_starts_ends_with_its_answer(
    then: str, version: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that goes on by itself, by a session of its own, and one that never ends."""
    monkeypatch.setattr(passt, "_ANSWER_SECONDS", 1.0)
    began = tmp_path / "began"
    program = tmp_path / "passt"
    quiet = "</dev/null >/dev/null 2>&1"
    program.write_text(f"#!/bin/sh\nsetsid sh -c 'echo $$ >{began}; exec sleep 4711' {quiet} &\nsleep 0.2; {then}\n")
    program.chmod(0o755)
    monkeypatch.setenv("STARTED_BY", str(tmp_path))
    assert passt.version(str(program)) == version
    assert began.exists()
    Deadline(limit(5), "its children to end").wait_until(lambda: not _sleepers(str(tmp_path)))


def _sleepers(folder: str) -> list[int]:
    """Those that were started in an environment with this folder in it."""
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if b"4711" in (each / "cmdline").read_bytes() and folder in os.fsdecode((each / "environ").read_bytes()):
                found.append(int(each.name))
    return found
