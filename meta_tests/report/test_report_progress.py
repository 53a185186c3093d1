"""Progress: plain lines, or a live one on a terminal."""

import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from meta_tests.samples.results import FINDINGS
from qemunet_tests.report.progress_line import LiveLine, PlainLines, display
from qemunet_tests.report.time_left import FILE, TimeLeft, in_words, recall
from qemunet_tests.report.verdict_of_test import Verdict


def console(terminal: bool, width: int = 80) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=width, _environ={"TERM": "xterm"})


def shown(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_plain_lines_come_one_per_finished_claim_test() -> None:
    paper = console(terminal=False)
    lines = display(paper, TimeLeft({}, 1), ticking=True)
    assert isinstance(lines, PlainLines)
    lines.expect({"a": "user/address", "b": "user/dns-resolves", "unmarked": "unmarked"} | {c: c for c in "cdefghijk"})
    lines.started("a", "user/address")
    lines.finished("a", FINDINGS[0])
    lines.finished("unmarked", None)
    lines.finished("b", FINDINGS[1])
    lines.close()
    assert shown(paper) == "[ 1/12] user/address  holds  1.1 s\n[ 3/12] user/dns-resolves  broken  2.0 s\n"


def test_the_live_line_shows_what_runs_and_says_at_once_what_does_not_hold() -> None:
    screen = console(terminal=True)
    live = display(screen, TimeLeft({}, 1), ticking=False)
    assert isinstance(live, LiveLine)
    live.expect({"a": "user/address", "b": "user/dns-resolves", "c": "user/gateway"})
    live.started("a", "user/address")
    assert "user/address" in shown(screen)
    live.finished("a", FINDINGS[0])
    live.started("b", "user/dns-resolves")
    live.finished("b", FINDINGS[1])
    assert "broken" in shown(screen)
    assert "the resolver that comes first" in shown(screen)
    live.close()
    assert shown(screen).rstrip().endswith("\x1b[2K") or "\x1b[?25h" in shown(screen)


def live_descriptions(*steps: str) -> list[str]:
    """What the live line says of `user/address`, which has two tests, after these steps."""
    screen = console(terminal=True)
    live = display(screen, TimeLeft({}, 1), ticking=False)
    live.expect({"a": "user/address", "again": "user/address"})
    said = []
    for step in steps:
        name, _, verb = step.partition(" ")
        before = len(shown(screen))
        live.started(name, "user/address") if verb == "begins" else live.finished(name, FINDINGS[0])
        said.append(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown(screen)[before:]))
    live.close()
    return said


def test_a_claim_with_two_tests_that_run_is_named_once() -> None:
    *_, both = live_descriptions("a begins", "again begins")
    assert both.count("user/address") == 1


def test_between_two_tests_something_is_prepared_and_at_the_end_nothing() -> None:
    _, between, _, at_the_end = live_descriptions("a begins", "a ends", "again begins", "again ends")
    assert "preparing" in between
    assert "preparing" not in at_the_end
    assert "ending" in at_the_end


def test_at_the_end_of_a_run_that_found_something_it_says_so_too() -> None:
    screen = console(terminal=True)
    live = display(screen, TimeLeft({}, 1), ticking=False)
    live.expect({"a": "user/dns-resolves"})
    live.finished("a", FINDINGS[1])
    live.close()
    assert re.search("1/1 1 broken  ending ", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown(screen)))


def test_a_dumb_terminal_gets_plain_lines() -> None:
    dumb = Console(file=io.StringIO(), force_terminal=True, _environ={"TERM": "dumb"})
    assert isinstance(display(dumb, TimeLeft({}, 1), ticking=False), PlainLines)


@pytest.mark.parametrize("width", [79, 59])
def test_the_live_line_fits_into_a_narrow_terminal(width: int) -> None:
    screen = console(terminal=True, width=width)
    live = display(screen, TimeLeft({"a": 100.0, "b": 100.0}, 1), ticking=False)
    live.expect({"a": "user/a-claim-with-a-long-name", "b": "user/another-with-a-long-name"} | {
        str(number): str(number) for number in range(242)
    })  # fmt: skip
    live.started("a", "user/a-claim-with-a-long-name")
    live.started("b", "user/another-with-a-long-name")
    live.close()
    widest = max(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown(screen)).replace("\r", "\n").split("\n"), key=len)
    assert "min left" in widest
    assert len(widest) <= width


def test_the_time_left_follows_todays_pace() -> None:
    clock = [0.0]
    left = TimeLeft({"a": 40.0, "b": 60.0, "c": 80.0}, workers=2, now=lambda: clock[0])
    left.expect(["a", "b", "c", "new"])
    assert left.seconds() == 120.0
    left.started("a")
    clock[0] = 40.0
    left.finished("a")
    assert left.seconds() == 100.0
    left.started("b")
    clock[0] = 160.0
    left.finished("b")
    # Twice as slow by now, less what is not believed yet.
    assert 120.0 < left.seconds() < 130.0


def test_a_first_run_tells_no_time() -> None:
    left = TimeLeft({"elsewhere": 3.0}, workers=1)
    left.expect(["a", "b"])
    assert left.seconds() is None
    assert [in_words(seconds) for seconds in (0.0, 3.0, 42.0, 58.0, 200.0)] == ["5 s", "5 s", "40 s", "1 min", "3 min"]


@pytest.mark.parametrize("seconds", ["NaN", "Infinity", "1" + "0" * 400, "[]"])
def test_seconds_that_are_none_are_not_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: str) -> None:
    monkeypatch.setenv("QEMUNET_CACHE", str(tmp_path))
    (tmp_path / FILE).write_text(f'{{"schema": 1, "tests": {{"a": {seconds}}}}}')
    assert recall() == {}


def test_a_narrow_terminal_counts_the_worst_in_whole_words() -> None:
    screen = console(terminal=True, width=59)
    live = display(screen, TimeLeft({}, 1), ticking=False)
    ended = [Verdict.DEVIATES] * 9 + [Verdict.UNAVAILABLE] * 9 + [Verdict.BROKEN]
    live.expect({str(number): f"user/{number}" for number in range(len(ended) + 1)})
    for number, verdict in enumerate(ended):
        live.finished(str(number), replace(FINDINGS[0], claim=f"user/{number}", verdict=verdict))
    live.close()
    last = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown(screen)).replace("\r", "\n").rstrip().split("\n")[-1]
    assert "1 broken 9 deviates" in last
    assert "unavai" not in last


def test_a_claim_that_several_tests_break_is_said_once() -> None:
    screen = console(terminal=True)
    live = display(screen, TimeLeft({}, 1), ticking=False)
    live.expect({"a": "user/dns-resolves", "b": "user/dns-resolves", "c": "user/gateway"})
    for test in ("a", "b"):
        live.finished(test, FINDINGS[1])
    live.close()
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown(screen))
    assert len(re.findall(r"broken +user/dns-resolves  the resolver", plain)) == 1
