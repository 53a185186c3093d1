"""The results of many hosts side by side: what hit how many of them, who is unlike the others, what changed."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from qemunet_tests.report.brief_results import BriefResults, BriefVerdict
from qemunet_tests.report.change_shapes import Turn
from qemunet_tests.report.changes import turn_between
from qemunet_tests.report.session_results import exit_code
from qemunet_tests.report.verdict_of_test import Verdict

#: Who names more claims than there are, or more causes than anybody reads, is not to hold up the others.
MOST_CLAIMS, MOST_GROUPS, MOST_OUTLIERS = 1000, 200, 200
#: A host is unlike the others where so few of those with the same versions have its verdict, of at least so many.
RARE, FEWEST_ALIKE = 0.1, 4


@dataclass(frozen=True, eq=False)
class TriedHost:
    """One host's run, and the verdicts of the one before it, by claim, where there is one.

    `link` is its own page, seen from the one of all.
    """

    label: str
    results: BriefResults
    before: dict[str, Verdict] | None = None
    link: str | None = None

    @cached_property
    def verdicts(self) -> dict[str, BriefVerdict]:
        return {each.claim: each for each in self.results.verdicts}

    @cached_property
    def counts(self) -> Counter[Verdict]:
        return Counter(each.verdict for each in self.results.verdicts)

    @cached_property
    def exit_code(self) -> int:
        """As that of its run."""
        return exit_code(self.results)

    @property
    def versions(self) -> tuple[str, str]:
        """Of QEMU and libslirp: hosts with the same should be alike."""
        return self.results.qemu.version or "unknown", self.results.qemu.slirp or "none"


@dataclass(frozen=True)
class UnreadHost:
    """One whose results cannot be read, and why."""

    label: str
    why: str


@dataclass(frozen=True)
class Hit:
    """A claim of a host on which something hit it."""

    host: TriedHost
    verdict: BriefVerdict


@dataclass(frozen=True)
class HostGroup:
    """Something that hosts have in common, at least one of them; `hits` are in the hosts' order."""

    hits: tuple[Hit, ...]

    @cached_property
    def hosts(self) -> list[TriedHost]:
        return list(dict.fromkeys(each.host for each in self.hits))

    @cached_property
    def claims(self) -> list[str]:
        return list(dict.fromkeys(each.verdict.claim for each in self.hits))

    @property
    def first(self) -> BriefVerdict:
        return self.hits[0].verdict

    @property
    def news(self) -> bool:
        return any(each.verdict.known is None for each in self.hits)


@dataclass(frozen=True)
class HostOutlier:
    """Claims of which a host has another verdict, for one cause, than nearly all of `alike` with the same versions."""

    host: TriedHost
    first: BriefVerdict
    claims: tuple[str, ...]
    usual: Verdict
    alike: int


@dataclass(frozen=True)
class ClaimsTurn:
    """What became of claims since the round before, of all of them on the same hosts."""

    claims: tuple[str, ...]
    turn: Turn
    before: Verdict
    after: Verdict
    hosts: tuple[TriedHost, ...]


