"""`qemunet run`: its card, its exit code, and what its options come to."""

import contextlib
import itertools
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from meta_tests.patience import limit
from meta_tests.qemunet_command import BROKEN, CONDUCT, GOOD, clean_environment, conduct
from qemunet_tests.report.time_left import FILE

INCONCLUSIVE = GOOD + "\n@pytest.mark.claim('user/e1000')\ndef test_e1000(): raise OSError('no disk')\n"
UNAVAILABLE = """
import pytest
from qemunet_tests.errors import Unavailable
@pytest.mark.claim("bridge/acl-allow")
def test_acl(): raise Unavailable("no helper", "install it")
"""


@pytest.mark.parametrize(
    ("tests", "code", "lines"),
    [
        (GOOD, 0, ["user: all 2 promises hold", "2 claims: 2 holds"]),
        (BROKEN, 1, ["                reason    no lease", "to try that again:", "qemunet run user/e1000"]),
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
    assert re.fullmatch(r"(\d claims?, about .* by the last run\n)?(\[ *\d+/\d+\] .*s\n)*", done.stderr), done.stderr
    assert "Traceback" not in done.stdout
    assert "chatter" not in done.stdout + done.stderr
    shown = done.stdout.splitlines()
    assert [line for line in lines if line not in shown] == []
    document = json.loads((tmp_path / "out" / "results.json").read_text())
    assert document["interrupted"] is False
    assert (tmp_path / "out" / "junit.xml").is_file()


def test_run_with_workers(tmp_path: Path) -> None:
    done = conduct(tmp_path, BROKEN, "-n", "2")
    assert done.returncode == 1
    assert "[3/3] " in done.stderr
    assert "user/e1000  broken  0.0 s\n" in done.stderr
    assert "3 claims: 2 holds, 1 broken" in done.stdout.splitlines()
    assert "chatter" not in done.stdout + done.stderr


def test_claims_are_counted_and_not_tests(tmp_path: Path) -> None:
    twice = GOOD.replace("'user/address'", '"user/address"') + (
        "\n@pytest.mark.claim('user/address')\ndef test_once_more(): raise OSError('no disk')\n"
    )
    for workers in ("0", "2"):
        said = conduct(tmp_path, twice, "-n", workers).stderr
        assert sorted(re.findall(r"\[\d/\d\] (\S+  \S+)", said)) == [
            "user/address  inconclusive",
            "user/gateway  holds",
        ]
        assert "[2/2]" in said


def test_nothing_is_cut_in_a_pipe(tmp_path: Path) -> None:
    long = GOOD.replace("== claim.expected", "+ claim.sees('very ' * 40 + 'long')")
    shown = conduct(tmp_path, long, "-n", "0").stdout.splitlines()
    assert any(line.endswith("very long") and len(line) > 200 for line in shown), shown


def test_a_quiet_run_says_what_failed_and_no_more(tmp_path: Path) -> None:
    done = conduct(tmp_path, BROKEN, "-n", "0", "-q", "--cold")
    assert (done.returncode, done.stderr) == (1, "")
    assert "user/address" not in done.stdout
    assert "3 claims: 2 holds, 1 broken" in done.stdout.splitlines()
    assert done.stdout.splitlines()[-4:-2] == ["", "broken        user/e1000  no lease"]
    assert done.stdout.splitlines()[-1] == "qemunet run user/e1000 --cold"


def test_a_verbose_run_says_what_was_expected_of_what_holds(tmp_path: Path) -> None:
    shown = " ".join(conduct(tmp_path, GOOD, "-n", "0", "--verbose").stdout.split())
    assert "expected 10.0.2.15/24 observed 10.0.2.15/24" in shown
    assert "expected" not in conduct(tmp_path, GOOD, "-n", "0").stdout


def test_the_next_run_tells_how_long_it_will_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what these tests take is not told to the next run of whoever runs them."""
    monkeypatch.setenv("QEMUNET_CACHE", str(tmp_path / "cache"))
    slow = GOOD.replace('print("chatter")', "import time; time.sleep(0.2)")
    assert "about" not in conduct(tmp_path, slow, "-n", "0").stderr
    assert conduct(tmp_path, slow, "-n", "0").stderr.startswith("2 claims, about 5 s by the last run\n")
    assert not (tmp_path / "cache" / FILE).exists()


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


def test_options_are_validated_once_and_workers_are_told(tmp_path: Path) -> None:
    tests = """
import pytest
from qemunet_tests import plugin
@pytest.mark.claim("user/address")
def test_options(pytestconfig):
    assert hasattr(pytestconfig, "workerinput"), "there is no worker"
    chosen = plugin.settings(pytestconfig)
    assert (chosen.nic, chosen.cold, str(chosen.report)) == (("e1000", "rtl8139"), True, REPORT)
    assert "bridge" not in chosen.model_fields_set, "what nobody named is not told"
    assert not pytestconfig.option.qemunet_nic, "it was spelled again, for pytest to read"
""".replace("REPORT", repr(str(tmp_path / "out")))
    done = conduct(tmp_path, tests, "user/*", "--nic", "e1000", "rtl8139", "--cold", "--report", "out", "-n", "2")
    assert "user: the one promise tried holds" in done.stdout.splitlines(), done.stdout + done.stderr


def test_what_is_dear_is_listed_after_the_card(tmp_path: Path) -> None:
    slow = BROKEN.replace('print("chatter")', "import time; time.sleep(0.3)")
    for number, claims in (("1", ["user/gateway"]), ("0", ["user/gateway", "user/address", "user/e1000"])):
        shown = conduct(tmp_path, slow, "-n", "0", "--durations", number).stdout.splitlines()
        table = [*itertools.takewhile(bool, shown[shown.index("  seconds      CPU  claim") + 1 :])]
        assert sorted(line.split()[2] for line in table) == sorted(claims)
        assert table[0].split()[2] == "user/gateway"
        assert float(table[0].split()[0]) >= 0.3
        assert shown.index("3 claims: 2 holds, 1 broken") < shown.index("  seconds      CPU  claim")
    refused = conduct(tmp_path, slow, "--durations", "-1")
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)


def test_a_host_where_the_lab_cannot_be_entered(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(GOOD)
    closed = CONDUCT.replace('target = "host"', 'target = "lab"')
    closed = closed.replace(
        "sys.exit(",
        "from qemunet_tests import errors; from qemunet_tests.isolation import namespaces\n"
        "def enter(): raise errors.Unavailable('namespaces are forbidden here', 'sudo sysctl -w allow=1')\n"
        "namespaces.enter = enter\n"
        "sys.exit(",
    )
    done = subprocess.run(
        [sys.executable, "-c", closed, str(tmp_path), "-n", "0"],
        capture_output=True, text=True, check=False, timeout=limit(60), cwd=tmp_path, env=clean_environment(),
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
    assert process.wait(timeout=limit(30)) == 1
    text = shown.decode()
    assert "user/e1000" in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")
    card = text[text.rindex("\x1b[?25h") :]
    assert "3 claims: 2 holds, 1 broken" in card
    assert "\x1b[1;31mbroken" in card
    assert "Traceback" not in text
