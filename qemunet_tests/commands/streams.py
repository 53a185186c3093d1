"""The standard streams, which may be closed, full, or without a reader."""

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO

from qemunet_tests.errors import HarnessError

_NAMES = ("standard input", "standard output", "standard error")


def require_open() -> None:
    """See that nothing else is ever opened under the number of a standard stream, and that there are those we need.

    To be called before anything is opened. Raises HarnessError where standard input or output is closed.
    """
    closed = [number for number in range(len(_NAMES)) if not _is_open(number)]
    for number in closed:
        # The lowest free number is what is given.
        os.open(os.devnull, os.O_RDWR)
        if number == 2:
            sys.stderr = os.fdopen(2, "w", closefd=False)
    for number in closed:
        if number < 2:
            raise HarnessError(f"{_NAMES[number]} is closed: give it a file, for instance /dev/null")


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


class OutputStream:
    """A text stream that fails at most once: the failure is remembered, and what follows goes nowhere.

    A reader who has left is no failure, and raised as BrokenPipeError: nobody wants to know the rest. `origin` is
    told of what happens to this one.
    """

    def __init__(self, stream: TextIO, origin: object = None) -> None:
        self._stream = stream
        self._origin = origin if isinstance(origin, OutputStream) else None
        self.failure: OSError | None = None
        self.abandoned = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError as error:
            self._close_off(error)
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self._close_off(error)

    def _close_off(self, error: OSError) -> None:
        # What Python has not got rid of yet would fail again when it ends.
        nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        os.dup2(nowhere, self._stream.fileno(), inheritable=self._stream.fileno() < len(_NAMES))
        os.close(nowhere)
        self.remember(error)
        if isinstance(error, BrokenPipeError):
            raise error

    def remember(self, error: OSError) -> None:
        """Note what kept something from being written to this stream."""
        if isinstance(error, BrokenPipeError):
            self.abandoned = True
        else:
            self.failure = self.failure or error
        if self._origin:
            self._origin.remember(error)


def _taking_all(stream: TextIO) -> TextIO:
    """The same stream, or one like it that loses nothing without an error.

    Under `python -u` a text stream has no buffer: what a write did not take, as on a disk with little room, is gone.
    """
    if not isinstance(getattr(stream, "buffer", None), io.RawIOBase):
        return stream
    return open(stream.fileno(), "w", 1, encoding=stream.encoding, errors=stream.errors, closefd=False)


@contextlib.contextmanager
def standard_output() -> Iterator[OutputStream]:
    """Standard output as such a stream, while it lasts."""
    before = sys.stdout
    with _spelling_out(before):
        output = OutputStream(_taking_all(before))
        sys.stdout = output
        try:
            yield output
        finally:
            sys.stdout = before


@contextlib.contextmanager
def _spelling_out(stream: TextIO) -> Iterator[None]:
    """A character that its encoding has not is spelled out, as on standard error, while it lasts."""
    if not isinstance(stream, io.TextIOWrapper):
        yield
        return
    usual = stream.errors
    stream.reconfigure(errors="backslashreplace")
    try:
        yield
    finally:
        stream.reconfigure(errors=usual)
