"""The pytest plugin: options, the marker and the fixture `claim`, verdicts and the report.

pytest loads this module in every session of everybody who has qemunet installed. So it imports little, and
does nothing at all to a session that has no business with qemunet.
"""

import argparse
import contextlib
import dataclasses
import importlib.util
import os
import pkgutil
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from qemunet_tests import hookspecs
from qemunet_tests.errors import HarnessError, Unavailable, UsageError
from qemunet_tests.isolation import own_python
from qemunet_tests.options import CLAIMS, OPTIONS, asks_for_qemunet
from qemunet_tests.report.reporter import FACTS, Reporter
from qemunet_tests.report.session_info import SessionFacts
from qemunet_tests.report.session_results import JUNIT_FILE

if TYPE_CHECKING:
    from qemunet_tests.qemu.accel import Accel
    from qemunet_tests.report.claim_report import ClaimReport
    from qemunet_tests.settings import Settings

_FIXTURES = "qemunet_tests.fixtures"
#: Where fixtures are that others need; a mode's own stand in a file of its name.
_FIRST_FIXTURES = ("leaks", "lab", "bench", "peer")


def fixture_modules() -> tuple[str, ...]:
    """All files of the folder. They import what drives guests, so only sessions of qemunet load them."""
    folder = importlib.util.find_spec(_FIXTURES)
    places = folder.submodule_search_locations if folder else ()
    found = sorted(module.name for module in pkgutil.iter_modules(places))
    return tuple(f"{_FIXTURES}.{name}" for name in dict.fromkeys((*_FIRST_FIXTURES, *found)))


#: `qemunet run` registers its progress under this name; it handles an unusable host itself.
RUN_PLUGIN = "qemunet-run"

#: Names the process that entered the lab, so that its xdist workers can be told from anybody else's.
_CONTROLLER = "QEMUNET_CONTROLLER"

#: Options with which pytest runs no test.
_LOOKING = ("help", "version", "collectonly", "markers", "showfixtures", "show_fixtures_per_test")

#: What the controller tells its workers under this name, and the way on which they tell of their progress.
ACCELERATOR = "qemunet_accelerator"
QEMU = "qemunet_qemu"
PROGRESS = "qemunet_progress"

_accelerator = pytest.StashKey["Accel"]()
_entered = pytest.StashKey[bool]()
_facts = pytest.StashKey[SessionFacts]()
_settings = pytest.StashKey["Settings"]()
_reporter = pytest.StashKey[Reporter]()


def facts(config: pytest.Config) -> SessionFacts:
    """What this process has learned apart from verdicts. Fixtures fill it."""
    return config.stash.setdefault(_facts, SessionFacts())


def settings(config: pytest.Config) -> "Settings":
    """The session's validated options. Raises UsageError."""
    if _settings not in config.stash:
        from qemunet_tests.settings import from_config

        config.stash[_settings] = from_config(config)
    return config.stash[_settings]


def accelerator(config: pytest.Config) -> "Accel":
    """The accelerator that was chosen before the lab was entered, by xdist's controller where there is one."""
    if _accelerator not in config.stash:
        config.stash[_accelerator] = _told_accelerator(config)
    return config.stash[_accelerator]


def _told_accelerator(config: pytest.Config) -> "Accel":
    from qemunet_tests.prerequisites import prepare
    from qemunet_tests.qemu.accel import Accel

    told = getattr(config, "workerinput", {}).get(ACCELERATOR)
    # On the real host nothing was entered, and so nothing chosen before.
    return Accel(**told) if told else prepare(settings(config))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config, specs: list[Any]) -> None:
    """xdist's hook: its workers' Python does not import from the folder that the caller happens to be in."""
    for spec in specs if is_ours(config) else ():
        if spec.popen and not spec.python:
            spec.python = own_python.interpreter(isolated=config.pluginmanager.has_plugin(RUN_PLUGIN))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """xdist's hook: what a worker is told."""
    if _accelerator in node.config.stash:
        from qemunet_tests.qemu import qemu_facts

        node.workerinput[ACCELERATOR] = dataclasses.asdict(node.config.stash[_accelerator])
        node.workerinput[QEMU] = qemu_facts.known()
    if is_ours(node.config):
        node.workerinput[PROGRESS] = channel = node.gateway.newchannel()
        channel.setcallback(lambda sentence: node.config.hook.pytest_qemunet_progress(sentence=sentence))


