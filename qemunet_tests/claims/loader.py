"""Claims are data: for each mode a file, a folder with a file a topic, or both. One table per claim."""

import difflib
import functools
import tomllib
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from qemunet_tests.claims.claim import Claim
from qemunet_tests.errors import UsageError

SHELF = Path(__file__).parent

#: Modes in the order in which people meet them; others follow alphabetically.
FIRST_MODES = ("user", "bridge")

#: What a file may hold. Only a mode's own file may say in which order its topics come.
_CLAIMS, _TOPICS = "claims", "topics"


@functools.cache
def load(shelf: Path = SHELF) -> dict[str, Claim]:
    """All claims by id: in the order of modes, then of the mode's topics, then of their file.

    Raises UsageError with one line that names the file, the claim and the word that is wrong.
    """
    claims: dict[str, Claim] = {}
    written: dict[str, Path] = {}
    for mode in _modes(shelf):
        for file in _files(shelf, mode):
            for slug, table in _tables(_read(file, own=file.parent == shelf), file).items():
                claim = _claim(file, mode, slug, table)
                if claim.id in claims:
                    raise UsageError(f"{file}: the claim {claim.id} is in {written[claim.id]} already")
                claims[claim.id], written[claim.id] = claim, file
    return claims


def matching(globs: Iterable[str], claims: dict[str, Claim] | None = None) -> dict[str, Claim]:
    """The claims whose id one of the globs matches; without globs, all of them."""
    known = load() if claims is None else claims
    wanted = tuple(globs) or ("*",)
    return {id_: claim for id_, claim in known.items() if any(fnmatchcase(id_, glob) for glob in wanted)}


def unmatched(globs: Iterable[str], claims: dict[str, Claim] | None = None) -> list[str]:
    """Those of the globs that match no claim at all."""
    return [glob for glob in globs if not matching([glob], claims)]


def instead_of(glob: str) -> str:
    """What to do about a glob that matches no claim: a question with the one that is most alike, or how to list all."""
    claims = load()
    if named := [id_ for id_ in claims if id_.endswith(f"/{glob}")]:
        return f"did you mean {named[0]!r}?"
    mode, _, slug = glob.lower().partition("/")
    known = [*(f"{each}/*" for each in dict.fromkeys(claim.mode for claim in claims.values())), *claims]
    alike = difflib.get_close_matches(f"{mode}/{slug or '*'}", known, n=1, cutoff=0.75)
    return f"did you mean {alike[0]!r}?" if alike else "`qemunet claims` lists them"


def _modes(shelf: Path) -> list[str]:
    files, folders = shelf.glob("*.toml"), shelf.glob("*/*.toml")
    return sorted({*(file.stem for file in files), *(file.parent.name for file in folders)}, key=_mode_rank)


def _mode_rank(mode: str) -> tuple[int, str]:
    return (FIRST_MODES.index(mode) if mode in FIRST_MODES else len(FIRST_MODES), mode)


def _files(shelf: Path, mode: str) -> Iterator[Path]:
    """The mode's own file, then its topics: those that it orders, then the others alphabetically."""
    own = shelf / f"{mode}.toml"
    topics = {file.stem: file for file in sorted((shelf / mode).glob("*.toml"))}
    ordered = _read(own, own=True).get(_TOPICS, []) if own.is_file() else []
    if not isinstance(ordered, list) or not all(isinstance(topic, str) for topic in ordered):
        raise UsageError(f"{own}: {_TOPICS}: {ordered!r} is no list of names")
    for topic in ordered:
        if topic not in topics:
            raise UsageError(f"{own}: {_TOPICS}: there is no file {mode}/{topic}.toml")
    yield from (own,) if own.is_file() else ()
    yield from (topics.pop(topic) for topic in dict.fromkeys(ordered))
    yield from topics.values()


def _read(file: Path, own: bool) -> dict[str, Any]:
    """`own`: the file is a mode's own, and not that of a topic."""
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as refused:
        raise UsageError(f"{file}: cannot be read: {refused.strerror}") from None
    except ValueError as wrong:
        raise UsageError(f"{file}: {wrong}") from None
    allowed = (_CLAIMS, _TOPICS) if own else (_CLAIMS,)
    for key in document:
        if key not in allowed:
            raise UsageError(f"{file}: there is no key {key!r} at the top of such a file, only {' and '.join(allowed)}")
    return document


def _tables(document: dict[str, Any], file: Path) -> dict[str, Any]:
    tables = document.get(_CLAIMS, {})
    for slug, table in tables.items() if isinstance(tables, dict) else [("", None)]:
        if not isinstance(table, dict):
            raise UsageError(f"{file}: {_CLAIMS}: {slug or tables!r} is no table, for instance [{_CLAIMS}.address]")
    return cast(dict[str, Any], tables)


def _claim(file: Path, mode: str, slug: str, table: dict[str, Any]) -> Claim:
    for key in ("id", "mode", "topic"):
        if key in table:
            raise UsageError(f"{file}: claim {mode}/{slug}: {key}: the place of the table says it already")
    try:
        topic = file.stem if file.parent.name == mode else None
        return Claim(id=f"{mode}/{slug}", mode=mode, topic=topic, **table)
    except ValidationError as wrong:
        raise UsageError(f"{file}: claim {mode}/{slug}: {_first_of(wrong)}") from None


def _first_of(wrong: ValidationError) -> str:
    first = wrong.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"there is no key {where!r}"
    return f"{where}: {first['msg'].removeprefix('Value error, ')}" if where else first["msg"]
