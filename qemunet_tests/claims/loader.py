"""Claims are data: one TOML file per mode, one table per claim."""

import functools
import tomllib
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

SHELF = Path(__file__).parent

#: Modes in the order in which people meet them; others follow alphabetically.
FIRST_MODES = ("user", "bridge")


class Source(BaseModel):
    """Where a promise is made."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    document: str = Field(min_length=1)
    section: str = Field(min_length=1)


class Claim(BaseModel):
    """One documented statement.

    `says` is our own sentence. `since` and `until` are QEMU versions. `untested` is the reason why no test
    cites the claim. `diagnosis` names the examination that looks for a cause when the claim breaks.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"^[a-z0-9-]+/[a-z0-9-]+$")
    mode: str
    says: str = Field(min_length=1)
    source: Source
    expected: str = Field(min_length=1)
    since: str | None = None
    until: str | None = None
    untested: str | None = Field(default=None, min_length=1)
    diagnosis: str | None = None


@functools.cache
def load(shelf: Path = SHELF) -> dict[str, Claim]:
    """All claims by id, in the order of modes and then of their file."""
    claims = {}
    for file in sorted(shelf.glob("*.toml"), key=lambda file: _mode_rank(file.stem)):
        for slug, table in tomllib.loads(file.read_text(encoding="utf-8"))["claims"].items():
            claim = Claim(id=f"{file.stem}/{slug}", mode=file.stem, **table)
            claims[claim.id] = claim
    return claims


def matching(globs: Iterable[str], claims: dict[str, Claim] | None = None) -> dict[str, Claim]:
    """The claims whose id one of the globs matches; without globs, all of them."""
    known = load() if claims is None else claims
    wanted = tuple(globs) or ("*",)
    return {id_: claim for id_, claim in known.items() if any(fnmatchcase(id_, glob) for glob in wanted)}


def unmatched(globs: Iterable[str], claims: dict[str, Claim] | None = None) -> list[str]:
    """Those of the globs that match no claim at all."""
    return [glob for glob in globs if not matching([glob], claims)]


def _mode_rank(mode: str) -> tuple[int, str]:
    return (FIRST_MODES.index(mode) if mode in FIRST_MODES else len(FIRST_MODES), mode)
