"""What stands on the page, in the order in which it is read: the answer, what to mend, the contract."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

from qemunet_tests.report.mode_answers import NO_CLAIM, NOT_RECORDED, answers
from qemunet_tests.report.mode_summary import mode_summary
from qemunet_tests.report.page.network_drawing import NetworkDrawing, network
from qemunet_tests.report.page.network_plan import plan_of
from qemunet_tests.report.report_folder import ARTIFACTS
from qemunet_tests.report.shapes import AnsweredQuestion, ClaimVerdict, OwnBuildShape, Results
from qemunet_tests.report.shared_causes import SharedCause, by_reason, causes_of_breakage, unexplained
from qemunet_tests.report.summary import headline
from qemunet_tests.report.verdict_of_test import Verdict

#: Read by people at a glance: of more claims the number is said, and of more modes what is no surprise is not named.
MOST_NAMED, MANY_MODES = 6, 6
NO_SURPRISE = (Verdict.DEVIATES, Verdict.UNAVAILABLE)
#: So many columns can be read on a desktop and on paper.
MOST_COLUMNS = 4
TARGETS = {"lab": "lab, a replica of the network made of namespaces", "host": "this host's own network"}
#: What a promise without a topic stands under.
NO_TOPIC = "its promises"


@dataclass(frozen=True)
class ModeView:
    """A mode: its sentence, how many claims have each verdict, and the claims by topic."""

    name: str
    sentence: str
    counts: dict[Verdict, int]
    topics: dict[str, list[ClaimVerdict]]

    @property
    def worst(self) -> Verdict:
        """What a reader has to know first: an untried promise does not spoil those that hold."""
        return next(verdict for verdict in Verdict if self.counts[verdict])


@dataclass(frozen=True)
class PageView:
    """All that the template needs, and nothing that it has to work out."""

    results: Results
    headline: str
    facts: dict[str, str]
    modes: list[ModeView]
    causes: list[SharedCause]
    unexplained: list[ClaimVerdict]
    inconclusive: list[SharedCause]
    unavailable: list[SharedCause]
    questions: list[AnsweredQuestion]

    @classmethod
    def of(cls, results: Results) -> "PageView":
        verdicts = [_with_its_table(each) for each in results.verdicts]
        return cls(
            results=results,
            headline=headline(results),
            facts={name: text for name, text in _facts(results) if text},
            modes=_modes(verdicts),
            causes=causes_of_breakage(verdicts),
            unexplained=unexplained(verdicts),
            inconclusive=by_reason(verdicts, Verdict.INCONCLUSIVE),
            unavailable=by_reason(verdicts, Verdict.UNAVAILABLE),
            questions=answers(results).questions,
        )

    @property
    def tried(self) -> str:
        """What was tried, as it belongs beside the answer: a page is forwarded, and read on another machine."""
        qemu, accel = self.results.qemu, self.results.accel
        parts = [
            qemu.version and f"QEMU {qemu.version}",
            qemu.slirp and f"libslirp {qemu.slirp}",
            f"Linux {self.results.host.kernel}",
            accel.used and f"accelerator {accel.used}",
            f"target {self.results.target}",
        ]
        return ", ".join(filter(None, parts))

    @property
    def modes_worst_first(self) -> list[ModeView]:
        """On a phone the first screen has room for few of many."""
        return sorted(self.modes, key=lambda each: list(Verdict).index(each.worst))

    @property
    def counts(self) -> dict[Verdict, int]:
        return {verdict: sum(mode.counts[verdict] for mode in self.modes) for verdict in Verdict}

    @property
    def known(self) -> set[str]:
        """The claims that stand on the page."""
        return {each.claim for each in self.results.verdicts}

    @property
    def compared(self) -> list[str]:
        """The modes of which a run or a recording says something."""
        told = [each for asked in self.questions for each in asked.answers if each.verdict or self._recorded(each.mode)]
        return list(dict.fromkeys(each.mode for each in sorted(told, key=lambda each: self._modes.index(each.mode))))

    @property
    def uncompared(self) -> list[str]:
        return [mode for mode in self._modes if mode not in self.compared]

    @property
    def mode_tables(self) -> list[tuple[list[str], list[AnsweredQuestion]]]:
        """The table of modes in parts that fit a page: the first asks everything, others what they answer."""
        starts = range(0, len(self.compared), MOST_COLUMNS)
        parts = [self.compared[start : start + MOST_COLUMNS] for start in starts]
        return [
            (modes, [each for each in self.questions if modes is parts[0] or _is_answered(each, modes)])
            for modes in parts
        ]

    @property
    def _modes(self) -> list[str]:
        return [each.mode for each in self.questions[0].answers]

    def _recorded(self, mode: str) -> bool:
        recording = self.results.recording
        return recording is not None and any(arm.arm == mode for arm in recording.arms)

    @property
    def numbers(self) -> dict[str, str]:
        """Of claims that a known cause broke, its number on the page."""
        numbered = enumerate(self.causes, 1)
        return {each.claim: str(number) for number, cause in numbered for each in cause.claims}

    @property
    def losses(self) -> list[tuple[str, tuple[ClaimVerdict, ...]]]:
        """The numbers of the causes to which frames were lost, with their claims."""
        numbered = ((str(number), each) for number, each in enumerate(self.causes, 1))
        return [(number, each.claims) for number, each in numbered if each.losses]

    @property
    def network(self) -> NetworkDrawing | None:
        """The network under test with the places where frames were lost; None where it is not known."""
        plan = plan_of(self.results)
        return network(plan, self.losses) if plan else None

    @property
    def first(self) -> SharedCause | None:
        """What to mend first: what broke most, of what is news and somebody knows how to mend."""
        return next((each for each in self.causes if each.remedy and each.news), None)

    @property
    def no_news(self) -> int:
        """How many verdicts are known."""
        return sum(each.known is not None for each in self.results.verdicts)

    @property
    def when(self) -> str | None:
        """When the run began, as a person reads it."""
        return moment(self.results.at)


def _with_its_table(each: ClaimVerdict) -> ClaimVerdict:
    """Results of before their claims' sentences were kept get today's; a claim that is gone stands without."""
    if each.says is not None:
        return each
    from qemunet_tests.claims import load

    table = load().get(each.claim)
    if table is None:
        return each
    return each.model_copy(update={"says": table.says, "source": table.source, "topic": table.topic})


def _is_answered(question: AnsweredQuestion, modes: Sequence[str]) -> bool:
    """Whether there is a claim about it, or a recording."""
    asked = (each for each in question.answers if each.mode in modes)
    return any(each.claims or each.says not in (NO_CLAIM, NOT_RECORDED) for each in asked)


def _modes(verdicts: Sequence[ClaimVerdict]) -> list[ModeView]:
    names = list(dict.fromkeys(each.mode for each in verdicts))
    unnamed = NO_SURPRISE if len(names) > MANY_MODES else ()
    return [_mode(mode, verdicts, unnamed) for mode in names]


def _mode(mode: str, verdicts: Sequence[ClaimVerdict], unnamed: Collection[Verdict]) -> ModeView:
    group = [each for each in verdicts if each.mode == mode]
    topics: dict[str, list[ClaimVerdict]] = {}
    for each in group:
        topics.setdefault(each.topic or NO_TOPIC, []).append(each)
    counts = {verdict: sum(each.verdict is verdict for each in group) for verdict in Verdict}
    return ModeView(mode, mode_summary(mode, group, MOST_NAMED, unnamed), counts, topics)


def _facts(results: Results) -> Iterator[tuple[str, str | None]]:
    host, qemu, accel = results.host, results.qemu, results.accel
    yield "QEMU", " ".join(filter(None, [qemu.version, f"({qemu.path})" if qemu.path else None]))
    yield "libslirp", qemu.slirp
    yield "passt", next((each.passt for each in results.verdicts if each.passt), None)
    yield "own libslirp", _own(qemu.own_libslirp)
    yield "own helper", _own(qemu.own_helper)
    yield "own passt", _own(results.passt)
    yield "kernel", f"Linux {host.kernel}, {host.distribution}"
    yield "accelerator", ": ".join(filter(None, [accel.used, accel.reason]))
    yield "target", TARGETS[results.target]
    yield "host", ", ".join(filter(None, [host.name, f"{host.cpus} CPUs", host.id and f"id {host.id}"]))
    yield "guest image", f"{results.image.name}, {results.image.digest[:12]}" if results.image else None
    yield "command", results.command
    yield "took", f"{results.seconds:.0f} s"
    yield "qemunet", results.version


def _own(build: OwnBuildShape | None) -> str | None:
    if build is None:
        return None
    return f"{', '.join(filter(None, [build.version, build.path]))} instead of {build.instead_of}"


def moment(at: str | None) -> str | None:
    """A moment as a person reads it; None for what is none."""
    try:
        when = datetime.fromisoformat(at or "")
        return f"{when.astimezone(UTC):%d %B %Y, %H:%M} UTC" if when.tzinfo else f"{when:%d %B %Y, %H:%M}"
    except (ValueError, OverflowError):
        return None


def capitalized(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def anchor(claim: str) -> str:
    """A claim's place in the page, as an id and behind `#`."""
    return "claim/" + re.sub(r"[^\w/.-]", "-", claim)


def web_address(url: str | None) -> str | None:
    """An address that a browser may be sent to; None for any other, such as a script."""
    try:
        parts = urlsplit(url or "")
    except ValueError:
        return None
    return url if parts.scheme in ("http", "https") and parts.netloc else None


def folder_beside(artifact: str) -> str | None:
    """Where a folder of artifacts is, seen from a page in the report's folder; None for one that lies elsewhere."""
    found = re.search(rf"(?:^|/){ARTIFACTS}/([^/]+)/([^/]+)/?$", artifact)
    if not found or ".." in found.groups():
        return None
    return f"./{ARTIFACTS}/{quote(found[1])}/{quote(found[2])}/"
