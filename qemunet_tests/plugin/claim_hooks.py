"""What pytest's hooks do to tests that cite a claim, and the fixture in which they say what they saw."""

import contextlib
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from qemunet_tests.errors import HarnessError, Unavailable
from qemunet_tests.plugin import pytest_internals, session_state, workers

if TYPE_CHECKING:
    from qemunet_tests.report.claim_report import ClaimReport


@pytest.fixture
def claim(request: pytest.FixtureRequest) -> "ClaimReport":
    """What the test has to say about its claim: expects, sees, deviates, blames."""
    from qemunet_tests.plugin.claim_marker import RECORD

    if RECORD not in request.node.stash:
        # Another plugin may have a fixture of this name, which ours must not hide.
        with contextlib.suppress(pytest.FixtureLookupError):
            theirs: ClaimReport = request.getfixturevalue("claim")
            return theirs
        raise HarnessError("the fixture `claim` needs a marker, for instance @pytest.mark.claim('user/address')")
    record: ClaimReport = request.node.stash[RECORD]
    return record


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Of the shipped tests, files in which no claim is that was asked for: to import them all takes a second or two."""
    if collection_path.suffix != ".py" or not session_state.is_ours(config):
        return None
    from qemunet_tests.claims.citations import TESTS, files_citing

    wanted = session_state.settings(config).wanted()
    named = any(collection_path.stem in word for word in config.args)
    if wanted is None or named or collection_path.parent != TESTS:
        return None
    return True if collection_path not in files_citing(wanted) else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    ours = session_state.is_ours(config)
    if not ours and not any(_cites(item) for item in items):
        return
    from qemunet_tests.installed import asked_once
    from qemunet_tests.plugin.claim_marker import cite, keep_within_bounds, select
    from qemunet_tests.plugin.order_of_tests import in_turn

    cite(items, strict=ours)
    chosen, left_out = select(items, session_state.settings(config))
    if not pytest_internals.only_looks(config):
        keep_within_bounds(chosen, asked_once(lambda: session_state.settings(config)))
    if left_out:
        config.hook.pytest_deselected(items=left_out)
    # Another project may have a marker `lengthy` of its own.
    items[:] = in_turn(chosen, session_state.seconds_of_tests(config)) if ours else chosen


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    if not (_cites(item) and session_state.is_ours(item.config)):
        return None
    from qemunet_tests.plugin import second_try
    from qemunet_tests.plugin.claim_marker import RECORD

    if RECORD not in item.stash or not second_try.possible(item.config):
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in second_try.tried(item, nextitem):
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, Any, Any]:
    with _skipping_what_is_unavailable():
        if not session_state.is_ours(item.config):
            _name_what_is_missing(item)
        if _cites(item):
            from qemunet_tests.plugin.claim_marker import begin

            begin(item)
        return (yield)


def _name_what_is_missing(item: pytest.Item) -> None:
    """Of a test that asks for our fixtures in a session that has none, because it did not ask for qemunet."""
    unknown = pytest_internals.fixtures_nobody_has(item)
    if not unknown:
        return
    from qemunet_tests.plugin.shipped_fixtures import names

    if ours := sorted(unknown & names()):
        pytest.fail(
            f"{', '.join(ours)}: this fixture is qemunet's, and the session did not ask for it: "
            "pytest --qemunet-target=lab, or once `qemunet_target = lab` in the project's pytest configuration",
            pytrace=False,
        )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    with _skipping_what_is_unavailable():
        result = yield
    if _cites(item):
        from qemunet_tests.plugin import second_try

        second_try.compare(item)
    return result


@contextlib.contextmanager
def _skipping_what_is_unavailable() -> Iterator[None]:
    try:
        yield
    except Unavailable as error:
        pytest_internals.skip(error)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if _cites(item):
        from qemunet_tests.plugin.claim_marker import take_down

        take_down(item, call, report)
    if call.when == "teardown":
        workers.send_facts(report, session_state.facts(item.config))
    return report


def _cites(item: pytest.Item) -> bool:
    return item.get_closest_marker("claim") is not None