@dataclass(frozen=True, eq=False)
class ManyHosts:
    """All of them, the worst first."""

    hosts: Sequence[TriedHost]
    unread: Sequence[UnreadHost]

    @classmethod
    def of(cls, hosts: Iterable[TriedHost], unread: Sequence[UnreadHost] = ()) -> "ManyHosts":
        return cls(sorted(hosts, key=lambda each: (_RANKS[each.exit_code], -each.counts[Verdict.BROKEN])), unread)

    @property
    def exit_code(self) -> int:
        """That of the worst host; one whose results cannot be read is no better than one that learned nothing."""
        found = {each.exit_code for each in self.hosts}
        return 1 if 1 in found else 3 if 3 in found or self.unread or not self.hosts else 0

    @property
    def headline(self) -> str:
        counted = Counter(each.exit_code for each in self.hosts)
        parts = [f"something is broken on {counted[1]}"] if counted[1] else []
        parts += [f"{counted[3]} could not be judged"] if counted[3] else []
        parts += [f"the results of {len(self.unread)} cannot be read"] if self.unread else []
        total = len(self.hosts) + len(self.unread)
        of = "1 host" if total == 1 else f"{total} hosts"
        return f"of {of}, {', '.join(parts)}" if parts else f"nothing new is broken on {of}"

    @cached_property
    def claims(self) -> list[str]:
        """In the order in which hosts list them; those of one host alone last, and no more than anybody can read."""
        named = Counter(claim for host in self.hosts for claim in host.verdicts)
        return sorted(named, key=lambda claim: named[claim] == 1)[:MOST_CLAIMS]

    @property
    def unlisted(self) -> int:
        """How many claims there are beyond those."""
        return len({claim for host in self.hosts for claim in host.verdicts}) - len(self.claims)

    @cached_property
    def alike(self) -> dict[Verdict, list[str]]:
        """The claims of which all hosts that tried them have the same verdict."""
        found: dict[Verdict, list[str]] = {}
        for claim in self.claims:
            verdicts = {host.verdicts[claim].verdict for host in self.hosts if claim in host.verdicts}
            if len(verdicts) == 1:
                found.setdefault(verdicts.pop(), []).append(claim)
        return found

    @cached_property
    def differing(self) -> list[str]:
        """The claims of which they have not."""
        same = {claim for claims in self.alike.values() for claim in claims}
        return [claim for claim in self.claims if claim not in same]

    @cached_property
    def columns(self) -> list[list[str]]:
        """Those claims; a mode's that have the same verdicts on every host together, as one cause leaves them.

        A cell for each claim would be more than a browser draws while somebody waits.
        """
        found: dict[Hashable, list[str]] = {}
        for claim in self.differing:
            verdicts = tuple(each.verdicts[claim].verdict if claim in each.verdicts else None for each in self.hosts)
            found.setdefault((claim.partition("/")[0], verdicts), []).append(claim)
        return list(found.values())

    @cached_property
    def causes(self) -> list[HostGroup]:
        """What was proven to have broken claims, news first, and then what hit most hosts."""
        hits = (each for each in self._hits(Verdict.BROKEN) if each.verdict.cause)
        return _grouped(hits, lambda each: each.verdict.cause)

    @cached_property
    def unexplained(self) -> list[HostGroup]:
        """Claims that are broken, nobody knows by what."""
        hits = (each for each in self._hits(Verdict.BROKEN) if not each.verdict.cause)
        return _grouped(hits, lambda each: each.verdict.claim)

    @cached_property
    def inconclusive(self) -> list[HostGroup]:
        return _grouped(self._hits(Verdict.INCONCLUSIVE), lambda each: each.verdict.reason)

    @cached_property
    def unavailable(self) -> list[HostGroup]:
        return _grouped(self._hits(Verdict.UNAVAILABLE), lambda each: (each.verdict.reason, each.verdict.remedy))

    def _hits(self, verdict: Verdict) -> Iterator[Hit]:
        return (Hit(host, each) for host in self.hosts for each in host.results.verdicts if each.verdict is verdict)

    @cached_property
    def outliers(self) -> list[HostOutlier]:
        """The worst verdict first. What is unlike the others may as well be the only one that was mended."""
        unlike = [each for group in self._alike_hosts() for claim in self.claims for each in _unlike(claim, group)]
        together: dict[Hashable, list[tuple[Hit, Verdict, int]]] = {}
        for hit, usual, alike in unlike:
            why = hit.verdict.cause or hit.verdict.reason
            together.setdefault((hit.host, hit.verdict.verdict, why, usual), []).append((hit, usual, alike))
        found = []
        for (first, usual, alike), *others in together.values():
            claims = (first.verdict.claim, *(hit.verdict.claim for hit, _, _ in others))
            found.append(HostOutlier(first.host, first.verdict, claims, usual, alike))
        return sorted(found, key=lambda each: (_ORDER[each.first.verdict], -len(each.claims)))[:MOST_OUTLIERS]

    def _alike_hosts(self) -> list[list[TriedHost]]:
        groups: dict[tuple[str, str], list[TriedHost]] = {}
        for host in self.hosts:
            groups.setdefault(host.versions, []).append(host)
        return [group for group in groups.values() if len(group) >= FEWEST_ALIKE]

    @cached_property
    def turns(self) -> list[ClaimsTurn]:
        """What changed since the round before, the worst first, and of that what changed on most hosts."""
        changed: dict[tuple[str, Verdict, Verdict], list[TriedHost]] = {}
        for host in self.hosts:
            for claim, before in (host.before or {}).items():
                now = host.verdicts.get(claim)
                if now and now.verdict is not before:
                    changed.setdefault((claim, before, now.verdict), []).append(host)
        together: dict[tuple[Verdict, Verdict, tuple[TriedHost, ...]], list[str]] = {}
        for (claim, before, after), hosts in changed.items():
            together.setdefault((before, after, tuple(hosts)), []).append(claim)
        made = [
            ClaimsTurn(tuple(claims), turn_between(before, after), before, after, hosts)
            for (before, after, hosts), claims in together.items()
        ]
        ordered = sorted(made, key=lambda each: (_TURNS.index(each.turn), -len(each.hosts), -len(each.claims)))
        return ordered[:MOST_GROUPS]

    @property
    def compared(self) -> int:
        """Of how many hosts there is a round before."""
        return sum(host.before is not None for host in self.hosts)

    @cached_property
    def versions(self) -> list[tuple[str, list[tuple[str, list[TriedHost]]]]]:
        """What the hosts run, by kind and value, with the hosts that do, the most first."""
        return [(kind, _by_value(self.hosts, ask)) for kind, ask in _KINDS.items()]

    def numbers_of(self, host: TriedHost) -> list[int]:
        """The numbers of the causes that hit a host."""
        return self._numbers.get(host, [])

    @cached_property
    def _numbers(self) -> dict[TriedHost, list[int]]:
        found: dict[TriedHost, list[int]] = {}
        for number, cause in enumerate(self.causes, 1):
            for host in cause.hosts:
                found.setdefault(host, []).append(number)
        return found


