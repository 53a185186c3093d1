"""Which versions a promise is made for, and a deviation is known in.

`since` (inclusive) and `until` (exclusive) name versions of `QEMU`, `slirp` or `passt`, joined by ` and `: then all
of them count. passt's versions are dates, of a year, a month or a day. Where QEMU itself can be asked whether it has an
option, `option` names that, and the versions of QEMU are for readers: distributions take some into earlier versions.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

Program = Literal["QEMU", "slirp", "passt"]
PROGRAMS: tuple[Program, ...] = get_args(Program)

#: A backend, an object or a command of QEMU's monitor, and one of its options or arguments.
_OPTION = re.compile(r"(netdev|object|command) [a-z0-9_-]+( [a-z0-9_-]+)?")


def _untold(_: str) -> None:
    return None


@dataclass(frozen=True)
class Installed:
    """What is to be tried: `version` answers with what a program calls its version, `has` with whether QEMU has an
    option. None where that cannot be told."""

    version: Callable[[Program], str | None] = _untold
    has: Callable[[str], bool | None] = _untold


_SPELLING = {"QEMU": r"\d+(\.\d+){0,2}", "slirp": r"\d+(\.\d+){0,2}", "passt": r"\d{4}(-\d\d(-\d\d)?)?"}
_EXAMPLE = {"QEMU": "QEMU 9.1", "slirp": "slirp 4.7", "passt": "passt 2024-08-21"}
#: Where nothing else is to be seen, an earlier or later one has to be named to be tried.
_REMEDY = {
    "QEMU": "try QEMU {0}: --qemu PATH",
    "slirp": "try a QEMU that uses libslirp {0}: --qemu PATH",
    "passt": "install passt {0}",
}
#: QEMU's master calls itself X.Y.50 after a release, and release candidates X.Y.90 and more.
_DEVELOPMENT_MICRO = 50
_LAST_MINOR = 2

Numbers = tuple[int, int, int]


@dataclass(frozen=True)
class Bound:
    """One version of one program, as it is written."""

    program: Program
    version: str

    def __str__(self) -> str:
        return f"{_spoken(self.program)} {self.version}"

    @property
    def numbers(self) -> Numbers:
        """What is compared."""
        return _three(re.findall(r"\d+", self.version))


@dataclass(frozen=True)
class OutOfBounds:
    """Why the programs at hand are not, or are not known to be, within bounds: `certain` says which of the two."""

    reason: str
    remedy: str
    certain: bool


@dataclass(frozen=True)
class Bounds:
    """The versions from `since` on and before `until`, and the QEMUs that have an option. Empty bounds hold all."""

    since: tuple[Bound, ...] = ()
    until: tuple[Bound, ...] = ()
    option: str | None = None

    def outside(self, installed: Installed) -> OutOfBounds | None:
        """The first bound that is not met; None where all are. Asks only for programs that a bound names."""
        ends = [*((bound, True) for bound in self.since), *((bound, False) for bound in self.until)]
        compared = [(bound, first) for bound, first in ends if not (self.option and bound.program == "QEMU")]
        found = (_outside(bound, first, installed.version(bound.program)) for bound, first in compared)
        return self._without_option(installed) or next(filter(None, found), None)

    def _without_option(self, installed: Installed) -> OutOfBounds | None:
        if self.option is None or (has := installed.has(self.option)):
            return None
        # Without a backend there is none of its options: that is one reason, and not one for each.
        whole = " ".join(self.option.split()[:2])
        missing = whole if has is False and installed.has(whole) is False else self.option
        versions = next((f", {bound.version} or later" for bound in self.since if bound.program == "QEMU"), "")
        what = "whether this one has it cannot be told" if has is None else "this one has not"
        remedy = f"try a QEMU that has it{versions}: --qemu PATH"
        return OutOfBounds(f"where QEMU has {missing!r}, and {what}", remedy, certain=has is not None)


def parse(text: str | None) -> tuple[Bound, ...]:
    """What a claim's `since` or `until` says. Raises ValueError with one line that names the word."""
    bounds = tuple(_bound(part) for part in text.split(" and ")) if text is not None else ()
    named = [bound.program for bound in bounds]
    for program in named:
        if named.count(program) > 1:
            raise ValueError(f"{text!r} names {program} twice")
    return bounds


def between(since: str | None, until: str | None, option: str | None = None) -> Bounds:
    """Raises ValueError also where no version is left between the two, and for what can be no option."""
    if option is not None and not _OPTION.fullmatch(option):
        raise ValueError(f"{option!r} names no option of QEMU, for instance 'netdev user ipv6-prefix'")
    bounds = Bounds(parse(since), parse(until), option)
    for first in bounds.since:
        for end in bounds.until:
            if first.program == end.program and first.numbers >= end.numbers:
                raise ValueError(f"no version is since {since!r} and until {until!r}")
    return bounds


def compared(program: Program, version: str | None) -> Numbers | None:
    """A version as its program tells it, as numbers; None where it holds none.

    Distributions add their own words, as in `7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)`. A QEMU in development counts as
    the release that it is becoming.
    """
    if program == "passt":
        # 2024_08_21.1d6142f of its own, 0.0~git20240821.1d6142f-1 of Debian, 0^20240821.g1d6142f of Fedora.
        date = re.search(r"(?<!\d)(20\d\d)[-_]?(\d\d)[-_]?(\d\d)(?!\d)", version or "")
        return _three(date.groups()) if date else None
    found = re.search(r"\d+(?:\.\d+)+", version or "")
    if found is None:
        return None
    numbers = _three(found.group().split("."))
    return _release_of(numbers) if program == "QEMU" else numbers


def _release_of(numbers: Numbers) -> Numbers:
    major, minor, micro = numbers
    if micro < _DEVELOPMENT_MICRO:
        return numbers
    # Three releases a year, the first of them a new major version.
    return (major, minor + 1, 0) if minor < _LAST_MINOR else (major + 1, 0, 0)


def _bound(text: str) -> Bound:
    program, _, version = text.partition(" ")
    if program not in PROGRAMS:
        raise ValueError(f"{program!r} in {text!r} is none of {', '.join(PROGRAMS)}")
    if not re.fullmatch(_SPELLING[program], version):
        raise ValueError(f"{version!r} in {text!r} is no version, for instance {_EXAMPLE[program]!r}")
    return Bound(program, version)


def _three(numbers: "list[str] | tuple[str, ...]") -> Numbers:
    first, second, third, *_ = (*map(int, numbers), 0, 0)
    return first, second, third


def _outside(bound: Bound, first: bool, version: str | None) -> OutOfBounds | None:
    """`first`: the bound is where the versions begin, and not where they end."""
    here = compared(bound.program, version)
    if here is not None and (here >= bound.numbers) is first:
        return None
    spoken = _spoken(bound.program)
    versions = f"since {bound}" if first else f"before {bound} only"
    remedy = _REMEDY[bound.program].format(f"{bound.version} or later" if first else f"before {bound.version}")
    if here is None:
        return OutOfBounds(f"{versions}, and which {spoken} is here cannot be told", remedy, certain=False)
    return OutOfBounds(f"{versions}, and this is {spoken} {version}", remedy, certain=True)


def _spoken(program: Program) -> str:
    return "libslirp" if program == "slirp" else program
