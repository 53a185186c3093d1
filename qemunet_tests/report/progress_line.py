"""What is shown while tests run: a live line on a terminal, plain lines elsewhere."""

from collections import Counter
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from qemunet_tests.report.card import STYLES, VERDICT_WIDTH
from qemunet_tests.report.verdict_of_test import Verdict, VerdictOfTest


class Display(Protocol):
    """What a run tells about its progress. Tests without a claim have no finding."""

    def expect(self, total: int) -> None:
        """So many tests will run."""

    def started(self, test: str, claim: str) -> None:
        """A test has begun; `test` tells it from others that run beside it."""

    def finished(self, test: str, finding: VerdictOfTest | None) -> None:
        """A test has ended."""

    def say(self, sentence: str) -> None:
        """Something besides tests happened."""

    def close(self) -> None:
        """Nothing more will be shown."""


class Quiet:
    """Says nothing, as before a session has started."""

    def expect(self, total: int) -> None:
        """Says nothing."""

    def started(self, test: str, claim: str) -> None:
        """Says nothing."""

    def finished(self, test: str, finding: VerdictOfTest | None) -> None:
        """Says nothing."""

    def say(self, sentence: str) -> None:
        """Says nothing."""

    def close(self) -> None:
        """Says nothing."""


class PlainLines:
    """One line per finished test, for files and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._total = 0
        self._done = 0

    def expect(self, total: int) -> None:
        self._total = total

    def started(self, test: str, claim: str) -> None:
        """Said when it ends."""

    def finished(self, test: str, finding: VerdictOfTest | None) -> None:
        del test
        self._done += 1
        if finding:
            place = f"[{self._done:>{len(str(self._total))}}/{self._total}]"
            self.say(f"{place} {finding.claim}  {finding.verdict.value}  {finding.seconds:.1f} s")

    def say(self, sentence: str) -> None:
        self._console.print(sentence, soft_wrap=True, highlight=False, markup=False)
        self._console.file.flush()

    def close(self) -> None:
        """Lines are out already."""


class LiveLine:
    """A bar with counts, the claims being tried, and the time; what does not hold is said at once.

    `ticking` refreshes it from a thread, which is left out where this process drives guests itself.
    """

    def __init__(self, console: Console, ticking: bool) -> None:
        self._console = console
        self._running: dict[str, str] = {}
        self._counts: Counter[Verdict] = Counter()
        self._ticking = ticking
        self._bar = Progress(
            SpinnerColumn(),
            MofNCompleteColumn(),
            BarColumn(bar_width=16),
            TextColumn("{task.description}", markup=False),
            TimeElapsedColumn(),
            console=console,
            auto_refresh=ticking,
            refresh_per_second=4,
            transient=True,
            expand=False,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = self._bar.add_task("preparing", total=None)
        self._bar.start()
        self._bar.refresh()

    def expect(self, total: int) -> None:
        self._show(total=total)

    def started(self, test: str, claim: str) -> None:
        self._running[test] = claim
        self._show()

    def finished(self, test: str, finding: VerdictOfTest | None) -> None:
        self._running.pop(test, None)
        if finding:
            self._counts[finding.verdict] += 1
            if finding.verdict is not Verdict.HOLDS:
                self._say_verdict(finding)
        self._show(advance=1)

    def _say_verdict(self, finding: VerdictOfTest) -> None:
        verdict = (f"{finding.verdict.value:<{VERDICT_WIDTH}}", STYLES[finding.verdict])
        line = Text.assemble(verdict, f"  {finding.claim}  {finding.reason or ''}", no_wrap=True)
        line.truncate(self._console.width, overflow="ellipsis")
        self._console.print(line, highlight=False, markup=False)

    def say(self, sentence: str) -> None:
        self._console.print(sentence, highlight=False, markup=False)

    def close(self) -> None:
        self._bar.stop()

    def _show(self, total: int | None = None, advance: int = 0) -> None:
        counts = " ".join(f"{self._counts[verdict]} {verdict.value}" for verdict in STYLES if self._counts[verdict])
        running = ", ".join(self._running.values())
        description = "  ".join(part for part in (counts, running) if part) or "preparing"
        # Wider than the terminal, the line would wrap and leave its old copies behind.
        shown = description[: max(self._console.width - 45, 10)]
        self._bar.update(self._task, description=shown, advance=advance, total=total)
        if not self._ticking:
            self._bar.refresh()


def display(console: Console, ticking: bool) -> Display:
    """What suits the console."""
    return LiveLine(console, ticking) if _can_live(console) else PlainLines(console)


def _can_live(console: Console) -> bool:
    return console.is_terminal and not console.is_dumb_terminal