#: Of exit codes, the worst first.
_RANKS = {1: 0, 3: 1, 0: 2}
_ORDER = {verdict: number for number, verdict in enumerate(Verdict)}
_TURNS: tuple[Turn, ...] = ("worse", "other", "better", "value", "new", "gone")
_KINDS: dict[str, Callable[[BriefResults], str | None]] = {
    "QEMU": lambda run: run.qemu.version,
    "libslirp": lambda run: run.qemu.slirp,
    "distribution": lambda run: run.host.distribution,
    "kernel": lambda run: run.host.kernel,
    "accelerator": lambda run: run.accel.used,
    "qemunet": lambda run: run.version,
}


def _by_value(
    hosts: Sequence[TriedHost], ask: Callable[[BriefResults], str | None]
) -> list[tuple[str, list[TriedHost]]]:
    found: dict[str, list[TriedHost]] = {}
    for host in hosts:
        found.setdefault(ask(host.results) or "unknown", []).append(host)
    return sorted(found.items(), key=lambda each: -len(each[1]))


def _grouped(hits: Iterable[Hit], key: Callable[[Hit], Hashable]) -> list[HostGroup]:
    groups: dict[Hashable, list[Hit]] = {}
    for each in hits:
        groups.setdefault(key(each), []).append(each)
    made = (HostGroup(tuple(group)) for group in groups.values())
    return sorted(made, key=lambda each: (not each.news, -len(each.hosts), -len(each.claims)))[:MOST_GROUPS]


def _unlike(claim: str, group: Sequence[TriedHost]) -> Iterator[tuple[Hit, Verdict, int]]:
    """Whose verdict is rare, with the usual one and the number of hosts."""
    tried = [Hit(host, host.verdicts[claim]) for host in group if claim in host.verdicts]
    counted = Counter(each.verdict.verdict for each in tried)
    if len(tried) < FEWEST_ALIKE or len(counted) == 1:
        return
    usual, _ = counted.most_common(1)[0]
    for each in tried:
        if each.verdict.verdict is not usual and counted[each.verdict.verdict] <= max(1, RARE * len(tried)):
            yield each, usual, len(tried)
