"""SSH into a real guest over a forwarded port, and everything that can be wrong with it."""

import re
import threading
from collections.abc import Iterator

import pytest

from qemunet_tests.deadline import Deadline
from qemunet_tests.guest import ssh
from qemunet_tests.guest.bench import Bench
from qemunet_tests.guest.guest import Guest
from qemunet_tests.guest.ssh import CONNECTION_FAILED, SshKey
from qemunet_tests.host.asking import Completed
from qemunet_tests.modes.user import UserNetdev
from qemunet_tests.qemu.netdev import Nic

PORT = 2222


def booted(bench: Bench, key: SshKey, port: int) -> Guest:
    guest = bench.boot(Nic(UserNetdev(hostfwd=(f"tcp:127.0.0.1:{port}-:22",))))
    key.admit_to(guest)
    assert guest.await_lease(0, 20)
    return guest


@pytest.fixture(scope="module")
def guest(bench: Bench, ssh_key: SshKey) -> Iterator[Guest]:
    guest = booted(bench, ssh_key, PORT)
    yield guest
    bench.discard(guest)


def ask(bench: Bench, key: SshKey, command: str, seconds: float = 0.0, port: int = PORT) -> Completed:
    return ssh.ask(key, bench.station, "127.0.0.1", port, command, seconds or bench.pace.seconds(6))


def test_status_and_both_streams_are_exact(bench: Bench, guest: Guest, ssh_key: SshKey) -> None:
    answer = ask(bench, ssh_key, r"printf '\000\001\377 a\r\n\n\t'; printf ' oops\r\n\n' >&2; exit 3")
    assert (answer.status, answer.stdout, answer.stderr) == (3, b"\x00\x01\xff a\r\n\n\t", b" oops\r\n\n")


def test_bulk_on_both_streams(bench: Bench, guest: Guest, ssh_key: SshKey) -> None:
    """More than SSH's window on each, so that whoever reads one after the other hangs."""
    zeros = bytes(3_000_000)
    head = f"head -c {len(zeros)} /dev/zero"
    answer = ask(bench, ssh_key, f"{head} >&2; {head}; echo over", bench.pace.seconds(10))
    assert (answer.status, answer.stdout, answer.stderr) == (0, zeros + b"over\n", zeros)


def test_a_command_that_exceeds_its_time(bench: Bench, guest: Guest, ssh_key: SshKey) -> None:
    answer = ask(bench, ssh_key, "echo begun; sleep 1000", bench.pace.seconds(0.3))
    assert answer.status == CONNECTION_FAILED
    assert re.search("gave up after .* to answer over SSH: echo begun; sleep 1000", answer.complaint)


def test_a_command_that_closes_its_streams_and_stays(bench: Bench, guest: Guest, ssh_key: SshKey) -> None:
    answer = ask(bench, ssh_key, "exec >/dev/null 2>&1; sleep 1000", bench.pace.seconds(0.3))
    assert answer.status == CONNECTION_FAILED


def test_a_key_that_was_not_admitted(bench: Bench, guest: Guest) -> None:
    answer = ask(bench, SshKey.generate(), "true")
    assert (answer.status, answer.stdout) == (CONNECTION_FAILED, b"")
    assert "Authentication" in answer.complaint


def test_nobody_listens(bench: Bench, ssh_key: SshKey) -> None:
    answer = ask(bench, ssh_key, "true", port=PORT + 1)
    assert answer.status == CONNECTION_FAILED
    assert "refused" in answer.complaint


def test_somebody_accepts_and_says_nothing(bench: Bench, ssh_key: SshKey) -> None:
    """What a forwarded port without a guest behind it looks like."""
    with bench.station.open_socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        answer = ask(bench, ssh_key, "true", 0.5, mute.getsockname()[1])
    assert answer.status == CONNECTION_FAILED
    assert "banner" in answer.complaint


def test_no_thread_is_left(bench: Bench, guest: Guest, ssh_key: SshKey) -> None:
    before = threading.active_count()
    ask(bench, ssh_key, "true")
    ask(bench, SshKey.generate(), "true")
    assert Deadline(2, "paramiko's threads").sees(lambda: threading.active_count() == before)


def test_a_guest_whose_ssh_service_is_gone(bench: Bench, ssh_key: SshKey) -> None:
    """A guest of its own: whichever tests a worker comes to later have need of theirs."""
    guest = booted(bench, ssh_key, PORT + 1)
    assert ask(bench, ssh_key, "true", port=PORT + 1).succeeded
    guest.check("killall dropbear")
    answer = ask(bench, ssh_key, "true", port=PORT + 1)
    assert answer.status == CONNECTION_FAILED
    assert answer.complaint
    bench.discard(guest)
