"""What others say may hold any characters; a terminal, Markdown, JSON and XML may not."""

import json
import re
from typing import Any

#: What a text of JSON spells otherwise than as it is shown, where that may be shown: quotes, slashes, ends of lines,
#: tabs, and characters by their numbers.
_SPELLED = re.compile(rb'\\(?:["\\/nt]|u([0-9a-fA-F]{4}))')
#: Of ASCII what is shown, and the ends of lines between the parts of a document.
_SHOWN = bytes(range(0x20, 0x7F)) + b"\n"


def printable(text: str) -> str:
    """The same, with what is not for showing spelled out: escape sequences, bytes that are no text, marks of direction.

    Ends of lines and tabs stay.
    """
    whole = text.encode("utf-8", "backslashreplace").decode()
    return "".join(
        each if each.isprintable() or each in "\n\t" else each.encode("unicode_escape").decode() for each in whole
    )


def printable_json(content: bytes) -> str:
    """A document of JSON with nothing in its texts that a terminal obeys. Raises ValueError."""
    # Not every command reads some.
    from pydantic import TypeAdapter, ValidationError

    try:
        said = TypeAdapter(Any).validate_json(content)
    except ValidationError as wrong:
        raise ValueError(wrong.errors()[0]["msg"]) from None
    return json.dumps(all_printable(said))


def is_printable_json(content: bytes) -> bool:
    """Whether `printable_json` would alter none of its texts; no where that is in doubt, and quickly answered."""
    numbers = {number for number in _SPELLED.findall(content) if number}
    rest = _SPELLED.sub(b"", content)
    if b"\\" in rest or not all(chr(int(number, 16)).isprintable() for number in numbers):
        return False
    try:
        return rest.translate(None, _SHOWN).decode().isprintable()
    except UnicodeDecodeError:
        return False


def all_printable(said: Any) -> Any:
    """The same of every text in a document of JSON, the names in it included."""
    if isinstance(said, str):
        return said if said.isprintable() else printable(said)
    if isinstance(said, dict):
        return {all_printable(name): all_printable(value) for name, value in said.items()}
    if isinstance(said, (list, tuple)):
        return [all_printable(each) for each in said]
    return said
