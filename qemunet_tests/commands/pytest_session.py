"""Running pytest inside this process: what it prints stays hidden, progress and the card are ours."""

import contextlib
import os
import signal
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from qemunet_tests import plugin
from qemunet_tests.claims import load
from qemunet_tests.commands.pause import Pause
from qemunet_tests.commands.terminal import Screens, hidden_output, text_of
from qemunet_tests.commands.unforeseen_errors import wants_traceback
from qemunet_tests.errors import HarnessError
from qemunet_tests.guest.bench import Bench
from qemunet_tests.plugin import pytest_internals
from qemunet_tests.plugin.claim_marker import RECORD, claim_of_location
from qemunet_tests.plugin.workers import verdict_in
from qemunet_tests.report import failures, time_left
from qemunet_tests.report.card import Detail, print_card
from qemunet_tests.report.known_claims import KnownClaims
from qemunet_tests.report.progress_line import Display, Quiet, display
from qemunet_tests.report.session_results import exit_code
from qemunet_tests.report.time_left import TimeLeft
from qemunet_tests.report.verdict_of_test import Verdict
from qemunet_tests.settings import Settings
from qemunet_tests.signal_handlers import handled

SHOW_CURSOR = b"\x1b[?25h"


@dataclass(frozen=True)
class Telling:
    """How a run tells what it found: how much, and which options of it are repeated where it says what to type.

    `pause` is where it stops at a failure; None where it goes on.
    """

    detail: Detail = "usual"
    options: tuple[str, ...] = ()
    pause: Pause | None = None


class Watcher:
    """A pytest plugin of the reporting process: follows the session and feeds the display."""

    def __init__(
        self,
        show: Callable[[], Display],
        settings: Settings | None,
        image_seconds: float,
        pause: Pause | None,
        seconds: Mapping[str, float],
    ) -> None:
        self._pause = pause
        #: The plugin looks for these three here.
        self.pauses = pause is not None
        self.__name__ = plugin.RUN_PLUGIN
        self.settings, self.seconds = settings, seconds
        self._show = show
        self._image_seconds = image_seconds
        self._display: Display = Quiet()
        self.config: pytest.Config | None = None
        self.worker_pids: list[int] = []
        self._took: defaultdict[str, float] = defaultdict(float)
        self._claims: dict[str, str] = {}

    def say(self, sentence: str) -> None:
        """Tell the user, if he is shown anything yet, and still looks."""
        with contextlib.suppress(BrokenPipeError):
            self._display.say(sentence)

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._display.close()

    def code_so_far(self) -> int:
        """The exit code of a session that ends now: it is not complete."""
        if self.config is None:
            return 3
        reporter = plugin.reporter(self.config)
        known = reporter.known or KnownClaims()
        broken = [each for each in reporter.session.findings if each.verdict is Verdict.BROKEN]
        return 1 if any(known.entry_of(each.claim, each.verdict) is None for each in broken) else 3

    def pytest_configure(self, config: pytest.Config) -> None:
        self.config = config
        plugin.facts(config).phases["image"] = round(self._image_seconds, 3)

    def pytest_sessionstart(self) -> None:
        # Not before: the display may start a thread, and the lab has to be entered without any.
        with _read():
            self._display = self._show()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._expect([item.nodeid for item in session.items])

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodeready(self, node: Any) -> None:
        self.worker_pids.append(pytest_internals.pid_of_worker(node))

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        self._expect(ids)

    def _expect(self, tests: Sequence[str]) -> None:
        # xdist's controller collects nothing, and every worker the same.
        if tests and not self._claims:
            self._claims = {test: self._claim_of(test) for test in tests}
            with _read():
                self._display.expect(self._claims)

    def _claim_of(self, test: str) -> str:
        root = self.config.rootpath if self.config else Path()
        return claim_of_location(test, root) or test.rpartition("::")[2]

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        with _read():
            self._display.started(nodeid, self._claims.get(nodeid) or self._claim_of(nodeid))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._took[report.nodeid] += report.duration
        if report.when in ("setup", "call"):
            return
        with _read():
            self._display.finished(report.nodeid, verdict_in(report))

    def pytest_sessionfinish(self) -> None:
        time_left.keep(self._took)

    def pytest_exception_interact(self, node: object, call: pytest.CallInfo[object]) -> None:
        if self._pause is None or not isinstance(node, pytest.Item) or call.when == "teardown" or not call.excinfo:
            return
        bench = pytest_internals.fixtures_of(node).get("bench")
        guests = bench.guests if isinstance(bench, Bench) else []
        what = f"{self._claims.get(node.nodeid) or node.name}: {_said_of(node, call.excinfo.value)}"
        with _read(), self._display.set_aside():
            self._pause.at(what, guests)

    def pytest_qemunet_progress(self, sentence: str) -> None:
        with _read():
            self._display.say(sentence)

    def pytest_keyboard_interrupt(self) -> None:
        for pid in self.worker_pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT)


