"""bridge.conf exactly as qemu-bridge-helper reads it, odd corners included.

Source: parse_acl_file() and main() of qemu-bridge-helper.c, the same since 4.1. It works on C strings: lines
are cut at 4095 bytes and end at a NUL. Only whole lines are comments: what follows a name belongs to it,
and a name of more than 15 bytes spoils the file.
"""

import errno
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from qemunet_tests.host.files import MACHINE, first_closed, under

DEFAULT_PATH = "/etc/qemu/bridge.conf"
_BLANKS = b" \t\n\f\r"
_LINE_BYTES = 4095
_NAME_BYTES = 15
_CLOSED = (errno.EACCES, errno.EPERM)
#: What get_relocated_path() appends; nothing else in a helper has it, seen with 7.2 and 11.1.
_STEP_UP = b"/..\0"


@dataclass(frozen=True)
class AclRule:
    """One `allow` or `deny`; `name` is what the helper compares, `everything` stands for the word `all`."""

    allows: bool
    name: bytes
    everything: bool
    file: str
    line: int

    def concerns(self, bridge: str) -> bool:
        return self.everything or self.name == bridge.encode()

    @property
    def meaning(self) -> str:
        return "every bridge" if self.everything else self.name.decode(errors="replace")

    @property
    def place(self) -> str:
        return f"line {self.line} of {self.file}"


@dataclass(frozen=True)
class Acl:
    """`problem` is why the helper gives up on the whole file; `ignored` is what it passes over in silence.

    `closed` is what keeps this user out: the file, or a folder on the way to it.
    """

    path: str
    rules: tuple[AclRule, ...] = ()
    problem: str | None = None
    problem_errno: int | None = None
    ignored: tuple[str, ...] = ()
    closed: str | None = None


@dataclass(frozen=True)
class AclDecision:
    """Whether the helper would open this bridge, and the rule or the lack of one that decides it.

    `denied_in` is the file with the deny that does, which may be an included one; None where none does.
    """

    allowed: bool
    reason: str
    denied_in: str | None = None


class _BadLineError(Exception):
    """The helper gives up on the file that holds the line; an including file goes on behind the include."""


class _EndlessError(Exception):
    """The helper does not survive the file."""


def path_read_by(helper: str, root: Path = MACHINE, runs_at: str | None = None) -> str:
    """The file this helper reads, from the helper itself; Debian's where it cannot be told.

    Since 5.2 it takes its folders along when it is moved, as QEMU does (see qemu/relocation.py): what was configured
    below its prefix it looks for as far from itself. One that was built with --disable-relocatable
    stays with what was configured. `runs_at` is where it is to be put, if not where it is.
    """
    try:
        binary = under(root, helper).read_bytes()
    except OSError:
        return DEFAULT_PATH
    found = re.search(rb"/[\x21-\x7e]*/bridge\.conf(?=\0)", binary)
    return _relocated(found.group().decode(), binary, under(root, runs_at or helper), root) if found else DEFAULT_PATH


def _relocated(configured: str, binary: bytes, helper: Path, root: Path) -> str:
    here = helper.resolve().parent if root == MACHINE else helper.parent
    bundle = here / "qemu-bundle"
    if os.access(bundle, os.R_OK):
        return f"{bundle}{configured}"
    # What relocates has the folder of its programs in it, and the step up from there. What stays has the first alone.
    prefixes = [str(folder) for folder in Path(configured).parents[:-1] if b"\0%s/bin\0" % bytes(folder) in binary]
    if not prefixes or root != MACHINE or _STEP_UP not in binary:
        return configured
    return f"{here.parent}{configured.removeprefix(prefixes[0])}"


def read(path: str = DEFAULT_PATH, root: Path = MACHINE) -> Acl:
    """What the helper makes of the file, read as this process: the helper drops its privileges first."""
    rules: list[AclRule] = []
    ignored: list[str] = []
    try:
        _read_into(rules, ignored, path, root, ())
    except OSError as refused:
        return _unread(path, root, refused)
    except (_BadLineError, _EndlessError) as bad:
        return Acl(path, problem=str(bad))
    return Acl(path, tuple(rules), ignored=tuple(ignored))


