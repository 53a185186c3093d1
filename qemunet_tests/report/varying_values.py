"""What of an observed value is another one in every run, though nothing has changed.

By kind: what is drawn anew (a lease, a MAC address, a port of the kernel's choice) and what is measured (seconds,
sizes, rates). Everything else says something: an address that nobody drew, a count, a word. What a claim promises is
never chance, and no measure is where the promise names one and no more.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_network

from qemunet_tests import modes
from qemunet_tests.network import lab_addresses
from qemunet_tests.report.shapes import ClaimVerdict, Results
from qemunet_tests.report.verdict_of_test import Verdict

_IPV4 = r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.]*\d)"
_UNIT = r"\d+(?:\.\d+)?(?: (?:of|to) \d+(?:\.\d+)?)? ?"
#: What is looked for, the first that fits. Names of groups are the kinds.
_KINDS = {
    "range": rf"{_IPV4} (?:to|-) {_IPV4}",
    "mac": r"(?<![\w:])(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}(?![\w:])",
    # A date alone may be a version.
    "time": r"(?:\b\d{4}-\d\d-\d\d[T ]|(?<![\w:]))\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?(?![\w:])",
    "ipv6": r"(?<![\w:])(?=[0-9A-Fa-f]*:[0-9A-Fa-f]*:)[0-9A-Fa-f:]{2,}(?:[0-9A-Fa-f]|::)(?!\w)",
    "network": rf"{_IPV4}/\d+",
    "ipv4": _IPV4,
    "digest": r"SHA256:[A-Za-z0-9+/]{43}|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b0x[0-9a-f]{8}\b|"
    r"\b(?=[0-9a-f]*[a-f])(?=[0-9a-f]*\d)[0-9a-f]{16,}\b",
    "file": r"(?<![\w/])/(?:tmp|var/tmp|dev/shm|run/user)/[\w./-]+",
    "pid": r"\b(?:pids?|PIDs?|process|processes) \d+\b",
    "cpu": r"\bCPUs? \d+(?:(?:, | and )\d+)*\b",
    "interface": r"\b(?:tap|vnet|veth|macvtap)[0-9][0-9a-f]*\b",
    "guest": r"\bguest-\d+\b",
    "port": r"(?<=:)\d{5}\b|(?<=\bport )\d{5}\b|(?<=\bports )\d{5}\b|\b\d{5}(?=/(?:tcp|udp)\b)",
    "rate": rf"\b{_UNIT}(?:[kKMGT]i?(?:bit|B|b)(?:/s|ps)|(?:bits?|bytes|packets|frames)(?:/s| per second)|pps)\b",
    "seconds": rf"\b{_UNIT}(?:s|ms|µs|us|ns|min|seconds?|minutes?|hours?)\b",
    "size": rf"\b{_UNIT}(?:bytes?|[kKMGT]i?B)\b",
    "ratio": rf"\b{_UNIT}(?:%|times\b|percent\b)|(?<![\w.])\d+\.\d+(?: to \d+\.\d+)?(?= of\b)",
}
_ANY = re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in _KINDS.items()))
_MEASURED = {"rate", "seconds", "size", "ratio"}
_DRAWN = {"mac", "time", "digest", "file", "pid", "cpu", "interface", "guest"}
#: From here on the kernel chooses ports, unless told otherwise (ip(7), ip_local_port_range), as IANA does a bit later.
_FIRST_DYNAMIC_PORT = 32768
#: What every QEMU gives its first NICs, and what libslirp makes of its own addresses.
_FIXED_MACS = ("52:54:00:12:34:5", "52:55:", "52:56:")
_NAMED = {
    "ipv4": "leases", "ipv6": "interface ids", "mac": "MAC addresses", "time": "times", "digest": "digests",
    "file": "temporary files", "pid": "pids", "cpu": "processors", "interface": "interfaces", "guest": "guests",
    "port": "ports", "rate": "rates", "seconds": "seconds", "size": "sizes", "ratio": "ratios",
}  # fmt: skip


@dataclass(frozen=True)
class AddressPool:
    """The addresses of which a DHCP server draws one."""

    first: IPv4Address
    last: IPv4Address

    def __contains__(self, address: str) -> bool:
        return (found := _ipv4(address)) is not None and self.first <= found <= self.last


@dataclass(frozen=True)
class Token:
    """A piece of a text. `kind` is empty where it is no more than itself."""

    kind: str
    text: str


@dataclass(frozen=True)
class TextComparison:
    """Two texts: whether they say the same, and the kinds of what differs by chance."""

    alike: bool
    by_chance: frozenset[str]


def pools_of(results: Results) -> list[AddressPool]:
    """What the LAN of a run leases: the lab's, and the ranges that claims of modes on a LAN name."""
    named = [
        _pool(*re.findall(_IPV4, text))
        for each in results.verdicts
        if modes.shares_network(each.mode)
        for text in re.findall(_KINDS["range"], each.expected or "")
    ]
    lab = [_pool(lab_addresses.FIRST_LEASE, lab_addresses.LAST_LEASE)] if results.target == "lab" else []
    return [pool for pool in (*lab, *named) if pool]