def _said_of(test: pytest.Item, error: BaseException) -> str:
    """What is wrong, in a line."""
    said = str(error).partition("\n")[0] or type(error).__name__
    return test.stash[RECORD].in_words(said) if RECORD in test.stash else said


@contextlib.contextmanager
def _read() -> Iterator[None]:
    """Where whoever read what is shown has left, the session ends in order, as by Ctrl-C."""
    try:
        yield
    except BrokenPipeError:
        raise KeyboardInterrupt from None


def conduct(
    screens: Screens,
    arguments: list[str],
    workers: int,
    settings: Settings | None = None,
    image_seconds: float = 0.0,
    telling: Telling = Telling(),
) -> int:
    """Run pytest with these arguments, print the card, and answer with qemunet's exit code.

    Without `settings` the arguments say what they are.
    Raises HarnessError where pytest did not get as far as testing, and what entering the lab raises.
    """
    took = time_left.recall()
    left = TimeLeft(took, workers)
    watcher = Watcher(
        lambda: display(screens.progress, left, ticking=workers > 1), settings, image_seconds, telling.pause, took
    )
    with hidden_output() as hidden, _interruptible(screens, watcher):
        try:
            ended = _run_pytest(arguments, watcher)
        finally:
            watcher.close()
        output = text_of(hidden)
    if ended == pytest.ExitCode.USAGE_ERROR:
        raise HarnessError(_last_words(output))
    if ended == pytest.ExitCode.INTERNAL_ERROR and wants_traceback():
        print(output, file=sys.stderr)
    if watcher.config is None:
        screens.card.print("interrupted before anything was tried", highlight=False)
        return 3
    return _report(screens, watcher.config, ended, telling)


def _run_pytest(arguments: list[str], watcher: Watcher) -> int:
    try:
        return pytest.main(arguments, plugins=[watcher])
    except KeyboardInterrupt:
        return pytest.ExitCode.INTERRUPTED


def _report(screens: Screens, config: pytest.Config, ended: int, telling: Telling) -> int:
    console = screens.card
    reporter = plugin.reporter(config)
    results = reporter.results()
    trouble = reporter.session.complaints
    if ended == pytest.ExitCode.NO_TESTS_COLLECTED:
        trouble.append("the claims that were asked for have no tests; `qemunet claims` says why")
    code = exit_code(results, bool(trouble))
    failed = ended == pytest.ExitCode.TESTS_FAILED
    if failed and code == 0 and (results.uncited.failed or not any(each.known for each in results.verdicts)):
        trouble.append("a test that cites no claim failed")
        code = 3
    says = {id_: claim.says for id_, claim in load().items()}
    results = results.model_copy(update={"notes": [*dict.fromkeys([*trouble, *results.notes])]})
    with contextlib.suppress(BrokenPipeError):
        console.print()
        print_card(console, results, says, reporter.written(), reporter.missed, telling.detail)
        width = console.width if console.is_terminal else None
        for line in (*reporter.after_card(), *failures.lines(results, telling.options, reporter.folder, width)):
            console.print(line, soft_wrap=True, highlight=False, markup=False)
    return code


def _last_words(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or lines or ["pytest did not say why it stopped"])[-1]


@contextlib.contextmanager
def _interruptible(screens: Screens, watcher: Watcher) -> Iterator[None]:
    """The first Ctrl-C ends the session in order, the second one ends the process."""
    asked = 0

    def interrupt(*_: object) -> None:
        nonlocal asked
        asked += 1
        if asked > 1:
            _end_at_once(screens, watcher)
        watcher.say("interrupted: ending the guests (Ctrl-C again ends at once)")
        raise KeyboardInterrupt

    with handled(interrupt, signal.SIGINT, signal.SIGTERM):
        yield


def _end_at_once(screens: Screens, watcher: Watcher) -> None:
    """No cleaning up: every lab's reaper ends all it keeps when its owner is gone."""
    for pid in watcher.worker_pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    last_words = b"\r\ninterrupted twice: ended at once\r\n"
    shown = screens.progress
    with contextlib.suppress(OSError):
        os.write(shown.file.fileno(), (SHOW_CURSOR if shown.is_terminal else b"") + last_words)
    os._exit(watcher.code_so_far())
