"""The mutants: one edit each, as data of our own in edits/*.toml.

A file's table is called as the source file; in it one table an edit, by its name. The place is found by the function
and the shortest text that is there once, so that an edit fits many versions; no line of the source is repeated.
"""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_FOLDER = Path(__file__).parent / "edits"


class NoPlace(Exception):
    """This version's source has no such place."""


@dataclass(frozen=True)
class Edit:
    """In `function` of `file` the text `find` becomes `replace`; what that `breaks` is a sentence.

    `once` says where it was a bug once. `killed_by` are the claims that ought to break; where it is empty, `survives`
    says why nothing that a claim could see tells it apart, or `no_claim` what would be needed. `core` edits are tried
    whenever the project's own tests are.
    """

    program: str
    file: str
    name: str
    function: str
    find: str
    replace: str
    breaks: str
    once: str = ""
    killed_by: tuple[str, ...] = ()
    survives: str = ""
    no_claim: str = ""
    core: bool = False

    def apply(self, source: str) -> str:
        """The file's text with the edit. Raises NoPlace."""
        places = list(_places(source, self.function, self.find))
        if len(places) != 1:
            raise NoPlace(f"{self.find!r} is {len(places)} times in {self.function}()")
        return source[: places[0]] + self.replace + source[places[0] + len(self.find) :]


def _places(source: str, function: str, text: str) -> Iterator[int]:
    """Where the text is in the function, which may be defined for each of several systems. Raises NoPlace.

    A function is defined as both projects do: its name at the left or behind its type, its last brace alone.
    """
    head = re.compile(rf"^(?:\w[\w\s*]*[\s*])?{function}\([^;{{]*?\)\s*\{{$", re.MULTILINE)
    bodies = [(found.end(), source.index("\n}", found.end())) for found in head.finditer(source)]
    if not bodies:
        raise NoPlace(f"there is no function {function}()")
    for begin, end in bodies:
        yield from (found.start() for found in re.compile(re.escape(text)).finditer(source, begin, end))


def edits() -> list[Edit]:
    """All of them: libslirp's, then the helper's, in the order of the files."""
    return [each for program in ("libslirp", "helper") for each in _of(program)]


def _of(program: str) -> Iterator[Edit]:
    for file in sorted((_FOLDER / program).glob("*.toml")):
        for source, named in tomllib.loads(file.read_text()).items():
            for name, said in named.items():
                yield Edit(program, source, name, **{**said, "killed_by": tuple(said.get("killed_by", ()))})
