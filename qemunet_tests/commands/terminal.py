"""Two places for output: what the user sees, and what stays hidden unless something goes wrong."""

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, BinaryIO, TextIO, cast

from rich.console import Console

from qemunet_tests.commands.streams import OutputStream

PIPE_WIDTH = 80
WIDEST = 120
NARROWEST = 40


class Screen(Console):
    """A console that leaves it to others what a reader who has left means, and is never too narrow to be read."""

    def __init__(self, **wanted: Any) -> None:
        super().__init__(**wanted)
        # COLUMNS, which rich asks, may say anything.
        if self.width < NARROWEST:
            self.width = PIPE_WIDTH if self.width == 0 else NARROWEST

    def on_broken_pipe(self) -> None:
        """rich would end the process, with the status that means `broken`."""
        raise BrokenPipeError


@dataclass(frozen=True)
class Screens:
    """Where a run shows what: the card, which is its result, and meanwhile its progress."""

    card: Console
    progress: Console


@contextlib.contextmanager
def own_screens(quiet: bool = False) -> Iterator[Screens]:
    """Consoles on today's standard output and standard error, whatever happens to those later.

    Where `quiet`, no progress is shown.
    """
    with own_console() as card, own_console(sys.stderr) as progress:
        yield Screens(card, Console(quiet=True) if quiet else progress)


@contextlib.contextmanager
def own_console(shown: TextIO | None = None) -> Iterator[Console]:
    """A console on today's standard output, or what else is `shown`, whatever happens to that later."""
    stream_now = sys.stdout if shown is None else shown
    descriptor = os.dup(stream_now.fileno())
    with os.fdopen(descriptor, "w", encoding=stream_now.encoding, errors="backslashreplace") as stream:
        output = cast(IO[str], OutputStream(stream, origin=stream_now))
        if not stream.isatty():
            yield Screen(file=output, width=PIPE_WIDTH, force_terminal=False, color_system=None)
            return
        # A pseudo-terminal that nobody has given a size says 0.
        size = os.get_terminal_size(descriptor)
        columns, lines = size.columns or PIPE_WIDTH, size.lines or 24
        # One column less than there is, because some terminals wrap a full line.
        yield Screen(file=output, width=min(columns, WIDEST + 1) - 1, height=lines)


@contextlib.contextmanager
def hidden_output() -> Iterator[BinaryIO]:
    """Standard output and error go into a file, those of child processes too."""
    # In memory: a disk that is full is no reason to stop.
    with os.fdopen(os.memfd_create("hidden"), "w+b") as hidden:
        sys.stdout.flush()
        sys.stderr.flush()
        saved = {descriptor: os.dup(descriptor) for descriptor in (1, 2)}
        try:
            for descriptor in saved:
                os.dup2(hidden.fileno(), descriptor)
            yield hidden
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for descriptor, copy in saved.items():
                os.dup2(copy, descriptor)
                os.close(copy)


def text_of(hidden: BinaryIO) -> str:
    """What was hidden so far."""
    sys.stdout.flush()
    sys.stderr.flush()
    hidden.seek(0)
    return hidden.read().decode(errors="backslashreplace")
