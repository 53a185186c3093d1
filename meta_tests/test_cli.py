"""The command line: errors of use, exit codes, lightness, and `run` with its card and its interruptions."""

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from qemunet_tests.__main__ import exit_code
from qemunet_tests.commands import COMMANDS
from qemunet_tests.harness.deadline import Deadline
from qemunet_tests.report.interrupt import interrupt_only_once

pytest_plugins = "pytester"

#: Runs tests of our own where `qemunet run` would run the conformance tests, outside the lab.
CONDUCT = """
import sys
from pathlib import Path
from qemunet_tests.__main__ import exit_code
from qemunet_tests.commands import run

here, *words = sys.argv[1:]
plain = run.pytest_arguments

def pytest_arguments(settings, workers):
    known = plain(settings, workers)
    left = [word for word in known if word not in ("--pyargs", "qemunet_tests.conformance")]
    return [*left, f"--rootdir={here}", f"--confcutdir={here}", "--qemunet-target=host", here]

run.pytest_arguments = pytest_arguments
import qemunet_tests.commands.preparing as preparing
preparing.prepare_run = lambda console, settings: 0.0
sys.exit(exit_code(["run", *words]))
"""


def qemunet(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The command as a user types it."""
    return subprocess.run(
        [sys.executable, "-m", "qemunet_tests", *words],
        capture_output=True, text=True, check=False, timeout=60, cwd=cwd, env=clean_environment(),
    )  # fmt: skip


def clean_environment() -> dict[str, str]:
    inherited = ("PYTEST_XDIST_WORKER", "QEMUNET_CONTROLLER", "PYTEST_ADDOPTS", "COLUMNS", "FORCE_COLOR")
    return {name: value for name, value in os.environ.items() if name not in inherited}


def conduct(folder: Path, tests: str, *words: str) -> subprocess.CompletedProcess[str]:
    """`qemunet run` on tests of our own."""
    (folder / "test_it.py").write_text(tests)
    return subprocess.run(
        [sys.executable, "-c", CONDUCT, str(folder), *words],
        capture_output=True, text=True, check=False, timeout=60, cwd=folder, env=clean_environment(),
    )  # fmt: skip


# Wrong usage


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["clams"], "there is no command 'clams': did you mean 'claims'?"),
        (["frobnicate"], "there is no command 'frobnicate': there are run,"),
        (["--frobnicate"], "unrecognized arguments: --frobnicate"),
        (["claims", "--frobnicate"], "unrecognized arguments: --frobnicate"),
        (["claims", "wifi/*"], "no claim matches 'wifi/*'"),
        (["run", "wifi/*"], "no claim matches 'wifi/*'"),
        (["run", "user"], "did you mean 'user/*'?"),
        (["run", "--target", "moon"], "--target: 'moon' is not one of 'lab', 'host'"),
        (["run", "--accel", "fast"], "--accel: 'fast' is not one of"),
        (["run", "--nic", "ne2000"], "--nic: the guest has no driver for 'ne2000'"),
        (["run", "--nic"], "expected at least one argument"),
        (["run", "--peer", "nowhere"], "--peer: 'nowhere' is not ADDR:PORT"),
        (["run", "--qemu", "/no/such/qemu"], "--qemu: there is no '/no/such/qemu'"),
        (["run", "--qemu", "/etc/passwd"], "--qemu: '/etc/passwd' is not executable"),
        (["run", "--target", "host", "--expect", "/no/facts"], "--expect: there is no file '/no/facts'"),
        (["run", "--report", "/proc/out"], "--report: cannot write into '/proc/out'"),
        (["run", "--target", "host", "--bridge", "br77"], "--bridge: this host has no bridge 'br77'"),
        (["run", "--bridge", "br77"], "--bridge: the lab's bridge is br0"),
        (["run", "-n", "many"], "-n: 'many' is not a number"),
        (["run", "-n", "-1"], "-n: "),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    words: list[str], complaint: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(words) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("qemunet: ")
    assert err.count("\n") == 1
    assert complaint in err


def test_the_nics_of_a_run_do_not_swallow_the_globs_behind_them(capfd: pytest.CaptureFixture[str]) -> None:
    assert exit_code(["run", "--nic", "e1000", "wifi/*"]) == 2
    assert "no claim matches 'wifi/*'" in capfd.readouterr().err


def test_a_report_folder_that_a_user_may_not_write(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "file"
    file.write_text("in the way")
    assert exit_code(["run", "--report", str(file)]) == 2
    assert str(file) in capfd.readouterr().err


# Help, version, lightness


def test_no_command_prints_help_and_every_command_has_some() -> None:
    plain = qemunet()
    assert plain.returncode == 0
    assert plain.stdout == qemunet("--help").stdout
    for command in ("run", "claims"):
        assert command in plain.stdout
        shown = qemunet(command, "--help")
        assert shown.returncode == 0
        assert "examples:" in shown.stdout
    assert qemunet("--version").stdout.startswith("qemunet ")


def test_commands_that_exist_are_listed_in_order() -> None:
    assert COMMANDS[0] == "run"
    assert "claims" in COMMANDS


def test_claims_imports_nothing_heavy() -> None:
    code = (
        "import sys, contextlib, io\n"
        "from qemunet_tests.__main__ import exit_code\n"
        "with contextlib.redirect_stdout(io.StringIO()) as out: code = exit_code(['claims', '--json'])\n"
        "heavy = {'pytest', 'scapy', 'pyroute2', 'paramiko', 'pexpect', 'qemu.qmp'} & set(sys.modules)\n"
        "print(code, sorted(heavy), len(out.getvalue()) > 5000)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "0 [] True\n"


def test_claims_for_reading_and_for_scripts() -> None:
    read = qemunet("claims", "user/dns-*")
    assert read.returncode == 0
    assert "user/dns-offered" in read.stdout
    assert "Basic networking with QEMU" in read.stdout
    assert max(map(len, read.stdout.splitlines())) <= 80
    document = json.loads(qemunet("claims", "user/dns-*", "--json").stdout)
    assert [each["id"] for each in document["claims"]] == ["user/dns-offered", "user/dns-resolves"]


def test_a_reader_who_has_seen_enough_is_no_error() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "qemunet_tests", "claims", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout and process.stderr
        process.stdout.close()
        assert process.stderr.read() == ""


# run


GOOD = """
import pytest
@pytest.mark.claim("user/address")
def test_address(claim): assert claim.sees("10.0.2.15/24") == claim.expected
@pytest.mark.claim("user/gateway")
def test_gateway(): print("chatter"); import sys; print("more", file=sys.stderr)
"""
BROKEN = GOOD + "\n@pytest.mark.claim('user/e1000')\ndef test_e1000(): assert 0, 'no lease'\n"
INCONCLUSIVE = GOOD + "\n@pytest.mark.claim('user/e1000')\ndef test_e1000(): raise OSError('no disk')\n"
UNAVAILABLE = """
import pytest
from qemunet_tests.harness.errors import Unavailable
@pytest.mark.claim("bridge/acl-allow")
def test_acl(): raise Unavailable("no helper", "install it")
"""


@pytest.mark.parametrize(
    ("tests", "code", "lines"),
    [
        (GOOD, 0, ["[1/2] user/address  holds  0.0 s", "user: all 2 promises hold", "2 claims: 2 holds"]),
        (BROKEN, 1, ["[3/3] user/e1000  broken  0.0 s", "                reason    no lease"]),
        (INCONCLUSIVE, 3, ["                reason    OSError: no disk"]),
        (UNAVAILABLE, 3, ["bridge: cannot be tried here: no helper", "                remedy    install it"]),
        ("import no_such_module", 3, ["no claim was tried"]),
        ("def test_it(): pass", 3, ["no claim was tried"]),
        (GOOD + "\ndef test_uncited(): assert 0", 3, ["a test that cites no claim failed"]),
    ],
)
def test_run_in_one_process(tmp_path: Path, tests: str, code: int, lines: list[str]) -> None:
    done = conduct(tmp_path, tests, "-n", "0", "--report", "out")
    assert done.returncode == code
    assert done.stderr == ""
    assert "Traceback" not in done.stdout
    assert "chatter" not in done.stdout
    shown = done.stdout.splitlines()
    assert [line for line in lines if line not in shown] == []
    assert [len(line) for line in shown if len(line) > 80 and "written:" not in line] == []
    document = json.loads((tmp_path / "out" / "results.json").read_text())
    assert document["interrupted"] is False
    assert (tmp_path / "out" / "junit.xml").is_file()


def test_run_with_workers(tmp_path: Path) -> None:
    done = conduct(tmp_path, BROKEN, "-n", "2")
    assert done.returncode == 1
    assert done.stderr == ""
    assert "3 claims: 2 holds, 1 broken" in done.stdout.splitlines()
    assert "chatter" not in done.stdout


def test_run_takes_globs(tmp_path: Path) -> None:
    done = conduct(tmp_path, BROKEN, "user/a*", "-n", "1")
    assert done.returncode == 0
    assert "1 claim: 1 holds" in done.stdout.splitlines()


def test_the_project_around_a_run_is_not_asked(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    assert conduct(tmp_path, GOOD, "-n", "0").returncode == 0


def test_every_option_reaches_the_tests(tmp_path: Path) -> None:
    qemu = tmp_path / "my-qemu"
    qemu.write_text("#!/bin/sh\n")
    qemu.chmod(0o755)
    (tmp_path / "facts.toml").touch()
    tests = f"""
import pytest
from qemunet_tests import plugin
@pytest.mark.claim("user/address")
def test_options(pytestconfig):
    chosen = plugin.settings(pytestconfig)
    assert str(chosen.peer) == "192.0.2.7:7777" and chosen.peer.host == "192.0.2.7" and chosen.peer.port == 7777
    assert str(chosen.qemu) == {str(qemu)!r}
    assert str(chosen.expect) == {str(tmp_path / "facts.toml")!r}
    assert str(chosen.report) == {str(tmp_path / "out")!r}
    assert (chosen.accel, chosen.nic, chosen.cold, chosen.keep) == ("tcg", ("e1000", "rtl8139"), True, True)
    assert chosen.claims == ("user/*",)
"""
    done = conduct(
        tmp_path, tests, "user/*", "--target", "host", "--peer", "192.0.2.7:7777", "--qemu", "./my-qemu",
        "--expect", "facts.toml",
        "--report", "out", "--accel", "tcg", "--nic", "e1000", "rtl8139", "--cold", "--keep", "-n", "1",
    )  # fmt: skip
    assert "user: the one promise tried holds" in done.stdout.splitlines(), done.stdout + done.stderr


def test_a_host_where_the_lab_cannot_be_entered(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(GOOD)
    closed = CONDUCT.replace(', "--qemunet-target=host"', ', "--qemunet-target=lab"') + ""
    closed = closed.replace(
        "sys.exit(",
        "from qemunet_tests.harness import errors, namespaces\n"
        "def enter(): raise errors.Unavailable('namespaces are forbidden here', 'sudo sysctl -w allow=1')\n"
        "namespaces.enter = enter\n"
        "sys.exit(",
    )
    done = subprocess.run(
        [sys.executable, "-c", closed, str(tmp_path), "-n", "0"],
        capture_output=True, text=True, check=False, timeout=60, cwd=tmp_path, env=clean_environment(),
    )  # fmt: skip
    assert done.returncode == 3
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "qemunet: namespaces are forbidden here",
        "qemunet: remedy: sudo sysctl -w allow=1",
    ]


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_terminal_sees_a_live_line_and_then_the_card(tmp_path: Path, workers: str) -> None:
    (tmp_path / "test_it.py").write_text(BROKEN)
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", CONDUCT, str(tmp_path), "-n", workers],
        stdin=theirs, stdout=theirs, stderr=theirs, cwd=tmp_path,
        env={**clean_environment(), "TERM": "xterm"}, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):
        while part := os.read(ours, 65536):
            shown += part
    os.close(ours)
    assert process.wait(timeout=30) == 1
    text = shown.decode()
    assert "user/e1000" in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")
    card = text[text.rindex("\x1b[?25h") :]
    assert "3 claims: 2 holds, 1 broken" in card
    assert "\x1b[1;31mbroken" in card
    assert "Traceback" not in text


# Ctrl-C


SLOW = """
import os, threading
from pathlib import Path
import pytest

HERE = Path(__file__).parent

@pytest.fixture
def guest():
    yield
    (HERE / "ending").touch()
    if (HERE / "stubborn").exists():
        threading.Event().wait(60)
    # Long enough for a second signal to come while this cleans up.
    threading.Event().wait(1)
    (HERE / "ended").touch()

@pytest.mark.claim("user/address")
def test_first(): {first}

@pytest.mark.claim("user/gateway")
def test_slow(guest):
    (HERE / "started").touch()
    threading.Event().wait(60)

@pytest.mark.claim("user/e1000")
def test_last():
    # A second worker has it beside the slow one.
    threading.Event().wait(60)
"""


@contextlib.contextmanager
def running(folder: Path, first: str, *words: str) -> Iterator[subprocess.Popen[str]]:
    """A run that has arrived in its slow test, as the leader of a process group of its own."""
    (folder / "test_it.py").write_text(SLOW.format(first=first))
    with (folder / "stdout").open("w") as out, (folder / "stderr").open("w") as err:
        process = subprocess.Popen(
            [sys.executable, "-c", CONDUCT, str(folder), "--report", "out", *words],
            stdout=out, stderr=err, text=True, cwd=folder, env=clean_environment(), start_new_session=True,
        )  # fmt: skip
    try:
        Deadline(30, "the slow test to start").wait_until(
            lambda: (folder / "started").exists() or process.poll() is not None
        )
        Deadline(10, "the first test to be reported").wait_until(
            lambda: "user/address" in (folder / "stdout").read_text()
        )
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def living(group: int) -> list[str]:
    """Processes of a group that have not ended."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, pgrp = stat.read_text().rpartition(")")[2].split()[:3]
            if int(pgrp) == group and state not in "ZX":
                found.append(f"{stat.parent.name} {state}")
    return found


