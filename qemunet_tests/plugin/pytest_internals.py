"""What we use of pytest and xdist that they do not promise to keep: all of it is here, and nowhere else.

Should another version of theirs break something, this is where to look. Imports nothing of qemunet's.
"""

import os
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

#: Options with which pytest runs no test.
_LOOKING = ("help", "version", "collectonly", "markers", "showfixtures", "show_fixtures_per_test")


def parsed_options(config: pytest.Config) -> Namespace:
    """What is known of the options: while a session starts, pytest has parsed them only provisionally."""
    return config.option if hasattr(config.option, "file_or_dir") else config.known_args_namespace


def only_looks(config: pytest.Config) -> bool:
    """Whether this session runs no test, but lists or explains something."""
    return any(getattr(parsed_options(config), name, False) for name in _LOOKING)


def spreads_tests(config: pytest.Config) -> bool:
    """Whether xdist was asked to have workers run the tests."""
    return bool(getattr(config.option, "dist", "no") != "no")


def base_of_temporary_folders(config: pytest.Config) -> Path | None:
    """Where pytest was told to make them; xdist tells its workers."""
    return Path(config.option.basetemp) if config.option.basetemp else None


def write_junit_unless_asked(config: pytest.Config, place: Path | None) -> None:
    """Have pytest write junit.xml there, unless the user named a place of his own."""
    config.option.xmlpath = getattr(config.option, "xmlpath", None) or (place and str(place))


class JunitPlace:
    """Where pytest is about to write its junit.xml."""

    def __init__(self, config: pytest.Config) -> None:
        # Most sessions of pytest need it not, and loading it takes time.
        from _pytest.junitxml import xml_key

        self._log = config.stash.get(xml_key, None)

    def is_at(self, place: Path) -> bool:
        return self._log is not None and self._log.logfile == os.path.normpath(place)

    def move(self, place: Path) -> None:
        if self._log is not None:
            self._log.logfile = os.path.normpath(place)


def skip(error: Exception) -> NoReturn:
    """Skip the test for what the error says; the report names the place of the test and not this one."""
    raise pytest.skip.Exception(str(error), _use_item_location=True) from error


def phases(item: pytest.Item, again: Callable[[], bool], next_item: pytest.Item | None) -> list[pytest.TestReport]:
    """Run a test and tell nobody yet. `again` is asked before the teardown: whether it is to be run once more."""
    from _pytest.runner import call_and_report

    function: Any = item
    if not getattr(item, "_request", True):
        function._initrequest()
    try:
        reports = [call_and_report(item, "setup", log=False)]
        if reports[0].passed and not item.config.getoption("setuponly", False):
            reports.append(call_and_report(item, "call", log=False))
        # What stays is what the test shares with the next one, were it this one: the same as with its own parent.
        following: Any = item.parent if again() else next_item
        if item.session.shouldfail or item.session.shouldstop:
            following = None
        reports.append(call_and_report(item, "teardown", log=False, nextitem=following))
    finally:
        if hasattr(item, "_request"):
            function._request, function.funcargs = False, None
    return reports


def asks_somebody(config: pytest.Config) -> bool:
    """Whether a failure stops in a debugger."""
    return bool(config.getoption("usepdb", False))


def message_of_failure(report: pytest.TestReport) -> str:
    """What was raised, in its own words, as far as pytest knows them."""
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(crash.message if crash else report.longrepr)


def width_and_markup(terminalreporter: Any) -> tuple[int, bool]:
    """Of the terminal: its columns, and whether it takes colours."""
    terminal = terminalreporter._tw
    return terminal.fullwidth, terminal.hasmarkup


def fixtures_of(item: pytest.Item) -> dict[str, Any]:
    """The values of the fixtures that a test asked for, as far as they were made."""
    made: dict[str, Any] = getattr(item, "funcargs", {})
    return made


def pid_of_worker(node: Any) -> int:
    """The process of one of xdist's workers."""
    pid: int = node.gateway._rinfo().pid
    return pid


def fixtures_nobody_has(item: pytest.Item) -> set[str]:
    """The fixtures that a test asks for, by whatever way, and that no plugin and no conftest defines."""
    info = getattr(item, "_fixtureinfo", None)
    return set(info.names_closure) - set(info.name2fixturedefs) - {"request"} if info else set()
