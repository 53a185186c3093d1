"""Standard streams that are closed, full, or without a reader; and errors that nobody foresaw."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from meta_tests.qemunet_command import BROKEN, CONDUCT, GOOD, clean_environment, conduct
from meta_tests.user_accounts import CHECKOUT
from qemunet_tests.claims import load

FULL = "qemunet: standard output cannot be written: No space left on device\n"
#: Of a claim each: a line is told with the last test of one.
LONG = GOOD + "".join(
    f"\n@pytest.mark.claim('{claim}')\ndef test_{number}():\n    import pathlib, time\n"
    f"    time.sleep(0.2); pathlib.Path('ran-{number}').touch()\n"
    for number, claim in enumerate([claim for claim in load() if claim.startswith("bridge/")][:30])
)


#: An error in what pytest calls, not in a test.
CRASHING_REPORT = """
from qemunet_tests.plugin.reporter import Reporter

def pytest_runtest_logreport(self, report):
    raise KeyError("oops")

Reporter.pytest_runtest_logreport = pytest_runtest_logreport
"""


def through_shell(line: str, *words: str, cwd: Path | None = None, **environment: str) -> Any:
    """What sh makes of a line in which "$@" is the command."""
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line}", "sh", *words],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=100, cwd=cwd,
        env={**clean_environment(), **environment},
    )  # fmt: skip


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "qemunet_tests", *words]


def conducting(folder: Path, tests: str, *words: str) -> list[str]:
    (folder / "test_it.py").write_text(tests)
    return [sys.executable, "-c", CONDUCT, str(folder), *words]


@pytest.mark.parametrize(
    "words", ["claims", "claims --json", "doctor", "doctor --json", "--help", "run --help", "--version"]
)
def test_standard_output_is_full(words: str) -> None:
    done = through_shell('"$@" > /dev/full', *command(*words.split()))
    assert (done.returncode, done.stderr) == (3, FULL)


@pytest.mark.parametrize(("tests", "code"), [(GOOD, 3), (BROKEN, 1)])
@pytest.mark.parametrize("workers", ["0", "2"])
def test_the_run_of_a_full_standard_output_is_written_down(tmp_path: Path, tests: str, code: int, workers: str) -> None:
    words = conducting(tmp_path, tests, "-n", workers, "--report", "out")
    done = through_shell('"$@" > /dev/full', *words, cwd=tmp_path)
    assert done.returncode == code
    assert done.stderr.endswith(f"s\n{FULL}")
    assert len(json.loads((tmp_path / "out" / "results.json").read_text())["verdicts"]) == 2 + (code == 1)


@pytest.mark.parametrize("words", ["claims", "run", "shell user"])
@pytest.mark.parametrize(("redirection", "name"), [("<&-", "input"), (">&-", "output")])
def test_a_standard_stream_is_closed(words: str, redirection: str, name: str) -> None:
    done = through_shell(f'"$@" {redirection}', *command(*words.split()))
    said = f"qemunet: standard {name} is closed: give it a file, for instance /dev/null\n"
    assert (done.returncode, done.stdout, done.stderr) == (3, "", said)


def test_nothing_is_opened_under_the_number_of_standard_error() -> None:
    done = through_shell('"$@" 2>&-', *command("frobnicate"))
    assert (done.returncode, done.stdout) == (2, "")


@pytest.mark.parametrize("workers", ["0", "2"])
def test_the_reader_of_a_run_has_seen_enough(tmp_path: Path, workers: str) -> None:
    words = conducting(tmp_path, LONG, "-n", workers, "--report", "out")
    done = through_shell('"$@" 2>&1 | head -1', *words, cwd=tmp_path)
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 1
    assert done.returncode == 3
    assert json.loads((tmp_path / "out" / "results.json").read_text())["interrupted"] is True
    assert len(list(tmp_path.glob("ran-*"))) < 30


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_what_a_disk_did_not_take_is_missed(tmp_path: Path, unbuffered: str) -> None:
    """Python's own streams take a write that was cut short for a whole one where they have no buffer."""
    listing = shlex.join(command("claims", "--json"))
    line = f"mkdir out && mount -t tmpfs -o size=64k none out && {listing} >out/list"
    within = ["unshare", "--map-root-user", "--mount", "bash", "-c", line]
    done = through_shell('"$@"', *within, cwd=tmp_path, PYTHONUNBUFFERED=unbuffered, PYTHONPATH=str(CHECKOUT))
    assert (done.returncode, done.stderr) == (3, FULL)


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("words", ["claims", "claims --json"])
def test_the_reader_of_a_long_list_has_seen_enough(words: str, unbuffered: str) -> None:
    done = through_shell('"$@" | head -1', *command(*words.split()), PYTHONUNBUFFERED=unbuffered)
    assert (done.returncode, done.stderr) == (3, "")
    assert len(done.stdout.splitlines()) == 1