@pytest.mark.parametrize("workers", ["0", "2"])
@pytest.mark.parametrize("sent_to", ["the terminal's group", "the process"])
def test_the_first_interrupt_ends_in_order(tmp_path: Path, workers: str, sent_to: str) -> None:
    with running(tmp_path, "pass", "-n", workers) as process:
        if sent_to == "the process":
            process.send_signal(signal.SIGINT)
        else:
            os.killpg(process.pid, signal.SIGINT)
        # xdist alone would get round to it after 5 s.
        Deadline(4, "the test to be interrupted").wait_until((tmp_path / "ending").exists)
        assert process.wait(timeout=20) == 3
        assert living(process.pid) == []
    shown = (tmp_path / "stdout").read_text()
    assert "interrupted: ending the guests (Ctrl-C again ends at once)" in shown
    assert "1 claim: 1 holds" in shown
    assert "interrupted: claims that were not tried yet are not listed" in shown
    assert "Traceback" not in shown
    assert (tmp_path / "stderr").read_text() == ""
    assert (tmp_path / "ended").exists()
    document = json.loads((tmp_path / "out" / "results.json").read_text())
    assert document["interrupted"] is True
    assert [each["claim"] for each in document["verdicts"]] == ["user/address"]
    assert (tmp_path / "out" / "junit.xml").is_file()


def test_a_worker_is_interrupted_only_once() -> None:
    before = signal.getsignal(signal.SIGINT)
    try:
        interrupt_only_once()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_an_interrupted_run_that_has_seen_something_broken_says_so(tmp_path: Path) -> None:
    with running(tmp_path, "assert 0, 'no lease'", "-n", "0") as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 1


@pytest.mark.parametrize("workers", ["0", "2"])
def test_the_second_interrupt_ends_at_once(tmp_path: Path, workers: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "stubborn").touch()
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    with running(tmp_path, "pass", "-n", workers) as process:
        os.killpg(process.pid, signal.SIGINT)
        Deadline(10, "the fixture to clean up").wait_until((tmp_path / "ending").exists)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(timeout=3) == 3
        Deadline(3, "the workers to be gone").wait_until(lambda: living(process.pid) == [])
    assert "interrupted twice" in (tmp_path / "stdout").read_text()
    assert "Traceback" not in (tmp_path / "stdout").read_text()
    assert (tmp_path / "stderr").read_text() == ""
    assert not (tmp_path / "ended").exists()
    assert not [left for left in (tmp_path / "tmp").iterdir() if not left.name.startswith("pytest-of-")]
