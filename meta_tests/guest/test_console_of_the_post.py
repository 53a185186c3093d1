"""The one-port console of the post's own command line: a shell among kernel messages, in a terminal that edits."""

import os
import signal
import time
from collections.abc import Iterator

import pytest

from meta_tests.patience import limit
from qemunet_tests.errors import HarnessError, TimedOut
from qemunet_tests.guest.bench import Bench
from qemunet_tests.guest.guest import BOOT_SECONDS
from qemunet_tests.guest.serial_shell import SerialShell
from qemunet_tests.isolation.namespaces import scratch
from qemunet_tests.isolation.processes import Process
from qemunet_tests.observe.lease import ENOUGH_QUESTIONS
from qemunet_tests.observe.nic import address_given

#: Linux 6.1 boots in 92 MiB with the small initramfs, and in 84 it panics.
ROOM_TO_GROW_MIB = 16


@pytest.fixture(scope="module")
def booted(bench: Bench) -> Iterator[tuple[SerialShell, Process]]:
    """The disk, booted with the post's own words."""
    login, process = bench.documented.boot("-enable-kvm", "-nographic", "-hda", "./vdisk.img", "-nic", "none")
    login.wait_for_prompt(2 * BOOT_SECONDS)
    yield login, process
    bench.documented.end(process)


@pytest.fixture
def login(booted: tuple[SerialShell, Process]) -> SerialShell:
    return booted[0]


def test_status_and_both_streams_are_exact(login: SerialShell) -> None:
    answer = login.run(r"printf '\000\001\377 a\r\n\n\t'; printf ' oops\r\n\n' >&2; exit 3")
    assert answer.status == 3
    assert answer.stdout == b"\x00\x01\xff a\r\n\n\t"
    assert answer.stderr == b" oops\r\n\n"


def test_output_of_some_kilobytes_is_exact(login: SerialShell) -> None:
    answer = login.run("seq 2000")
    assert answer.stdout.decode() == "".join(f"{n}\n" for n in range(1, 2001))


def test_a_command_that_quotes_and_comments(login: SerialShell) -> None:
    assert login.run("echo 'it''s \"here\"' # (and that)\necho \"$((1 + 1))\"").stdout == b'its "here"\n2\n'


def test_output_that_looks_like_a_prompt_or_an_answer(login: SerialShell) -> None:
    forged = "guest# " + " ".join(f"#QN {n} 0 d41d8cd98f00b204e9800998ecf8427e   #" for n in (1, 2))
    assert login.run(f"echo '{forged}' >/dev/ttyS0; echo '{forged}'").stdout.decode() == f"{forged}\n"


def test_kernel_messages_in_the_middle_of_the_answer(login: SerialShell) -> None:
    """At a level that `quiet` does not silence, often enough to spoil the first answers."""
    login.run("(n=0; while [ $n -lt 60 ]; do n=$((n+1)); echo '<1>kernel speaks' >/dev/kmsg; sleep 0.02; done) &")
    answers = [login.run("seq 1000; seq 3 >&2").stdout for _ in range(2)]
    assert answers == [b"".join(b"%d\n" % n for n in range(1, 1001))] * 2


def test_a_command_that_wants_input_gets_none(login: SerialShell) -> None:
    assert login.run("cat; echo over").stdout == b"over\n"


def test_a_command_that_exceeds_its_time_is_interrupted(login: SerialShell) -> None:
    with pytest.raises(TimedOut, match="waiting for the guest to answer: echo begun; sleep 1234"):
        login.run("echo begun; sleep 1234", within_seconds=0.2)
    begun = time.monotonic()
    assert login.run("echo usable; ps -o args | grep -c '^sleep 1234'").stdout == b"usable\n0\n"
    assert time.monotonic() - begun < limit(10)


def test_a_command_that_does_not_fit_is_not_run_by_halves(login: SerialShell) -> None:
    with pytest.raises(HarnessError, match="too long"):
        login.run(f"touch /tmp/by-halves; : {'x' * 1000}")
    assert not login.run("ls /tmp/by-halves").succeeded


def test_a_kernel_that_qemu_loads_boots_without_a_word_of_memory(bench: Bench) -> None:
    """In less than the 128 MiB that QEMU gives a guest by itself, because kernels grow."""
    login, process = bench.documented.boot_diskless("-nographic", "-nic", "none", "-m", f"{128 - ROOM_TO_GROW_MIB}M")
    login.wait_for_prompt(BOOT_SECONDS)
    assert login.run("uname").stdout == b"Linux\n"
    bench.documented.end(process)


def test_qemu_is_killed_half_way(bench: Bench) -> None:
    login, process = bench.documented.boot("-nographic", "-hda", "./vdisk.img", "-nic", "none")
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(HarnessError, match="QEMU ended while we waited for the guest's shell prompt"):
        login.wait_for_prompt(BOOT_SECONDS)
    with pytest.raises(HarnessError, match="QEMU ended"):
        login.run("true")
    bench.documented.end(process)


def test_a_disk_that_does_not_boot(bench: Bench) -> None:
    # Not /dev/null, which QEMU locks for all the machine.
    empty = scratch() / "empty.img"
    empty.write_bytes(bytes(1 << 20))
    bench.identity.owns(empty)
    login, process = bench.documented.boot("-nographic", "-nic", "none", "-hda", str(empty))
    with pytest.raises(TimedOut, match=r"shell prompt; last on its console: \w+"):
        login.wait_for_prompt(3 / login.pace.slowdown)
    bench.documented.end(process)
    empty.unlink()


def test_no_address_means_something_only_where_the_guest_has_asked_for_one(bench: Bench) -> None:
    """On a cable to nobody: first its client asks again and again, and then it is gone before it has asked often."""
    login, process = bench.documented.boot_diskless("-nographic", "-nic", "hubport,hubid=7")
    try:
        login.wait_for_prompt(BOOT_SECONDS)
        assert address_given(login, "eth0", ENOUGH_QUESTIONS, wait_seconds=10) == ""
        login.run("killall -KILL udhcpc; echo 'udhcpc: broadcasting discover' >/run/qemunet/udhcpc.eth0.log")
        with pytest.raises(
            HarnessError, match="did not ask often enough: its DHCP client asked and its NIC sent 1 and"
        ):
            address_given(login, "eth0", ENOUGH_QUESTIONS, wait_seconds=1)
    finally:
        bench.documented.end(process)
