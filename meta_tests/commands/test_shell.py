"""`qemunet shell`: a real guest at a person's terminal and at the end of a pipe, and what is left afterwards."""

import os
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from meta_tests.patience import limit
from qemunet_tests import modes
from qemunet_tests.__main__ import exit_code
from qemunet_tests.deadline import Deadline

PROMPT = b"guest# "
BOOT_SECONDS = 90
LEAVE, MONITOR = b"\x01x", b"\x01c"


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "qemunet_tests", "shell", *words]


def type_into(text: str, *words: str) -> "subprocess.CompletedProcess[str]":
    """What a shell script sees that pipes commands into a guest."""
    return subprocess.run(
        command(*words), input=text, capture_output=True, text=True, timeout=limit(2 * BOOT_SECONDS), check=False
    )


def descendants(pid: int) -> list[int]:
    """The processes below one, seen from this process."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    children = [int(child) for task in tasks for child in task.read_text().split()]
    return [process for child in children for process in (child, *descendants(child))]


def alive(pid: int) -> bool:
    """Zombies have ended; burying them is for whoever inherited them."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
def terminal() -> Iterator[pexpect.spawn]:
    """`qemunet shell user` on a terminal of its own, at the guest's prompt."""
    words = command("user")
    spawned = pexpect.spawn(words[0], words[1:], timeout=limit(BOOT_SECONDS), dimensions=(24, 100))
    spawned.expect(rb"outside 203\.0\.113\.10.*; leave with Ctrl-A x\r\n")
    spawned.expect(PROMPT)
    yield spawned
    spawned.close(force=True)


def test_an_unknown_mode_is_told_the_known_ones(capfd: pytest.CaptureFixture[str]) -> None:
    assert exit_code(["shell", "wifi"]) == 2
    assert capfd.readouterr().err == f"qemunet: there is no mode 'wifi': modes are {', '.join(modes.every())}\n"


def test_piped_commands_find_a_network_and_the_guest_ends_with_them() -> None:
    ended = type_into("ip -4 addr show eth0\nping -c 1 10.0.2.2\n", "user")
    assert (ended.returncode, ended.stderr.count("\n")) == (0, 1), ended.stderr
    assert "inet 10.0.2.15/24" in ended.stdout
    assert "1 packets transmitted, 1 received" in ended.stdout


@pytest.mark.parametrize(("lines", "status"), [("exit 7\n", 7), ("false\n", 1)])
def test_the_status_of_the_lines_is_that_of_the_command(lines: str, status: int) -> None:
    ended = type_into(lines, "user")
    assert ended.returncode == status
    assert ended.stderr.splitlines()[-1] == f"qemunet: the guest's shell ended with status {status}"


def test_arguments_that_qemu_refuses_are_wrong_usage() -> None:
    ended = type_into("", "user", "--", "-device", "ne9999")
    assert ended.returncode == 2
    hint, *said, complaint = ended.stderr.splitlines()
    assert hint.startswith("qemunet: user: ")
    assert any("'ne9999' is not a valid device" in line for line in said)
    assert complaint == "qemunet: QEMU ended with status 1, having been given: -device ne9999"


@pytest.mark.slow
def test_a_bridged_guest_with_another_nic_can_be_powered_off() -> None:
    asked = "ip -4 addr\nls /sys/class/net\npoweroff -f\necho never\n"
    ended = type_into(asked, "bridge", "--", "-netdev", "user,id=two", "-device", "e1000,netdev=two,romfile=")
    assert ended.returncode == 0, ended.stderr
    assert "inet 192.168.1." in ended.stdout
    assert "inet 10.0.2.15/24" in ended.stdout
    assert "eth0  eth1  lo" in ended.stdout
    assert "echo never" not in ended.stdout


@pytest.mark.slow
def test_a_terminal_is_the_guests_and_is_given_back(terminal: pexpect.spawn) -> None:
    started = descendants(terminal.pid)
    assert len(started) > 3
    # Only what runs gets the signal: the shell itself reads keys.
    terminal.sendline(b"echo slee''ping; sleep 600")
    terminal.expect(b"sleeping")
    terminal.sendcontrol("c")
    terminal.expect(PROMPT)
    terminal.send(MONITOR)
    terminal.expect(rb"\(qemu\) ")
    terminal.send(MONITOR)
    terminal.send(LEAVE)
    terminal.expect(pexpect.EOF)
    terminal.wait()
    assert terminal.exitstatus == 0
    assert [pid for pid in started if alive(pid)] == []


@pytest.mark.slow
def test_a_qemu_that_is_killed_leaves_the_terminal_as_it_was() -> None:
    words = command("user")
    terminal = pexpect.spawn(words[0], words[1:], timeout=limit(BOOT_SECONDS))
    mode = termios.tcgetattr(terminal.child_fd)
    terminal.expect(PROMPT)
    assert termios.tcgetattr(terminal.child_fd) != mode
    (qemu,) = [pid for pid in descendants(terminal.pid) if "qemu-system" in Path(f"/proc/{pid}/comm").read_text()]
    os.kill(qemu, signal.SIGKILL)
    terminal.expect("qemunet: QEMU ended with SIGKILL\r\n")
    terminal.expect(pexpect.EOF)
    assert termios.tcgetattr(terminal.child_fd) == mode
    terminal.wait()
    assert terminal.exitstatus == 3
    terminal.close()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_of_one_that_was_killed(terminal: pexpect.spawn, number: signal.Signals) -> None:
    started = descendants(terminal.pid)
    assert len(started) > 3
    terminal.kill(number)
    ended = Deadline(5.0, "every process of the shell to end")
    ended.wait_until(lambda: not any(map(alive, started)))