def test_a_reader_who_leaves_does_not_mend_what_is_broken(tmp_path: Path) -> None:
    broken = "import pytest\n@pytest.mark.claim('user/address')\ndef test_first(): assert 0, 'no lease'\n"
    words = conducting(tmp_path, broken + LONG, "-n", "0")
    done = through_shell('"$@" 2>&1 | head -1', *words, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, "")


# A report that cannot be written

#: A disk of the size of two results.json, which only this run sees, in folder `out`; what is said of it is kept.
DISK = 'mkdir out && mount -t tmpfs -o size={size} none out && {before} {{ "$@"; }}; status=$?; ls -A out; exit $status'


def with_disk(folder: Path, size: str, before: str, *words: str) -> Any:
    line = DISK.format(size=size, before=before)
    return through_shell(f"unshare --map-root-user --mount bash -c '{line}' sh \"$@\"", *words, cwd=folder)


@pytest.mark.parametrize("filled", [True, False], ids=["full", "nearly-full"])
@pytest.mark.parametrize(("tests", "code"), [(GOOD, 3), (BROKEN, 1)], ids=["good", "broken"])
def test_a_disk_is_full_of_reports(tmp_path: Path, tests: str, code: int, filled: bool) -> None:
    """A full one is told of before anything is tried; one that fills up after it, and worse is still said."""
    before = "head -c 1M /dev/zero > out/ballast 2>/dev/null;" if filled else ""
    done = with_disk(tmp_path, "4k", before, *conducting(tmp_path, tests, "-n", "0", "--report", "out"))
    if filled:
        said = f"qemunet: --report: cannot write into '{tmp_path}/out': No space left on device\n"
        assert (done.returncode, done.stdout, done.stderr) == (3, "ballast\n", said)
    else:
        assert done.returncode == code
        assert f"{tmp_path}/out could not be written: No space left on device" in " ".join(done.stdout.split())
        assert f"{3 if code == 1 else 2} claims: 2 holds" in done.stdout


def test_a_folder_that_takes_no_files_is_wrong_usage(tmp_path: Path) -> None:
    words = conducting(tmp_path, GOOD, "-n", "0", "--report", "out")
    done = with_disk(tmp_path, "1M", "mount -o remount,ro out;", *words)
    said = "qemunet: --report: cannot write into 'out': Read-only file system\n"
    assert (done.returncode, done.stderr) == (2, said)


# Errors that nobody foresaw

CRASH = """
import sys
from qemunet_tests.__main__ import exit_code
from qemunet_tests.commands import claims
def execute(arguments): raise {error}
claims.execute = execute
sys.exit(exit_code(["claims"]))
"""


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            "KeyError('pairs')",
            "KeyError: 'pairs' (an error of qemunet's own, <string> line 5; QEMUNET_TRACEBACK=1 shows",
        ),
        ("ValueError('one\\ntwo')", "ValueError: one (an error of"),
        ("RecursionError", "RecursionError (an error of"),
        ("MemoryError", "MemoryError (an error of"),
        ("ExceptionGroup('two', [ValueError('a'), OSError('b')])", "ExceptionGroup: two (2 sub-exceptions) (an error"),
        ("BrokenPipeError(32, 'Broken pipe')", "Broken pipe (<string> line 5)"),
        ("OSError(28, 'No space left on device', '/x/y')", "No space left on device: /x/y"),
    ],
)
def test_an_unforeseen_error_is_one_line_and_exit_code_3(error: str, said: str) -> None:
    done = through_shell('"$@"', sys.executable, "-c", CRASH.format(error=error))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (3, "", 1)
    assert done.stderr.startswith(f"qemunet: {said}")


def test_its_traceback_is_shown_to_whoever_asks() -> None:
    done = through_shell('"$@"', sys.executable, "-c", CRASH.format(error="KeyError('pairs')"), QEMUNET_TRACEBACK="1")
    assert done.returncode == 3
    assert done.stderr.startswith("Traceback (most recent call last):\n")
    assert done.stderr.splitlines()[-1].startswith("qemunet: KeyError: 'pairs'")


def test_an_error_in_the_bench_of_pytest_is_one_line_too(tmp_path: Path) -> None:
    done = conduct(tmp_path, GOOD, "-n", "0", before=CRASHING_REPORT)
    assert done.returncode == 3
    assert "Traceback" not in done.stdout + done.stderr
    assert "INTERNALERROR" not in done.stdout + done.stderr
    assert "pytest stopped: KeyError: 'oops'" in done.stdout


def test_the_streams_of_who_calls_are_left_as_they_were() -> None:
    from qemunet_tests.__main__ import exit_code

    before = sys.stdout
    assert exit_code(["frobnicate"]) == 2
    assert sys.stdout is before
    assert all(os.fstat(number) for number in range(3))
