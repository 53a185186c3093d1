"""The command line: errors of use, exit codes, help, and lightness."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from meta_tests.qemunet_command import qemunet
from qemunet_tests.__main__ import exit_code
from qemunet_tests.commands import COMMANDS

# Wrong usage


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["clams"], "there is no command 'clams': did you mean 'claims'?"),
        (["frobnicate"], "there is no command 'frobnicate': there are run,"),
        (["--frobnicate"], "unrecognized arguments: --frobnicate"),
        (["claims", "--frobnicate"], "unrecognized arguments: --frobnicate"),
        (["claims", "wifi/*"], "no claim matches 'wifi/*': `qemunet claims` lists them"),
        (["claims", "usr"], "no claim matches 'usr': did you mean 'user/*'?"),
        (["run", "user/adress"], "no claim matches 'user/adress': did you mean 'user/address'?"),
        (["run", "address"], "no claim matches 'address': did you mean 'user/address'?"),
        (["run", "USER/addr*"], "no claim matches 'USER/addr*': did you mean 'user/address'?"),
        (["help"], "there is no command 'help': `qemunet --help`"),
        (["modes", "/"], "/ has no results of a run: there is no results.json in it"),
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
    read = qemunet("claims", "user/gateway*")
    assert read.returncode == 0
    assert "user/gateway-is-host-loopback" in read.stdout
    assert "Basic networking with QEMU" in read.stdout
    assert max(map(len, read.stdout.splitlines())) <= 80
    document = json.loads(qemunet("claims", "user/gateway*", "--json").stdout)
    assert [each["id"] for each in document["claims"]] == ["user/gateway", "user/gateway-is-host-loopback"]


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


@pytest.mark.parametrize(
    ("words", "helpful"),
    [
        ("run --bogus", "qemunet run --help"),
        ("image build --bogus", "qemunet image build --help"),
        ("claims --bogus", "qemunet claims --help"),
        ("--bogus", "qemunet --help"),
    ],
)
def test_an_unknown_argument_leads_to_the_help_of_its_command(words: str, helpful: str) -> None:
    done = qemunet(*words.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"qemunet: unrecognized arguments: --bogus (see `{helpful}`)\n"
