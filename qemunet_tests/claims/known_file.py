"""What is known not to hold, by whom it concerns, and until when: the file of `run --known`.

[[known]]
claim = "user/hostfwd-*"             # one id, or a glob as `qemunet run` takes it
verdict = "broken"                   # or "deviates", "inconclusive", "unavailable"
reason = "BUG-1234: the firewall of this host drops them"
until = 2026-12-31                   # the last day on which it counts, in UTC
"""

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from reprlib import repr as shown
from typing import Any

from qemunet_tests import named_file
from qemunet_tests.claims.loader import matching
from qemunet_tests.errors import UsageError

#: Hundreds of entries.
LIMIT_BYTES = 1 << 18
TABLE = "known"
KEYS = ("claim", "verdict", "reason", "until")
#: What holds is no news anyway.
VERDICTS = ("broken", "deviates", "inconclusive", "unavailable")


@dataclass(frozen=True)
class KnownEntry:
    """One table of the file. `until` is the last day on which it counts."""

    claim: str
    verdict: str
    reason: str
    until: date

    @property
    def claims(self) -> list[str]:
        """The ids it is about, none where it names no claim."""
        return sorted(matching((self.claim,)))


def read(path: Path, flag: str) -> list[KnownEntry]:
    """The entries of a file. Raises UsageError, in one line, with the entry and the key that is wrong."""
    said = named_file.toml_in(path, flag, LIMIT_BYTES)
    try:
        return _entries(said)
    except ValueError as error:
        raise UsageError(f"{flag} {path}: {error}") from None


def _entries(said: dict[str, Any]) -> list[KnownEntry]:
    for key in said:
        if key != TABLE:
            raise ValueError(f"{shown(key)}: every entry begins with [[{TABLE}]]")
    tables = said.get(TABLE, [])
    if not isinstance(tables, list):
        raise ValueError(f"[{TABLE}]: every entry begins with [[{TABLE}]]")
    return [_entry(number, table) for number, table in enumerate(tables, 1)]


def _entry(number: int, table: object) -> KnownEntry:
    where = f"entry {number}"
    if not isinstance(table, dict):
        raise ValueError(f"{where}: {shown(table)} is not a table with {', '.join(KEYS)}")
    for key in (*table, *KEYS):
        if key not in KEYS:
            raise ValueError(f"{where}: {shown(key)} is none of {', '.join(KEYS)}")
        if key not in table:
            raise ValueError(f"{where}: it has no {key!r}")
    if table["verdict"] not in VERDICTS:
        raise ValueError(f"{where}: verdict: {shown(table['verdict'])} is none of {', '.join(VERDICTS)}")
    texts = {key: _text(f"{where}: {key}", table[key]) for key in ("claim", "verdict", "reason")}
    return KnownEntry(**texts, until=_day(f"{where}: until", table["until"]))


def _text(where: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{where}: {shown(value)} says nothing")
    return " ".join(value.split())


def _day(where: str, value: object) -> date:
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        raise ValueError(f"{where}: {shown(value)} is no day, for instance 2026-12-31") from None
