"""Help that ends where the terminal does: argparse fills what options say, and leaves a command's examples as they are.

A text is written in lines. What begins at the left is prose, and filled. Two spaces to the right stands what is typed,
and behind it, two spaces away, what it does; a line that begins far to the right goes on with that.
"""

import argparse
import re
import textwrap
from collections.abc import Iterator
from itertools import groupby

#: Where a line begins that only goes on.
_FAR_RIGHT = 20
_NARROWEST = 20
#: What a shell takes for one word, spaces between quotes included.
_WORD = re.compile(r"""(?:'[^']*'|"[^"]*"|[^\s'"])+""")


class FittedHelp(argparse.HelpFormatter):
    """Fills descriptions and epilogs as well, and leaves words with hyphens whole: options and programs have them."""

    def _split_lines(self, text: str, width: int) -> list[str]:
        return _wrapped(" ".join(text.split()), width)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n".join(f"{indent}{line}".rstrip() for line in filled(text, width - len(indent)))


def filled(text: str, width: int) -> Iterator[str]:
    """The same in lines of at most `width` columns; a longer one has a word that is longer."""
    width = max(width, _NARROWEST)
    for kind, lines in groupby(text.rstrip().splitlines(), _kind):
        if kind == "prose":
            yield from _wrapped(" ".join(lines), width)
        elif kind == "examples":
            yield from _examples(lines, width)
        else:
            yield from lines


def _kind(line: str) -> str:
    if not line.strip():
        return "blank"
    return "examples" if line.startswith("  ") else "prose"


def _examples(lines: Iterator[str], width: int) -> Iterator[str]:
    """What is typed, and beside it what it does; below it where it is too long for that."""
    rows = list(_rows(lines))
    beside = min(max(len(typed) for typed, _ in rows) + 2, width // 2)
    for typed, says in rows:
        first, *more = _wrapped(says, width - beside) or [""]
        if len(typed) <= beside - 2:
            yield f"{typed:<{beside}}{first}".rstrip()
        else:
            yield from _typed(typed, width)
            more = [first, *more] if says else []
        yield from (f"{'':<{beside}}{line}" for line in more)


def _rows(lines: Iterator[str]) -> Iterator[tuple[str, str]]:
    typed, says = "", [""]
    for line in lines:
        if line.startswith(" " * _FAR_RIGHT):
            says.append(line.strip())
            continue
        if typed:
            yield typed, " ".join(says).strip()
        indent = line[: len(line) - len(line.lstrip())]
        word, _, behind = line.strip().partition("  ")
        typed, says = f"{indent}{word}", [behind.strip()]
    yield typed, " ".join(says).strip()


def _typed(line: str, width: int) -> Iterator[str]:
    """In as many lines as it takes, for a shell still one."""
    indent = line[: len(line) - len(line.lstrip())]
    begun = ""
    for word in _WORD.findall(line):
        if begun and len(f"{begun} {word} \\") > width:
            yield f"{begun} \\"
            begun = f"{indent}    {word}"
        else:
            begun = f"{begun} {word}" if begun else f"{indent}{word}"
    yield begun


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
