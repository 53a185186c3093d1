"""A recording: JSON lines, appended one by one, readable up to the last whole line whatever ended it.

Lines are of the kinds `session`, `run`, `summary` and `end`; `docs/throughput.md` describes their fields.
"""

import contextlib
import errno
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qemunet_tests.harness.errors import HarnessError, UsageError

SCHEMA = 1


class Full(HarnessError):
    """The disk is full. What was recorded before is kept."""


class Writer:
    """Appends lines to a file that is opened at once, before the lab hides the place where it lies."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise UsageError(f"--out {path}: {error.strerror}") from error
        if os.fstat(self._descriptor).st_size:
            os.close(self._descriptor)
            raise UsageError(f"--out {path}: there is a recording already, which is not overwritten")

    def append(self, kind: str, values: Mapping[str, Any]) -> None:
        """One line in one write. Raises Full, having taken back what of the line was written."""
        line = json.dumps({"kind": kind, "schema": SCHEMA, **values}, separators=(",", ":")).encode() + b"\n"
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
            raise Full(f"no space is left for {self.path}; it holds what was measured until now")

    def close(self) -> None:
        os.close(self._descriptor)

    @property
    def empty(self) -> bool:
        return os.fstat(self._descriptor).st_size == 0


@dataclass(frozen=True)
class Recording:
    """What a file holds. `ended` is its last line, None where it was cut off; `lost_lines` could not be read."""

    path: Path
    session: Mapping[str, Any]
    runs: tuple[Mapping[str, Any], ...]
    summaries: tuple[Mapping[str, Any], ...] = ()
    ended: Mapping[str, Any] | None = None
    lost_lines: int = 0

    @property
    def valid_runs(self) -> list[Mapping[str, Any]]:
        return [run for run in self.runs if run.get("valid")]

    @property
    def invalid_runs(self) -> list[Mapping[str, Any]]:
        return [run for run in self.runs if not run.get("valid")]


def read(path: Path) -> Recording:
    """Raises UsageError where there is no recording in the file."""
    try:
        rows = path.read_bytes().split(b"\n")
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    lines: dict[str, list[dict[str, Any]]] = {}
    lost = 0
    for row in filter(None, rows):
        try:
            said = json.loads(row)
            lines.setdefault(said["kind"], []).append(said)
        except (ValueError, KeyError, TypeError):
            lost += 1
    sessions = lines.get("session", [])
    if not sessions:
        raise UsageError(f"{path} is no recording: it has no line of kind 'session'")
    if sessions[0].get("schema") != SCHEMA:
        raise UsageError(f"{path} has schema {sessions[0].get('schema')!r}; this qemunet reads {SCHEMA}")
    return Recording(
        path,
        sessions[0],
        tuple(lines.get("run", [])),
        tuple(lines.get("summary", [])),
        lines["end"][-1] if "end" in lines else None,
        lost,
    )
