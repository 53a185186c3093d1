"""The protocol of the control port, spoken with an agent of our own that misbehaves on purpose."""

import hashlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from qemunet_tests.deadline import Deadline
from qemunet_tests.errors import HarnessError, TimedOut
from qemunet_tests.guest.console import NEWLINE, Console, ConsoleClosed

#: An agent's thread that dies is no agent that misbehaves on purpose.
pytestmark = pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")

#: What an agent does with one request: the sequence number and the command, answered over the socket.
Agent = Callable[[int, str, socket.socket], None]


def frame(sequence: int, status: int, stdout: bytes, stderr: bytes = b"") -> bytes:
    digests = " ".join(hashlib.md5(stream, usedforsecurity=False).hexdigest() for stream in (stdout, stderr))
    return f"#QN {sequence} {status} {len(stdout)} {len(stderr)} {digests}\n".encode() + stdout + stderr


@contextmanager
def console_of(agent: Agent) -> Iterator[Console]:
    """A console whose guest answers every request as `agent` does, until `agent` closes its end."""
    ours, theirs = socket.socketpair()

    def serve() -> None:
        # A console that has heard enough hangs up on an agent that is still talking.
        with suppress(ConnectionError):
            for line in theirs.makefile("rb"):
                word, sequence, *rest = line.decode().removesuffix("\n").split(" ", 2)
                if word == "run":
                    agent(int(sequence), rest[0].replace(NEWLINE, "\n"), theirs)

    serving = threading.Thread(target=serve)
    serving.start()
    try:
        yield Console(ours)
    finally:
        ours.close()
        serving.join()
        theirs.close()


def ask(console: Console, command: str = "true", seconds: float = 0.3) -> bytes:
    return console.run(command, seconds, grace_seconds=0.2).stdout


def test_an_answer_in_many_pieces() -> None:
    def drip(sequence: int, _: str, connection: socket.socket) -> None:
        for byte in frame(sequence, 7, b"out\n", b"err"):
            connection.send(bytes([byte]))

    with console_of(drip) as console:
        answer = console.run("anything", 5, 5)
    assert (answer.status, answer.stdout, answer.stderr) == (7, b"out\n", b"err")


def test_the_command_arrives_as_it_was_given() -> None:
    def repeat(sequence: int, command: str, connection: socket.socket) -> None:
        connection.send(frame(sequence, 0, command.encode()))

    awkward = "echo 'a\n\"b\"' \\ # $HOME ü\n\n"
    with console_of(repeat) as console:
        assert ask(console, awkward) == awkward.encode()


def test_a_changed_byte_is_noticed() -> None:
    def change(sequence: int, _: str, connection: socket.socket) -> None:
        connection.send(frame(sequence, 0, b"the truth").replace(b"truth", b"trush"))

    with console_of(change) as console, pytest.raises(HarnessError, match=r"damaged on its way, .*: cat /report"):
        ask(console, "cat /report")


def test_a_lease_comes_without_a_sum() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.send(f"#QN 1 0 9 0 - {hashlib.md5(b'').hexdigest()}\nip=1.2.3.".encode())
        assert Console(ours).await_lease("eth0", 1, 1) == "ip=1.2.3."


def test_after_a_damaged_answer_the_next_one_is_good() -> None:
    def change_once(sequence: int, command: str, connection: socket.socket) -> None:
        answer = frame(sequence, 0, command.encode())
        connection.send(answer.replace(b"one", b"onx") if command == "one" else answer)

    with console_of(change_once) as console:
        with pytest.raises(HarnessError):
            ask(console, "one")
        assert ask(console, "two") == b"two"


def test_a_lost_byte_is_no_answer() -> None:
    def lose(sequence: int, _: str, connection: socket.socket) -> None:
        connection.send(frame(sequence, 0, b"the truth")[:-1])

    with console_of(lose) as console, pytest.raises(TimedOut, match=r"the guest to answer: cat /report"):
        ask(console, "cat /report")


def test_noise_before_the_answer_is_passed_over() -> None:
    def mutter(sequence: int, _: str, connection: socket.socket) -> None:
        connection.send(b"QEMUNET READY 1\n[ 1.2] eth0: link up\r\n#QN so\n" + frame(sequence, 0, b"fine"))

    with console_of(mutter) as console:
        assert ask(console) == b"fine"


def test_an_answer_that_comes_too_late_is_not_taken_for_the_next() -> None:
    pending: list[bytes] = []

    def lag(sequence: int, command: str, connection: socket.socket) -> None:
        pending.append(frame(sequence, 0, command.encode()))
        if command == "second":
            connection.send(b"".join(pending))

    with console_of(lag) as console:
        with pytest.raises(TimedOut):
            ask(console, "first")
        assert ask(console, "second") == b"second"


def test_a_forged_answer_is_not_believed() -> None:
    """Somebody in the guest writes to the port himself, and guesses the number."""

    def forge(sequence: int, _: str, connection: socket.socket) -> None:
        connection.send(f"#QN {sequence} 0 4 0 {'0' * 32} {'0' * 32}\nlies".encode() + frame(sequence, 0, b"true"))

    with console_of(forge) as console, pytest.raises(HarnessError, match="damaged"):
        ask(console)


def test_a_guest_that_ends_half_way_through_its_answer() -> None:
    def hang_up(sequence: int, _: str, connection: socket.socket) -> None:
        connection.send(frame(sequence, 0, b"the truth")[:-3])
        connection.shutdown(socket.SHUT_RDWR)

    with (
        console_of(hang_up) as console,
        pytest.raises(ConsoleClosed, match=r"while we waited for .*: cat /report"),
    ):
        ask(console, "cat /report", seconds=30)


def test_a_guest_that_takes_no_more_input() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(TimedOut, match="takes no more input"):
        ask(Console(ours), "x" * 4_000_000)


def test_a_guest_that_never_gets_ready() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.send(b"QEMUNET REA")
        with pytest.raises(TimedOut, match="the guest to be ready on its control port"):
            Console(ours).wait_until_ready(0.1)


def test_an_answer_without_end_is_not_waited_for() -> None:
    def announces(sequence: int, _: str, guest: socket.socket) -> None:
        guest.sendall(f"#QN {sequence} 0 {10**15} 0 {'0' * 32} {'0' * 32}\n".encode() + b"x" * 100_000)

    with console_of(announces) as console, pytest.raises(HarnessError, match="the guest announces 953674316 MiB"):
        console.run("true", within_seconds=60, grace_seconds=60)


@pytest.mark.parametrize(
    "noise", [b"noise without an end ", b"noise\n", b"#QN 1 0 0 0 "], ids=["line", "lines", "half"]
)
def test_a_guest_that_floods_is_heard_and_not_kept(noise: bytes) -> None:
    """What it said before its answer comes to 20 MB."""

    def floods(sequence: int, _: str, guest: socket.socket) -> None:
        for _ in range(20):
            guest.sendall(noise * (1_000_000 // len(noise)))
        guest.sendall(b"\n" + frame(sequence, 0, b"answer"))

    most: list[int] = []
    with console_of(floods) as console:
        receive = console._receive

        def measured(deadline: Deadline) -> None:
            receive(deadline)
            most.append(len(console._unread))

        console._receive = measured
        assert console.run("true", within_seconds=60, grace_seconds=60).stdout == b"answer"
    assert max(most) < 1_000_000