def compared(
    before: ClaimVerdict, after: ClaimVerdict, pools: tuple[list[AddressPool], list[AddressPool]]
) -> TextComparison:
    """What the same verdict of two runs rests on. `pools` are what the LAN of either leased."""
    both = before, after
    promises = [_tokens(each.expected, _with_own(each, leased)) for each, leased in zip(both, pools, strict=True)]
    promised = {token for token in promises[0] if token.kind} & set(promises[1])
    found = [_tokens(each.observed, _with_own(each, leased)) for each, leased in zip(both, pools, strict=True)]
    measures_count = _are_what_is_promised(both, promises, found)
    chosen = _DRAWN | {"ipv4", "ipv6", "port"}
    parts: list[tuple[list[Token], list[Token], set[str]]] = [
        (promises[0], promises[1], chosen),
        (found[0], found[1], chosen if measures_count else chosen | _MEASURED),
    ]
    if before.verdict is not Verdict.HOLDS:
        reasons = [_tokens(each.reason, leased) for each, leased in zip(both, pools, strict=True)]
        parts.append((reasons[0], reasons[1], chosen | _MEASURED))
    alike = all(_shape(left, kinds, promised) == _shape(right, kinds, promised) for left, right, kinds in parts)
    moved = {
        _NAMED[one.kind]
        for left, right, _ in parts
        if len(left) == len(right)
        for one, other in zip(left, right, strict=True)
        if one != other and one.kind in _NAMED
    }
    return TextComparison(alike, frozenset(moved) if alike else frozenset())


def _are_what_is_promised(
    both: Sequence[ClaimVerdict], promises: Sequence[Sequence[Token]], found: Sequence[Sequence[Token]]
) -> bool:
    """Whether what was observed is a value that the promise names, and not measured beside a promise of words.

    One that differs from what is promised and yet keeps the promise is measured: it need not be the same.
    """
    alike = all(
        _shape(promise, _MEASURED, set()) == _shape(seen, _MEASURED, set())
        for promise, seen in zip(promises, found, strict=True)
    )
    exact = any(each.verdict is not Verdict.HOLDS or each.expected == each.observed for each in both)
    return alike and exact


def _with_own(each: ClaimVerdict, leased: list[AddressPool]) -> list[AddressPool]:
    """A claim of a mode on a LAN may promise no more than an address of a network, which is known on a real host."""
    if not modes.shares_network(each.mode):
        return leased
    found = (_network(text) for text in re.findall(_KINDS["network"], each.expected or ""))
    return [*leased, *(AddressPool(network[0], network[-1]) for network in found if network)]


def _shape(tokens: Sequence[Token], by_chance: Iterable[str], promised: set[Token]) -> list[str]:
    """A text in which chance has no say."""
    return [f"<{token.kind}>" if token.kind in by_chance and token not in promised else token.text for token in tokens]


def _tokens(text: str | None, leased: Sequence[AddressPool]) -> list[Token]:
    if text is None:
        return [Token("", "<nothing>")]
    return [Token(kind, " ".join(piece.split())) for kind, piece in _pieces(text, leased) if piece.strip()]


def _pieces(text: str, leased: Sequence[AddressPool]) -> Iterator[tuple[str, str]]:
    reached = 0
    for found in _ANY.finditer(text):
        kind, piece = found.lastgroup or "", found.group()
        yield "", text[reached : found.start()]
        yield from _judged(kind, piece, leased)
        reached = found.end()
    yield "", text[reached:]


def _judged(kind: str, piece: str, leased: Sequence[AddressPool]) -> Iterator[tuple[str, str]]:
    """A piece of a kind, or of none where this one was not drawn."""
    if kind == "network":
        address, _, length = piece.partition("/")
        yield from _judged("ipv4", address, leased)
        yield "", f"/{length}"
    elif kind == "ipv6":
        yield from _halves(piece)
    else:
        fixed = {
            "range": True,
            "ipv4": kind == "ipv4" and not any(piece in pool for pool in leased),
            "mac": piece.lower().startswith(_FIXED_MACS),
            "port": kind == "port" and int(piece) < _FIRST_DYNAMIC_PORT,
        }
        yield "" if fixed.get(kind) else kind, piece


def _halves(piece: str) -> Iterator[tuple[str, str]]:
    """The network of an IPv6 address, and its half of an interface, unless that is a small number that people give."""
    try:
        number = int(IPv6Address(piece))
    except ValueError:
        yield "", piece
        return
    network, own = number >> 64, number & (1 << 64) - 1
    if own >> 32:
        yield "", f"{IPv6Address(network << 64)}/64"
        yield "ipv6", f"{own:016x}"
    else:
        yield "", piece


def _pool(first: str, last: str) -> AddressPool | None:
    ends = _ipv4(first), _ipv4(last)
    return AddressPool(ends[0], ends[1]) if ends[0] and ends[1] else None


def _network(text: str) -> IPv4Network | None:
    try:
        found = ip_network(text)
    except ValueError:
        return None
    return found if isinstance(found, IPv4Network) else None


def _ipv4(text: str) -> IPv4Address | None:
    try:
        return IPv4Address(text)
    except ValueError:
        return None
