"""docs/mutants.md: each edit, what it breaks, the claims that break, and the reason that the card gives.

`tox -e mutants` tries all mutants, then `python -m meta_tests.mutants.table RECORDS docs/mutants.md` writes the table.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from meta_tests.mutants.edits import Edit, edits
from meta_tests.mutants.trying import UNMODIFIED, record_of

HEAD = """\
# Mutants

Written by `tox -e mutants`: libslirp and qemu-bridge-helper, in the versions that this QEMU is installed with, are
built with one edit each and tried in the place of the installed ones (`--libslirp`, `--bridge-helper`). Each edit is a
bug; the claims that try what it breaks have to be broken. Which claims are tried is decided by the file edited: first
those that the edit names, and where none of them breaks, all others that the file concerns. What survives says why. The
edits are data of our own, in `meta_tests/mutants/edits`: a function, the shortest text that is there once, and what it
becomes.
"""
_COLUMNS = ("killed", "killed by other claims", "survives", "no claim yet")
_TABLE = "| file | edit | what it breaks | claims that break | observed, and the reason given |"
_MOST_CHARACTERS = 200


def page(records: Path) -> str:
    """The whole page as Markdown."""
    known = [(edit, _read(record_of(records, edit.program, edit.file, edit.name))) for edit in edits()]
    lines = [HEAD, *_counts(known), *_unmodified(records)]
    for program in ("libslirp", "helper"):
        lines += ["", f"## {'libslirp' if program == 'libslirp' else 'qemu-bridge-helper'}", ""]
        lines += [_TABLE, "|---|---|---|---|---|"]
        lines += [_row(edit, said) for edit, said in known if edit.program == program]
    return "\n".join([*lines, ""])


def became(edit: Edit, said: dict[str, Any] | None) -> str:
    """One word for it, or a few."""
    if said is None:
        return "not tried yet"
    if said["untried"]:
        return "could not be tried"
    if said["broken"]:
        right = not edit.killed_by or set(edit.killed_by) & set(said["broken"])
        return "killed" if right else "killed by other claims"
    return "no claim yet" if edit.no_claim else "survives"


def _counts(known: list[tuple[Edit, dict[str, Any] | None]]) -> Iterator[str]:
    yield f"| program | edits | bugs that once were | {' | '.join(_COLUMNS)} | not tried |"
    yield "|---" * 8 + "|"
    for program in ("libslirp", "helper"):
        of = [(edit, said) for edit, said in known if edit.program == program]
        words = [became(edit, said) for edit, said in of]
        columns = [words.count(word) for word in _COLUMNS]
        rest = len(of) - sum(columns)
        once = sum(bool(edit.once) for edit, _ in of)
        yield f"| {program} | {len(of)} | {once} | {' | '.join(map(str, columns))} | {rest} |"


def _unmodified(records: Path) -> Iterator[str]:
    for program in ("libslirp", "helper"):
        if said := _read(record_of(records, program, "", UNMODIFIED)):
            found = ", ".join(said["broken"]) or "nothing"
            yield ""
            yield f"The unmodified build of {program}: of {len(said['tried'])} claims {found} is broken."


def _row(edit: Edit, said: dict[str, Any] | None) -> str:
    broken = said["broken"] if said else {}
    what = f"{edit.breaks} ({edit.once})" if edit.once else edit.breaks
    claims = ", ".join(broken) or _without_claims(edit, said)
    first = next((broken[claim] for claim in (*edit.killed_by, *broken) if claim in broken), {})
    observed, reason = first.get("observed") or "", first.get("reason") or ""
    told = "; ".join(filter(None, (observed if observed not in reason else "", reason)))
    cells = [f"`{edit.file}`", f"`{edit.function}`: {edit.name}", what, claims, told]
    return f"| {' | '.join(_cell(cell) for cell in cells)} |"


def _without_claims(edit: Edit, said: dict[str, Any] | None) -> str:
    word = became(edit, said)
    if word == "no claim yet":
        return f"no claim yet: {edit.no_claim}"
    if word == "survives" and edit.survives:
        return f"survives: {edit.survives}"
    return f"{word}: {said['untried']}" if said and said["untried"] else word


def _cell(text: str) -> str:
    plain = " ".join(text.split()).replace("|", "/")
    return plain if len(plain) <= _MOST_CHARACTERS else f"{plain[: _MOST_CHARACTERS - 1]}…"


def _read(file: Path) -> dict[str, Any] | None:
    return json.loads(file.read_text()) if file.is_file() else None


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(page(Path(sys.argv[1])))
