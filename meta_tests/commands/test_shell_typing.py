"""Typing what is piped into `qemunet shell`: against a real shell on a terminal of its own, without a guest."""

import os
import pty
import re
import select
import signal
import socket
import threading
from collections.abc import Iterator

import pytest

from qemunet_tests.commands.piped_input import LEAVE, PipedTyping, without_questions
from qemunet_tests.errors import TimedOut

PATIENCE_SECONDS = 0.3
#: Like the guest's: a shell that comes back when it is left.
RESPAWNING_SHELL = "while :; do env PS1='guest# ' PS2='> ' ENV= sh -i; done"


class Console:
    """A shell on a terminal, and a socket that leads there as QEMU's serial port does."""

    def __init__(self, command: str) -> None:
        self.socket, self._far = socket.socketpair()
        self._pid, self._terminal = pty.fork()
        if self._pid == 0:
            os.execvp("sh", ["sh", "-c", command])
        self._thread = threading.Thread(target=self._carry)
        self._thread.start()

    def _carry(self) -> None:
        with self._far:
            while True:
                ready, _, _ = select.select([self._far, self._terminal], [], [])
                try:
                    if self._terminal in ready:
                        self._far.sendall(os.read(self._terminal, 65536))
                    typed = self._far.recv(65536) if self._far in ready else None
                except OSError:  # the shell's end of the terminal is closed
                    return
                if typed in (b"", LEAVE):
                    return
                if typed:
                    os.write(self._terminal, typed)

    def close(self) -> None:
        self.socket.close()
        self._thread.join()
        os.killpg(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        os.close(self._terminal)


@pytest.fixture
def console() -> Iterator[Console]:
    console = Console(RESPAWNING_SHELL)
    yield console
    console.close()


def transcript(console: Console, source: int) -> str:
    """What a reader sees of a whole session."""
    seen = bytearray()
    typing = PipedTyping(console.socket, source, seen.extend, PATIENCE_SECONDS, b"guest# ")
    typing.wait_for_shell(10, "true")
    typing.type_everything()
    typing.leave()
    return seen.decode().replace("\r\n", "\n")


def piped(text: str) -> int:
    """A pipe with text in it whose other end is closed."""
    reading, writing = os.pipe()
    os.write(writing, text.encode())
    os.close(writing)
    return reading


def test_lines_are_typed_at_the_prompt_and_read_like_a_session(console: Console) -> None:
    seen = transcript(console, piped("echo o''ne\necho t''wo\n"))
    assert seen == "guest# echo o''ne\none\nguest# echo t''wo\ntwo\nguest# \n"


def test_a_command_over_several_lines(console: Console) -> None:
    seen = transcript(console, piped("for n in 1 2\ndo echo n=$n\ndone\n"))
    assert seen.endswith("> done\nn=1\nn=2\nguest# \n")


def test_the_last_line_needs_no_newline_and_empty_lines_are_typed(console: Console) -> None:
    assert transcript(console, piped("\n\necho en''d")).endswith("guest# \nguest# echo en''d\nend\nguest# \n")


def test_nothing_to_type(console: Console) -> None:
    assert transcript(console, piped("")) == "guest# \n"


def test_a_program_that_reads_the_console_gets_its_lines_and_an_end(console: Console) -> None:
    seen = transcript(console, piped("sed s/^/got-/\none\ntwo\n"))
    assert "got-one\n" in seen
    assert "got-two\n" in seen


def test_what_was_typed_unasked_is_not_cut_off(console: Console) -> None:
    seen = transcript(console, piped("sleep 1\necho fi''rst\necho la''st\n"))
    assert "first\n" in seen
    assert "last\n" in seen


def test_output_that_ends_like_a_prompt_is_none(console: Console) -> None:
    seen = transcript(console, piped("printf '<b> '; sleep 0.1; echo ta''il\necho ne''xt\n"))
    assert re.search(r"<b> tail\nguest# echo ne''xt\nnext\n", seen)


def test_a_source_that_takes_its_time(console: Console) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"echo ea''rly\n")
    late = threading.Timer(3 * PATIENCE_SECONDS, lambda: (os.write(writing, b"echo la''te\n"), os.close(writing)))
    late.start()
    seen = transcript(console, reading)
    late.join()
    assert seen == "guest# echo ea''rly\nearly\nguest# echo la''te\nlate\nguest# \n"


