"""What QEMU wrote on standard error, told apart: the refusal of what was tried, what led to it, and warnings.

A line of QEMU's own reads `PROGRAM: [LOCATION: ][warning: |info: ]MESSAGE`, where LOCATION is the option with its
argument as they were typed (util/qemu-error.c). Lines without PROGRAM are those of a child, such as the bridge
helper's, or hints that belong to the line before. No place in the order means anything: a warning about one
option may come before the refusal of another, or after it.
"""

import itertools
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal

#: Options whose refusal is an answer about a network.
NETWORK_OPTIONS = ("-netdev", "-device", "-nic", "-net")
#: How the hints begin that QEMU prints below a message, without its name.
HINTS = ("Please use ", "Use -", "Try ", "Perhaps you ", "Did you mean ", "Valid values ", "Supported ")
#: Keys of an option's argument whose values name something: a backend, a bridge, a model, a file.
NAMING = frozenset(
    ("id", "netdev", "model", "driver", "ifname", "br", "helper", "path", "addr.path", "sock", "smb", "chardev")
)
#: The name that QEMU goes by in messages is that of its program, or this.
ELSE = r"qemu[\w.-]*|kvm"
MILD = re.compile(r"(?:^|: )(?:warning|info): ")
#: What libraries and the dynamic loader say on everybody's standard error, whatever the program is.
OF_LIBRARIES = re.compile(
    r"\([^()]+:\d+\): [\w-]+-(?:WARNING|CRITICAL|Message|INFO) \*\*: |ERROR: ld\.so: .* ignored\.$"
    r"|.*: no version information available \(required by "
)


@dataclass(frozen=True)
class Complaints:
    """`refusal` is the message about what was tried, the last one where none is about it, empty where there is none.

    `because` are the lines that led to it: of a helper that QEMU called, or of QEMU about the same option. `warnings`
    are without QEMU's name. `errors` are all lines but warnings, in their order. `refuses_network` says that the
    refusal is about an option of the network.
    """

    refusal: str = ""
    because: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    refuses_network: bool = False

    def __str__(self) -> str:
        """One line: the refusal, what led to it, and what was warned of besides."""
        said = self.refusal or "it said nothing"
        if self.because:
            said += f" ({'; '.join(self.because)})"
        if self.warnings:
            said += f"; it warned: {'; '.join(self.warnings)}"
        return said


@dataclass(frozen=True)
class _Line:
    """`text` is the whole line, `rest` what follows QEMU's name. A `child` line has none, nor has a `hint`."""

    kind: Literal["error", "warning", "child", "hint"]
    text: str
    rest: str


def told_apart(said: str, words: Sequence[str]) -> Complaints:
    """Tell apart what a QEMU said that was started with `words`, without the plumbing that nobody asked for."""
    lines = list(_lines(said, PurePath(words[0]).name if words else ""))
    chosen, network = _refusal(lines, _options(words))
    return Complaints(
        refusal=lines[chosen].text if chosen is not None else "",
        because=_because(lines, chosen) if chosen is not None else (),
        warnings=_warnings(lines),
        errors=tuple(line.text for line in lines if line.kind in ("error", "child")),
        refuses_network=network,
    )


def _options(words: Sequence[str]) -> list[tuple[str, str]]:
    """Every option with the word behind it, which may be its argument."""
    return [(word, behind) for word, behind in itertools.pairwise([*words, ""]) if word.startswith("-")]


def _lines(said: str, program: str) -> list[_Line]:
    own = re.compile(rf"(?:{re.escape(program)}|{ELSE}): " if program else rf"(?:{ELSE}): ")
    found: list[_Line] = []
    for text in filter(None, map(str.strip, said.splitlines())):
        prefix = own.match(text)
        rest = text[prefix.end() :] if prefix else text
        if OF_LIBRARIES.match(text) or (prefix and MILD.search(rest)):
            found.append(_Line("warning", text, rest))
        elif prefix:
            found.append(_Line("error", text, rest))
        else:
            below_a_message = found and found[-1].kind != "child"
            found.append(_Line("hint" if below_a_message and text.startswith(HINTS) else "child", text, text))
    return found


def _refusal(lines: Sequence[_Line], tried: Sequence[tuple[str, str]]) -> tuple[int | None, bool]:
    """Which line it is, and whether it is about a network. What names the option tried goes before all else."""
    network = [(option, argument) for option, argument in tried if f"-{option.lstrip('-')}" in NETWORK_OPTIONS]
    names = {name for _, argument in network for name in _names(argument)}
    errors = [number for number, line in enumerate(lines) if line.kind == "error"]
    for about_network, chosen in (
        (True, [number for number in errors if _located(lines[number], network)]),
        (False, [number for number in errors if _located(lines[number], tried)]),
        (True, [number for number in errors if _mentions(lines[number], names)]),
        (False, errors),
        (False, [number for number, line in enumerate(lines) if line.kind == "child"]),
    ):
        if chosen:
            return chosen[-1], about_network
    return None, False


def _located(line: _Line, tried: Sequence[tuple[str, str]]) -> bool:
    return any(line.rest.startswith((f"{option} {argument}: ", f"{option}: ")) for option, argument in tried)


def _mentions(line: _Line, names: set[str]) -> bool:
    return any(re.search(rf"(?<![\w/.-]){re.escape(name)}(?![\w/-])", line.rest) for name in names)


def _names(argument: str) -> set[str]:
    """What an option's argument calls something: its values under the keys that name, and a device's model."""
    if argument.startswith("{"):
        try:
            given = json.loads(argument)
        except ValueError:
            return set()
        return {str(value) for key, value in given.items() if key in NAMING}
    parts = [part.partition("=") for part in argument.split(",")]
    return {value for key, equals, value in parts if equals and key in NAMING and value}


def _because(lines: Sequence[_Line], chosen: int) -> tuple[str, ...]:
    """A child's lines right before the refusal, and errors of QEMU's own with the same location."""
    location, found = _location(lines[chosen]), list[str]()
    child_may_speak = True
    for line in reversed(lines[:chosen]):
        if line.kind == "child" and child_may_speak:
            found.append(line.text)
        elif line.kind == "error" and location and line.rest.startswith(location):
            found.append(line.rest.removeprefix(location))
        child_may_speak &= line.kind == "child"
    return tuple(reversed(found))


def _location(line: _Line) -> str:
    """The option and its argument at the beginning of a message, with what separates them from it; else nothing."""
    match = re.match(r"-\S+(?: \{.*\}| \S+)?: ", line.rest)
    return match.group() if match else ""


def _warnings(lines: Sequence[_Line]) -> tuple[str, ...]:
    found: list[str] = []
    for before, line in itertools.pairwise([None, *lines]):
        if line is None:
            continue
        if line.kind == "warning":
            found.append(line.rest)
        elif line.kind == "hint" and before is not None and before.kind == "warning":
            found[-1] += f" ({line.text})"
    return tuple(found)
