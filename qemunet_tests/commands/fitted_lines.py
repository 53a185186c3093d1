"""Lines that end where the terminal does. They break between words, and nothing is cut."""

import os
import shutil
import sys
import textwrap

#: Narrower than this, lines are left to the terminal.
NARROWEST = 30


def terminal_columns() -> int | None:
    """The width of the terminal that standard output is; None where it is none, or nobody says.

    COLUMNS tells that of a terminal which nobody has given a size, and says 0.
    """
    if not sys.stdout.isatty():
        return None
    return os.get_terminal_size(sys.stdout.fileno()).columns or shutil.get_terminal_size((0, 0)).columns or None


def fitted(text: str, columns: int | None, indent: int = 2, ending: str = "") -> list[str]:
    """Broken between words, what goes on indented; every line but the last gets the ending."""
    if columns is None or len(text) <= columns:
        return [text]
    room = max(columns - len(ending), NARROWEST)
    further = " " * min(indent, room // 3)
    lines = textwrap.wrap(
        text, room, subsequent_indent=further, break_long_words=False, break_on_hyphens=False, replace_whitespace=False
    )  # fmt: skip
    return [*(f"{line}{ending}" for line in lines[:-1]), lines[-1]]