def tell(config: pytest.Config, sentence: str) -> None:
    """Tell whoever watches the session that something besides a test takes a while."""
    channel = getattr(config, "workerinput", {}).get(PROGRESS)
    if channel is None:
        config.hook.pytest_qemunet_progress(sentence=sentence)
    else:
        channel.send(sentence)


def reporter(config: pytest.Config) -> Reporter:
    """What gathers verdicts; only the reporting process has one."""
    return config.stash[_reporter]


def is_ours(config: pytest.Config) -> bool:
    """Whether qemunet was asked for: by an option, by the ini setting, or by naming its tests."""
    return bool(config.getini("qemunet_target")) or asks_for_qemunet(_options(config))


def _options(config: pytest.Config) -> argparse.Namespace:
    """What is known of the options: while a session starts, pytest has parsed them only provisionally."""
    return config.option if hasattr(config.option, "file_or_dir") else config.known_args_namespace


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    pluginmanager.add_hookspecs(hookspecs)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("qemunet", "qemunet: guest networking of QEMU")
    for option in (*OPTIONS, CLAIMS):
        group.addoption(option.pytest_flag, dest=option.pytest_dest, **option.for_pytest)
    parser.addini("qemunet_target", "lab or host: every session of the project is qemunet's", default="")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    # Before any conftest can start a thread, because the kernel moves only single-threaded processes.
    if is_ours(early_config) and not _only_looks(early_config):
        _enter_once(early_config)


def _only_looks(config: pytest.Config) -> bool:
    return any(getattr(_options(config), name, False) for name in _LOOKING)


def _enter_once(config: pytest.Config) -> None:
    if config.stash.setdefault(_entered, False):
        return
    config.stash[_entered] = True
    from qemunet_tests.settings import from_pytest_options

    try:
        chosen = from_pytest_options(_options(config), str(config.getini("qemunet_target") or ""))
        if chosen.target == "lab":
            _enter_lab(config, chosen)
    except UsageError as error:
        raise pytest.UsageError(str(error)) from None
    except (HarnessError, Unavailable) as error:
        if config.pluginmanager.has_plugin(RUN_PLUGIN):
            raise
        raise pytest.UsageError(f"the lab cannot be entered: {error}") from None


def _enter_lab(config: pytest.Config, chosen: "Settings") -> None:
    from qemunet_tests.isolation import namespaces

    if "PYTEST_XDIST_WORKER" in os.environ and os.environ.get(_CONTROLLER) == str(os.getppid()):
        namespaces.enter_worker()
        return
    from qemunet_tests.prerequisites import prepare

    # `qemunet run` has shown progress and done it already.
    config.stash[_accelerator] = prepare(chosen)
    namespaces.enter()
    os.environ[_CONTROLLER] = str(os.getpid())
    # Folders that pytest made for the same user outside may look like somebody else's in here, and these
    # are gone when the run is.
    os.environ["PYTEST_DEBUG_TEMPROOT"] = str(namespaces.SCRATCH)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "claim(id): the documented statement that the test tries")
    config.addinivalue_line("markers", "lengthy: takes ten seconds and more, so its turn comes first")
    if not _is_worker(config):
        config.stash[_reporter] = Reporter(config, facts(config), lambda: settings(config))
        config.pluginmanager.register(config.stash[_reporter], "qemunet-reporter")
    if not is_ours(config):
        return
    for module in () if _leaves_tests_to_workers(config) else fixture_modules():
        config.pluginmanager.import_plugin(module)
    if not _only_looks(config):
        # Where a conftest named this plugin, it was too late for the hook above.
        _enter_once(config)
        _configure_session(config)


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def _leaves_tests_to_workers(config: pytest.Config) -> bool:
    spreads = getattr(config.option, "dist", "no") != "no"
    return spreads and not _is_worker(config) and not _only_looks(config)


