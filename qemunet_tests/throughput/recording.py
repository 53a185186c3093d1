"""A recording: JSON lines, appended one by one, readable up to the last whole line whatever ended it.

Lines are of the kinds `session`, `run`, `summary` and `end`; `docs/throughput.md` describes their fields.
"""

import contextlib
import errno
import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from qemunet_tests import named_file
from qemunet_tests.errors import HarnessError, UsageError
from qemunet_tests.printable import printable_json
from qemunet_tests.throughput.recording_shapes import LINES, End, Line, Run, Session, Summary

SCHEMA = 1
#: Hundreds of times what a long recording takes.
LIMIT_BYTES = 1 << 28
_NO_RECORDING = "{} is no recording: it has no line of kind 'session'"


class DiskFull(HarnessError):
    """The disk is full. What was recorded before is kept."""


class Writer:
    """Appends lines to a file that is opened at once, before the lab hides the place where it lies."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._descriptor = named_file.to_append(path, make_folder=True)
        except OSError as error:
            raise UsageError(f"--out {path}: {error.strerror}") from error
        if why := self._unfit():
            os.close(self._descriptor)
            raise UsageError(f"--out {path}: {why}")

    def _unfit(self) -> str | None:
        """Why what is there already cannot become a recording."""
        if not stat.S_ISREG(os.fstat(self._descriptor).st_mode):
            return "it is no regular file"
        return None if self.empty else "there is a recording already, which is not overwritten"

    def append(self, said: Line) -> None:
        """One line in one write. Raises DiskFull, having taken back what of the line was written."""
        line = said.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n"
        before = os.fstat(self._descriptor).st_size
        try:
            written = os.write(self._descriptor, line)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise
            written = 0
        if written < len(line):
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, before)
            raise DiskFull(f"no space is left for {self.path}; it holds what was measured until now")

    def close(self) -> None:
        os.close(self._descriptor)

    @property
    def empty(self) -> bool:
        return os.fstat(self._descriptor).st_size == 0


@dataclass(frozen=True)
class Recording:
    """What a file holds. `ended` is its last line, None where it was cut off; `lost_lines` (0 or 1) are half there."""

    path: Path
    session: Session
    runs: tuple[Run, ...]
    summaries: tuple[Summary, ...] = ()
    ended: End | None = None
    lost_lines: int = 0

    @property
    def valid_runs(self) -> list[Run]:
        return [run for run in self.runs if run.valid]

    @property
    def invalid_runs(self) -> list[Run]:
        return [run for run in self.runs if not run.valid]

    def rates(self, metric: str, arm: str | None, nic: str | None) -> list[float]:
        """What the valid rows of an arm say, in their order."""
        rows = [run for run in self.valid_runs if (run.arm, run.nic) == (arm, nic)]
        return [float(value) for run in rows if (value := run.values.get(metric))]


def read(path: Path, opened: Path | None = None) -> Recording:
    """Raises UsageError where there is no recording in the file, or a damaged one. `opened` is another way to it.

    Only the last line may be half there, as whatever ended the recording has left it.
    """
    *whole, torn = _content(path, opened or path).split(b"\n")
    lines: list[Line] = []
    lost = 0
    for number, row in enumerate(whole, 1):
        if not lines:
            _require_session(path, row)
        if row:
            lines.append(_line(row, f"{path} is damaged: line {number}"))
    if torn:
        try:
            lines.append(_line(torn, ""))
        except UsageError:
            lost = 1
    sessions, ends = (
        [each for each in lines if isinstance(each, Session)],
        [each for each in lines if isinstance(each, End)],
    )
    if not sessions:
        raise UsageError(_NO_RECORDING.format(path))
    return Recording(
        path,
        sessions[0],
        tuple(each for each in lines if isinstance(each, Run)),
        tuple(each for each in lines if isinstance(each, Summary)),
        ends[-1] if ends else None,
        lost,
    )


def _content(path: Path, opened: Path) -> bytes:
    try:
        with named_file.to_read(opened) as file:
            content = named_file.beginning(file, LIMIT_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    if len(content) > LIMIT_BYTES:
        raise UsageError(f"{path} is no recording: it is larger than {LIMIT_BYTES >> 20} MB")
    return content


def _require_session(path: Path, row: bytes) -> None:
    try:
        said = json.loads(row)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict) or said.get("kind") != "session":
        raise UsageError(_NO_RECORDING.format(path))
    if said.get("schema") != SCHEMA:
        raise UsageError(f"{path} has schema {said.get('schema')!r}; this qemunet reads {SCHEMA}")


def _line(row: bytes, place: str) -> Line:
    """One line, which is what its shape says. Raises UsageError, beginning with `place`."""
    try:
        # It refuses what is nested too deeply for anybody to read, too.
        said: Line = LINES["recording"].validate_json(printable_json(row), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise UsageError(f"{place}: {f'{where}: ' if where else ''}{first['msg']}") from None
    except ValueError as error:
        raise UsageError(f"{place}: {error}") from None
    return said
