"""The part of the plugin that lives in the reporting process: xdist's controller, or the only process."""

import contextlib
import io
import os
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from qemunet_tests.plugin import pytest_internals, workers
from qemunet_tests.report.session_info import SessionFacts
from qemunet_tests.report.session_results import JUNIT_FILE, SUMMARY_FILE, SessionResults, write_results, write_whole
from qemunet_tests.report.uncited import EndedPhase
from qemunet_tests.report.verdict import one_line
from qemunet_tests.report.verdict_of_test import Verdict, VerdictOfTest

if TYPE_CHECKING:
    from qemunet_tests.report.known_claims import KnownClaims
    from qemunet_tests.report.shapes import Results
    from qemunet_tests.settings import Settings

#: How much of what was found a process may take along that is killed.
BETWEEN_WRITES_SECONDS = 5.0


class Reporter:
    """Gathers findings and facts, writes results.json and prints the card.

    `facts` are this process's own; `settings` may be asked for late, because most sessions never need them.
    """

    def __init__(self, config: pytest.Config, facts: SessionFacts, settings: "Callable[[], Settings]") -> None:
        self.session = SessionResults()
        self.folder: Path | None = None
        self.session.facts["this process"] = facts
        self._config = config
        self._written: list[Path] = []
        #: What is no news; read when the session is configured.
        self.known: KnownClaims | None = None
        #: What earlier runs could try and this one could not: said last.
        self.missed: list[str] = []
        self._written_until_seconds = 0.0
        self._settings = settings

    def results(self) -> "Results":
        """The session so far, as the document that results.json holds."""
        found = self.session.results(self._settings().target)
        return self.known.marked(found) if self.known else found

    def pytest_runtest_logstart(self) -> None:
        self.session.tests_began()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._believe(workers.facts_in(report))
        if report.when in ("setup", "call", "teardown"):
            self.session.uncited.take(_phase(report))
        if report.when == "teardown":
            if finding := workers.verdict_in(report):
                self.session.findings.append(finding)
                self._write_so_far()
        elif report.when not in ("setup", "call"):
            self._worker_died(report)

    def _worker_died(self, report: pytest.TestReport) -> None:
        from qemunet_tests.plugin.claim_marker import claim_of_location

        claim = claim_of_location(report.nodeid, self._config.rootpath)
        if claim is None:
            self.session.trouble.append(f"a process died in {report.nodeid}")
            return
        reason = "the process that ran the test died"
        self.session.findings.append(VerdictOfTest(claim, Verdict.INCONCLUSIVE, report.nodeid, reason=reason))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.session.trouble.append(f"{report.nodeid or 'the tests'} could not be loaded: {_last_error(report)}")

    def pytest_internalerror(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        self.session.trouble.append(f"pytest stopped: {one_line(excinfo.value)}")

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        # pytest ends a session that could not load its tests in the same way.
        self.session.interrupted = not isinstance(excinfo.value, pytest.Session.Interrupted)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        self._believe(workers.facts_left_by(node))

    def _believe(self, told: tuple[str, SessionFacts] | None) -> None:
        if told:
            worker, facts = told
            self.session.facts[worker] = facts

    # Inside of what prints the summary, which names what was written.
    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self) -> Generator[None, Any, Any]:
        with self._junit_kept_back() as junit:
            ended = yield
            # Most sessions of pytest are not about qemunet.
            if self.folder or self.session.findings:
                self._write(junit)
        return ended

    @contextlib.contextmanager
    def _junit_kept_back(self) -> Iterator[Path | None]:
        """pytest ends in a traceback where there is no room for junit.xml, so it writes ours elsewhere."""
        junit = pytest_internals.JunitPlace(self._config)
        place = self.folder / JUNIT_FILE if self.folder else None
        if place is None or not junit.is_at(place):
            yield None
            return
        # In memory, without a name that could outlive a second Ctrl-C.
        with os.fdopen(os.memfd_create(JUNIT_FILE)) as memory:
            elsewhere = Path(f"/proc/self/fd/{memory.fileno()}")
            junit.move(elsewhere)
            try:
                yield elsewhere
            finally:
                junit.move(place)

    def _write_so_far(self) -> None:
        """What is known already, should this process be killed. A full disk is told of at the end."""
        if self.folder and time.monotonic() > self._written_until_seconds:
            self._written_until_seconds = time.monotonic() + BETWEEN_WRITES_SECONDS
            with contextlib.suppress(OSError):
                write_results(self.results().model_copy(update={"interrupted": True}), self.folder)

    def _write(self, junit: Path | None) -> None:
        from qemunet_tests import under_test
        from qemunet_tests.report.earlier_runs import missed
        from qemunet_tests.report.junit import in_words_of_claims, known_in
        from qemunet_tests.report.page.html_page import PAGE_FILE, html_page
        from qemunet_tests.report.passed_packets import with_packets
        from qemunet_tests.report.recorded_rates import with_recording
        from qemunet_tests.report.summary import append_for_the_job, markdown

        if self.folder:
            self.session.packages = under_test.describe_packages(self._settings())
        self.missed = missed(self.results())
        for sentence in (*self.missed, *(self.known.outdated(self.results()) if self.known else ())):
            self.session.facts["this process"].note(sentence)
        results = self.results()
        summary = markdown(results, _says())
        if self.folder:
            try:
                results = with_recording(with_packets(results), self.folder)
                self._written.append(write_results(results, self.folder))
                self._written.append(write_whole(self.folder / SUMMARY_FILE, summary))
                if junit and junit.stat().st_size:
                    cases = in_words_of_claims(junit.read_text("utf-8"), known_in(results))
                    self._written.append(write_whole(self.folder / JUNIT_FILE, cases))
                self._written.append(write_whole(self.folder / PAGE_FILE, html_page(results)))
            except OSError as error:
                self.session.trouble.append(f"{self.folder} could not be written: {error.strerror}")
        try:
            append_for_the_job(summary)
        except OSError as error:
            self.session.facts["this process"].note(f"the job's page has no summary: {error}")

    @pytest.hookimpl
    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if not self.session.findings:
            self._name_uncited(terminalreporter)
            return
        from rich.console import Console

        from qemunet_tests.report.card import print_card

        stream, (width, markup) = io.StringIO(), pytest_internals.width_and_markup(terminalreporter)
        console = Console(file=stream, width=width, force_terminal=markup)
        print_card(console, self.results(), _says(), self.written(), self.missed)
        terminalreporter.section("qemunet")
        terminalreporter.write(stream.getvalue())
        for line in self.after_card():
            terminalreporter.write_line(line)
        self._name_uncited(terminalreporter, heading=False)

    def _name_uncited(self, terminalreporter: Any, heading: bool = True) -> None:
        """Most sessions of pytest are not about qemunet, and those tests are nobody's business here."""
        from qemunet_tests.report.uncited import lines

        if self.session.uncited.empty or not (
            self.folder or self.session.findings or self.session.uncited.has_artifacts
        ):
            return
        if heading:
            terminalreporter.section("qemunet")
        for line in [
            *lines(self.session.uncited.summed()),
            *([f"written: {self.folder}"] if heading and self.folder else []),
        ]:
            terminalreporter.write_line(line)

    def after_card(self) -> Iterator[str]:
        """What the card ends with: the line that compares with the run before, and what was dear."""
        from qemunet_tests.report.durations import lines
        from qemunet_tests.report.report_folder import line_to_type

        if self._written and self.folder and (line := line_to_type(self.folder)):
            yield "what changed since the run before it:"
            yield line
        if (most := self._settings().durations) is not None:
            yield from lines(self.results(), most)

    def written(self) -> list[Path]:
        """The files that the report went into."""
        return self._written


def _phase(report: pytest.TestReport) -> EndedPhase:
    return EndedPhase(
        test=report.nodeid,
        outcome=report.outcome,
        failure=pytest_internals.message_of_failure(report) if report.failed else None,
        last=report.when == "teardown",
        cites=workers.verdict_in(report) is not None,
        artifacts=workers.artifacts_in(report),
    )


def _says() -> dict[str, str]:
    from qemunet_tests.claims import load

    return {id_: claim.says for id_, claim in load().items()}


def _last_error(report: pytest.CollectReport) -> str:
    lines = [line[1:].strip() for line in str(report.longrepr).splitlines() if line.startswith("E ")]
    return lines[-1] if lines else "no reason is known"