def _configure_session(config: pytest.Config) -> None:
    try:
        report = settings(config).report
    except UsageError as error:
        raise pytest.UsageError(str(error)) from None
    if not _is_worker(config):
        if report and not config.pluginmanager.has_plugin(RUN_PLUGIN):
            _begin_report(report, settings(config).target)
        reporter(config).folder = report
        chosen = getattr(config.option, "xmlpath", None)
        config.option.xmlpath = chosen or (report and str(report / JUNIT_FILE))
        return
    from qemunet_tests.qemu import qemu_facts
    from qemunet_tests.report.interrupt import interrupt_only_once

    # What answered the controller is not asked again, so that it cannot turn out otherwise in here.
    qemu_facts.learn(config.workerinput.get(QEMU, []))  # type: ignore[attr-defined]
    interrupt_only_once()
    if config.option.basetemp:
        # The controller made it in its own scratch space, which a worker in the lab does not see.
        Path(config.option.basetemp).parent.mkdir(parents=True, exist_ok=True)


def _begin_report(folder: Path, target: str) -> None:
    """`qemunet run` has done it before it prepared anything."""
    from qemunet_tests.report.place import begin

    try:
        begin(folder, target)
    except OSError as refused:
        raise pytest.UsageError(f"--qemunet-report: cannot write into {str(folder)!r}: {refused.strerror}") from None


@pytest.fixture
def claim(request: pytest.FixtureRequest) -> "ClaimReport":
    """What the test has to say about its claim: expects, sees, deviates, blames."""
    from qemunet_tests.report.claim_marker import RECORD

    if RECORD not in request.node.stash:
        raise HarnessError("the fixture `claim` needs a marker, for instance @pytest.mark.claim('user/address')")
    record: ClaimReport = request.node.stash[RECORD]
    return record


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    ours = is_ours(config)
    if not ours and not any(item.get_closest_marker("claim") for item in items):
        return
    from qemunet_tests.installed import asked_once
    from qemunet_tests.order_of_tests import in_turn
    from qemunet_tests.report.claim_marker import cite, keep_within_bounds, select

    cite(items, strict=ours)
    chosen, left_out = select(items, settings(config).claims)
    if not _only_looks(config):
        keep_within_bounds(chosen, asked_once(lambda: settings(config)))
    if left_out:
        config.hook.pytest_deselected(items=left_out)
    items[:] = in_turn(chosen)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, Any, Any]:
    with _skipping_what_is_unavailable():
        if _cites(item):
            from qemunet_tests.report.claim_marker import refuse

            refuse(item)
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, Any, Any]:
    with _skipping_what_is_unavailable():
        return (yield)


@contextlib.contextmanager
def _skipping_what_is_unavailable() -> Iterator[None]:
    try:
        yield
    except Unavailable as error:
        raise pytest.skip.Exception(str(error), _use_item_location=True) from error


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if _cites(item):
        from qemunet_tests.report.claim_marker import take_down

        take_down(item, call, report)
    if call.when == "teardown" and not facts(item.config).empty:
        # With every test, so that they are known even where a worker dies or is interrupted.
        setattr(report, FACTS, facts(item.config).as_dict())
    return report


def _cites(item: pytest.Item) -> bool:
    return item.get_closest_marker("claim") is not None


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    # After pytest's own, which is when an interrupted session's fixtures end.
    if _is_worker(session.config):
        session.config.workeroutput[FACTS] = facts(session.config).as_dict()  # type: ignore[attr-defined]
