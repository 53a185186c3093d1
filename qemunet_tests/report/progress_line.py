"""What is shown while tests run: a live line on a terminal, plain lines elsewhere."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from qemunet_tests.report.card_lines import STYLES, VERDICT_WIDTH, plural
from qemunet_tests.report.claims_done import ClaimsDone
from qemunet_tests.report.time_left import TimeLeft, in_words
from qemunet_tests.report.verdict_of_test import Verdict, VerdictOfTest

#: From this width on there is room for a bar.
BAR_COLUMNS = 100
_BAR_WIDTH = 16
#: Those that are counted.
_WORST_FIRST = (Verdict.BROKEN, Verdict.INCONCLUSIVE, Verdict.DEVIATES, Verdict.UNAVAILABLE)
#: What of the live line is no claim: spinner, count, clock, time left, and spaces between them.
_FIXED_WIDTH = 39


class Display(Protocol):
    """What a run tells about its progress. Tests without a claim have no finding."""

    def expect(self, claims: Mapping[str, str]) -> None:
        """These tests will run, each about the claim that it is told with, or about itself."""

    def started(self, test: str, claim: str) -> None:
        """A test has begun; `test` tells it from others that run beside it."""

    def finished(self, test: str, finding: VerdictOfTest | None) -> None:
        """A test has ended."""

    def say(self, sentence: str) -> None:
        """Something besides tests happened."""

    def set_aside(self) -> AbstractContextManager[None]:
        """Meanwhile the terminal is somebody else's."""
        ...

    def close(self) -> None:
        """Nothing more will be shown."""


class Quiet:
    """Says nothing, as before a session has started."""

    def expect(self, claims: Mapping[str, str]) -> None:
        """Says nothing."""

    def started(self, test: str, claim: str) -> None:
        """Says nothing."""

    def finished(self, test: str, finding: VerdictOfTest | None) -> None:
        """Says nothing."""

    def say(self, sentence: str) -> None:
        """Says nothing."""

    def set_aside(self) -> AbstractContextManager[None]:
        """Shows nothing."""
        return nullcontext()

    def close(self) -> None:
        """Says nothing."""


class PlainLines:
    """One line per claim that is done, for files and pipes."""

    def __init__(self, console: Console, left: TimeLeft) -> None:
        self._console = console
        self._left = left
        self._claims = ClaimsDone()

    def expect(self, claims: Mapping[str, str]) -> None:
        self._claims.expect(claims)
        self._left.expect(claims)
        if seconds := self._left.seconds():
            self.say(f"{plural(self._claims.total, 'claim')}, about {in_words(seconds)} by the last run")

    def started(self, test: str, claim: str) -> None:
        del claim  # said when it ends
        self._left.started(test)

    def finished(self, test: str, finding: VerdictOfTest | None) -> None:
        self._left.finished(test)
        if ended := self._claims.finished(test, finding):
            claim, verdict, seconds = ended
            place = f"[{self._claims.done:>{len(str(self._claims.total))}}/{self._claims.total}]"
            self.say(f"{place} {claim}  {verdict.value}  {seconds:.1f} s")

    def say(self, sentence: str) -> None:
        self._console.print(sentence, soft_wrap=True, highlight=False, markup=False)
        self._console.file.flush()

    def set_aside(self) -> AbstractContextManager[None]:
        """Lines are out already."""
        return nullcontext()

    def close(self) -> None:
        """Lines are out already."""


class _LeftColumn(ProgressColumn):
    """The time left, where it is known."""

    def __init__(self, left: TimeLeft) -> None:
        super().__init__()
        self._left = left

    def render(self, task: object) -> Text:
        del task
        seconds = self._left.seconds()
        return Text(f"{in_words(seconds)} left" if seconds else "")


class LiveLine:
    """Counts of claims, those being tried, and the time; what does not hold is said at once.

    `ticking` refreshes it from a thread, which is left out where this process drives guests itself.
    """

    def __init__(self, console: Console, left: TimeLeft, ticking: bool) -> None:
        self._console = console
        self._left = left
        self._claims = ClaimsDone()
        self._running: dict[str, str] = {}
        self._counts: Counter[Verdict] = Counter()
        #: A claim with several tests is told of once.
        self._said: set[tuple[str, Verdict]] = set()
        self._ticking = ticking
        bar = [BarColumn(bar_width=_BAR_WIDTH)] if console.width >= BAR_COLUMNS - 1 else []
        self._room = max(console.width - _FIXED_WIDTH - (_BAR_WIDTH + 1 if bar else 0), 10)
        self._bar = Progress(
            SpinnerColumn(),
            MofNCompleteColumn(),
            *bar,
            TextColumn("{task.description}", markup=False),
            TimeElapsedColumn(),
            _LeftColumn(left),
            console=console,
            auto_refresh=ticking,
            refresh_per_second=4,
            transient=True,
            expand=False,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = self._bar.add_task("entering the lab"[: self._room], total=None)
        self._bar.start()
        self._bar.refresh()

    def expect(self, claims: Mapping[str, str]) -> None:
        self._claims.expect(claims)
        self._left.expect(claims)
        self._show()

    def started(self, test: str, claim: str) -> None:
        self._left.started(test)
        self._running[test] = claim
        self._show()

    def finished(self, test: str, finding: VerdictOfTest | None) -> None:
        self._left.finished(test)
        self._running.pop(test, None)
        if ended := self._claims.finished(test, finding):
            self._counts[ended[1]] += 1
        if finding and finding.verdict is not Verdict.HOLDS and (finding.claim, finding.verdict) not in self._said:
            self._said.add((finding.claim, finding.verdict))
            self._say_verdict(finding)
        self._show()

    def _say_verdict(self, finding: VerdictOfTest) -> None:
        verdict = (f"{finding.verdict.value:<{VERDICT_WIDTH}}", STYLES[finding.verdict])
        line = Text.assemble(verdict, f"  {finding.claim}  {finding.reason or ''}", no_wrap=True)
        line.truncate(self._console.width, overflow="ellipsis")
        self._console.print(line, highlight=False, markup=False)

    def say(self, sentence: str) -> None:
        self._console.print(sentence, highlight=False, markup=False)

    @contextmanager
    def set_aside(self) -> Iterator[None]:
        self._bar.stop()
        try:
            yield
        finally:
            self._bar.start()

    def close(self) -> None:
        self._bar.stop()

    def _show(self) -> None:
        counts = self._counted()
        # A claim may have several tests.
        running = ", ".join(dict.fromkeys(self._running.values()))
        over = self._claims.total and self._claims.done == self._claims.total
        running = running or ("ending" if over else "" if counts else "preparing")
        description = "  ".join(part for part in (counts, running) if part)
        # Wider than the terminal, the line would wrap and leave its old copies behind.
        shown = description if len(description) <= self._room else f"{description[: self._room - 1]}…"
        self._bar.update(self._task, description=shown, completed=self._claims.done, total=self._claims.total or None)
        if not self._ticking:
            self._bar.refresh()

    def _counted(self) -> str:
        """How many did not hold, the worst first, as far as whole words have room. All done stand before it."""
        told = [f"{self._counts[verdict]} {verdict.value}" for verdict in _WORST_FIRST if self._counts[verdict]]
        while len(told) > 1 and len(" ".join(told)) > self._room:
            told.pop()
        return " ".join(told)


def display(console: Console, left: TimeLeft, ticking: bool) -> Display:
    """What suits the console."""
    return LiveLine(console, left, ticking) if _can_live(console) else PlainLines(console, left)


def _can_live(console: Console) -> bool:
    return console.is_terminal and not console.is_dumb_terminal