def test_a_guest_that_ends_ends_the_typing() -> None:
    console = Console("env PS1='guest# ' ENV= sh -i")
    try:
        assert transcript(console, piped("exit\necho never\n")) == "guest# exit\n"
    finally:
        console.close()


def test_a_prompt_that_the_kernel_has_printed_behind_is_found() -> None:
    console = Console(f"printf 'guest# [    3.1] random: crng init done\\n'; PS1= read -r line; {RESPAWNING_SHELL}")
    try:
        assert transcript(console, piped("echo o''ne\n")).endswith("guest# echo o''ne\none\nguest# \n")
    finally:
        console.close()


def test_a_guest_without_a_shell() -> None:
    console = Console("sleep 60")
    try:
        with pytest.raises(TimedOut, match=r"gave up after [0-9.]+ s waiting for the guest's shell prompt"):
            typing = PipedTyping(console.socket, piped(""), lambda output: None, PATIENCE_SECONDS, b"guest# ")
            typing.wait_for_shell(0.2, "true")
    finally:
        console.close()


@pytest.mark.parametrize("pieces", [[b"a\x1b[6nb"], [b"a\x1b", b"[6", b"nb"], [b"a", b"\x1b[6n", b"b"]])
def test_questions_to_the_terminal_are_not_shown(pieces: list[bytes]) -> None:
    shown = withheld = b""
    for piece in pieces:
        text, withheld = without_questions(withheld + piece)
        shown += text
    assert (shown, withheld) == (b"ab", b"")


def test_other_control_sequences_are_shown() -> None:
    assert without_questions(b"\x1b[J\x1b[2K") == (b"\x1b[J\x1b[2K", b"")


@pytest.mark.parametrize(
    ("lines", "status", "told"),
    [
        ("true\nfalse\n", 1, "false\nguest# \n"),
        ("false\ntrue\n", 0, "true\nguest# \n"),
        ("sh -c 'exit 7'", 7, "exit 7'\nguest# \n"),
        ("", 0, "guest# \n"),
        ("exit 7\necho ne''ver\n", 7, "guest# exit 7\n"),
        ("false\nexit\n", 1, "guest# exit\n"),
        ("sleep 1\nexit 4\necho ne''ver\n", 4, None),
        ("set -e\nfalse\necho never\n", 1, "guest# false\n"),
        ("exec sh -c 'exit 9'\necho never\n", 9, "exit 9'\n"),
        ("trap 'echo by''e; exit 5' EXIT\n", 5, "guest# \nbye\n"),
        ("kill -9 $$\n", 137, None),
    ],
)
def test_the_status_is_what_a_script_of_these_lines_ends_with(
    console: Console, lines: str, status: int, told: str | None
) -> None:
    seen = bytearray()
    typing = PipedTyping(console.socket, piped(lines), seen.extend, PATIENCE_SECONDS, b"guest# ")
    typing.wait_for_shell(10, "true")
    typing.type_everything()
    assert typing.last_status(10) == status
    typing.leave()
    text = seen.decode().replace("\r\n", "\n")
    assert "\nnever" not in text
    if told is not None:
        assert text.endswith(told)


def test_a_guest_that_is_gone_has_no_status() -> None:
    console = Console("env PS1='guest# ' ENV= sh -i")
    try:
        source = piped("kill -9 $PPID\n")
        typing = PipedTyping(console.socket, source, lambda output: None, PATIENCE_SECONDS, b"guest# ")
        typing.wait_for_shell(10, "true")
        typing.type_everything()
        assert typing.last_status(10) == 0
        typing.leave()
    finally:
        console.close()
