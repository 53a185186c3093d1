"""Driving a real guest: what its commands say arrives byte for byte, whatever else goes on."""

import hashlib
import secrets
import shlex
import time

import pytest

from meta_tests.patience import limit
from qemunet_tests.errors import HarnessError, TimedOut
from qemunet_tests.guest.guest import CommandFailed, Guest

MEBIBYTE = 1 << 20


def digest(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def running(guest: Guest, words: str) -> bool:
    """Whether a process with exactly these words runs in the guest."""
    return guest.run(f"ps -o args | grep -qx '{words}'").succeeded


def test_status_and_both_streams_are_exact(shared_guest: Guest) -> None:
    answer = shared_guest.run(r"printf '\000\001\377 a\r\n\n\t'; printf ' oops\r\n\n' >&2; exit 3")
    assert answer.status == 3
    assert answer.stdout == b"\x00\x01\xff a\r\n\n\t"
    assert answer.stderr == b" oops\r\n\n"


def test_the_streams_are_not_mixed(shared_guest: Guest) -> None:
    answer = shared_guest.run("for n in 1 2 3; do echo out $n; echo err $n >&2; done")
    assert answer.stdout == b"out 1\nout 2\nout 3\n"
    assert answer.stderr == b"err 1\nerr 2\nerr 3\n"


@pytest.mark.parametrize("status", [0, 1, 2, 124, 126, 127, 137, 255])
def test_any_status_is_an_answer(shared_guest: Guest, status: int) -> None:
    assert shared_guest.run(f"exit {status}").status == status


def test_a_command_that_kills_itself(shared_guest: Guest) -> None:
    assert shared_guest.run("kill -9 $$").status == 128 + 9


def test_output_that_looks_like_a_prompt_or_an_answer(shared_guest: Guest) -> None:
    # Answers are numbered: one of these bears the number of the answer that carries it, others those to come.
    forged = "".join(f"#QN {number} 0 4 0 {digest(b'lies')}\nlies" for number in range(200))
    says = f"guest# \n~ # \nQEMUNET READY 1\n{forged}\nQEMUNET READY 1\n"
    shared_guest.put("/tmp/says", says.encode())
    answer = shared_guest.run("cat /tmp/says; cat /tmp/says >&2; exit 9")
    assert (answer.status, answer.stdout, answer.stderr) == (9, says.encode(), says.encode())
    assert shared_guest.run("echo still here").text == "still here"


def test_a_mebibyte_of_random_bytes(shared_guest: Guest) -> None:
    answer = shared_guest.run(f"head -c {MEBIBYTE} /dev/urandom | tee /tmp/random; md5sum </tmp/random >&2", 30)
    assert len(answer.stdout) == MEBIBYTE
    assert digest(answer.stdout) == answer.complaint.split()[0]


def test_kernel_messages_while_output_flows(shared_guest: Guest) -> None:
    """At a level that `quiet` does not silence, from beside the command, before and during its answer."""
    word = secrets.token_hex(8)
    shared_guest.run(f"(while :; do echo '<1>{word}' >/dev/kmsg; sleep 0.01; done) & echo $! >/tmp/talker")
    try:
        answer = shared_guest.run("head -c 200000 /dev/urandom | tee /tmp/random; md5sum </tmp/random >&2", 30)
    finally:
        shared_guest.run("kill $(cat /tmp/talker)")
    assert shared_guest.qemu.console_text.count(word) > 5, "the kernel was silent"
    assert digest(answer.stdout) == answer.complaint.split()[0]


def test_a_command_that_exceeds_its_time(shared_guest: Guest) -> None:
    begun = time.monotonic()
    with pytest.raises(TimedOut, match=r"gave up after .* s waiting for the guest to finish: echo begun; sleep 1234"):
        shared_guest.run("echo begun; sleep 1234; echo ended", within_seconds=0.1)
    assert time.monotonic() - begun < limit(5)
    assert not running(shared_guest, "sleep 1234")
    assert shared_guest.run("echo usable").stdout == b"usable\n"


def test_a_command_that_exceeds_its_time_and_clings(shared_guest: Guest) -> None:
    with pytest.raises(TimedOut):
        shared_guest.run("trap '' TERM INT HUP; sleep 1235 & sleep 1236 | cat", within_seconds=0.1)
    assert not running(shared_guest, "sleep 1235")
    assert not running(shared_guest, "sleep 1236")
    assert shared_guest.run("echo usable").stdout == b"usable\n"


def test_a_child_in_the_background_blocks_nobody(shared_guest: Guest) -> None:
    begun = time.monotonic()
    answer = shared_guest.run("sleep 1237 & echo $!")
    assert time.monotonic() - begun < limit(5)
    assert running(shared_guest, "sleep 1237")
    assert shared_guest.run(f"kill {answer.text}").succeeded


def test_a_command_that_wants_input_gets_none(shared_guest: Guest) -> None:
    assert shared_guest.run("cat; read line; echo $?").stdout == b"1\n"


@pytest.mark.parametrize("size_bytes", [0, 60_001])
def test_a_file_arrives_as_it_was_sent(shared_guest: Guest, size_bytes: int) -> None:
    content = secrets.token_bytes(size_bytes)
    path = '/tmp/a folder/it\'s "here" $HOME'
    shared_guest.put(path, content)
    assert shared_guest.check(f"md5sum <{shlex.quote(path)}").split()[0] == digest(content)


def test_a_file_that_does_not_exist_is_none(shared_guest: Guest) -> None:
    assert shared_guest.read("/no/such/file") is None
    assert shared_guest.read("/etc/hostname's") is None


def test_a_command_that_is_relied_on(shared_guest: Guest) -> None:
    assert shared_guest.check("echo ' 10.0.2.15 '") == "10.0.2.15"
    with pytest.raises(CommandFailed, match="`cat /no/such` ended with status 1: cat: can't open '/no/such'") as failed:
        shared_guest.check("cat /no/such")
    assert isinstance(failed.value, HarnessError)
    assert failed.value.completed.status == 1
    with pytest.raises(CommandFailed, match="it said nothing"):
        shared_guest.check("false")


def test_a_long_command_arrives_whole(shared_guest: Guest) -> None:
    """Longer than a terminal's line and its buffer."""
    long = "x" * 20_000
    assert shared_guest.run(f"echo {long} | md5sum").text.split()[0] == digest(f"{long}\n".encode())


def test_a_guest_that_stands_still_is_given_up_and_comes_back(shared_guest: Guest) -> None:
    shared_guest.monitor.execute("stop")
    try:
        with pytest.raises(TimedOut, match="waiting for the guest to answer: echo lost"):
            shared_guest._console.run("echo lost", 0.2, grace_seconds=0.2)
    finally:
        shared_guest.monitor.execute("cont")
    assert shared_guest.run("echo back").stdout == b"back\n"
