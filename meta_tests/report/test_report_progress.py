"""Progress: plain lines, or a live one on a terminal."""

import io

from rich.console import Console

from meta_tests.samples.results import FINDINGS
from qemunet_tests.report.progress_line import LiveLine, PlainLines, display


def console(terminal: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=80, _environ={"TERM": "xterm"})


def shown(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_plain_lines_come_one_per_finished_claim_test() -> None:
    paper = console(terminal=False)
    lines = display(paper, ticking=True)
    assert isinstance(lines, PlainLines)
    lines.expect(12)
    lines.started("a", "user/address")
    lines.finished("a", FINDINGS[0])
    lines.finished("unmarked", None)
    lines.finished("b", FINDINGS[1])
    lines.close()
    assert shown(paper) == "[ 1/12] user/address  holds  1.1 s\n[ 3/12] user/dns-resolves  broken  2.0 s\n"


def test_the_live_line_shows_what_runs_and_says_at_once_what_does_not_hold() -> None:
    screen = console(terminal=True)
    live = display(screen, ticking=False)
    assert isinstance(live, LiveLine)
    live.expect(3)
    live.started("a", "user/address")
    assert "user/address" in shown(screen)
    live.finished("a", FINDINGS[0])
    live.started("b", "user/dns-resolves")
    live.finished("b", FINDINGS[1])
    assert "broken" in shown(screen)
    assert "the resolver that comes first" in shown(screen)
    live.close()
    assert shown(screen).rstrip().endswith("\x1b[2K") or "\x1b[?25h" in shown(screen)


def test_a_dumb_terminal_gets_plain_lines() -> None:
    dumb = Console(file=io.StringIO(), force_terminal=True, _environ={"TERM": "dumb"})
    assert isinstance(display(dumb, ticking=False), PlainLines)