def _unread(path: str, root: Path, refused: OSError) -> Acl:
    closed = first_closed(root, path) if refused.errno in _CLOSED else None
    problem = f"{path} cannot be read: {refused.strerror}"
    if closed not in (None, path):
        problem += f" (this user may not enter {closed})"
    return Acl(path, problem=problem, problem_errno=refused.errno, closed=closed)


def decide(acl: Acl, bridge: str) -> AclDecision:
    """Any deny wins wherever it stands; without an allow the answer is no."""
    if len(bridge.encode()) > _NAME_BYTES:
        return AclDecision(False, f"the name {bridge} is too long for an interface")
    if acl.problem is not None:
        return AclDecision(False, acl.problem)
    matching = [rule for rule in acl.rules if rule.concerns(bridge)]
    for rule in matching:
        if not rule.allows:
            return AclDecision(False, f"{rule.place} denies {rule.meaning}", rule.file)
    if matching:
        return AclDecision(True, f"{matching[0].place} allows {matching[0].meaning}")
    return AclDecision(False, _nothing_allows(acl, bridge))


def _nothing_allows(acl: Acl, bridge: str) -> str:
    for rule in acl.rules:
        if rule.name.split()[:1] == [bridge.encode()]:
            name = rule.name.decode(errors="replace")
            return f"{rule.place} is about a bridge called {name!r}: nothing may follow a name"
    reason = f"{acl.path} allows no bridge called {bridge}"
    return f"{reason}; and {acl.ignored[0]}" if acl.ignored else reason


def _read_into(rules: list[AclRule], ignored: list[str], path: str, root: Path, above: tuple[str, ...]) -> None:
    for number, line in _lines(path, root):
        text = line.lstrip(_BLANKS)
        if not text or text.startswith(b"#"):
            continue
        place = f"line {number} of {path}"
        command, argument = _split(text, place)
        if command == b"include":
            _include(rules, ignored, argument.decode(errors="surrogateescape"), root, (*above, path))
            continue
        _refuse_odd(command, argument, place)
        rules.append(AclRule(command == b"allow", argument, argument == b"all", path, number))


def _refuse_odd(command: bytes, argument: bytes, place: str) -> None:
    if len(argument) > _NAME_BYTES:
        name = argument.decode(errors="replace")
        raise _BadLineError(f"{place} is about a bridge called {name!r}, too long for a name")
    if command not in (b"allow", b"deny"):
        word = command.decode(errors="replace")
        raise _BadLineError(f"{place} begins with {word!r}: not allow, deny or include")


def _split(text: bytes, place: str) -> tuple[bytes, bytes]:
    # The helper looks for a space in the whole line first, and for a tab only where there is none.
    for blank in (b" ", b"\t"):
        command, found, argument = text.partition(blank)
        if found:
            return command, argument.strip(_BLANKS)
    raise _BadLineError(f"{place} has one word only: {text.strip(_BLANKS).decode(errors='replace')!r}")


def _include(rules: list[AclRule], ignored: list[str], path: str, root: Path, above: tuple[str, ...]) -> None:
    if path in above:
        raise _EndlessError(f"{path} includes itself, which makes the helper crash without a word")
    try:
        _read_into(rules, ignored, path, root, above)
    except OSError as refused:
        ignored.append(f"the included {path} cannot be read ({refused.strerror}), and the helper says nothing")
    except _BadLineError as bad:
        ignored.append(f"{bad}, and the rest of that file is passed over")


def _lines(path: str, root: Path) -> Iterator[tuple[int, bytes]]:
    # A relative path is relative to the working directory, as for the helper.
    place = under(root, path) if path.startswith("/") or root != MACHINE else Path(path)
    number = 1
    try:
        stream = place.open("rb")
    except IsADirectoryError:
        # fopen(3) opens a folder for reading and then reads nothing from it.
        return
    with stream:
        while piece := stream.readline(_LINE_BYTES):
            yield number, piece.partition(b"\0")[0]
            number += piece.endswith(b"\n")


def unreadable(acl: Acl) -> bool:
    """Whether the file is there but closed to this user."""
    return acl.problem_errno in _CLOSED
