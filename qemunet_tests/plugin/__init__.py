"""The pytest plugin: options, the marker and the fixture `claim`, verdicts and the report.

pytest loads this package in every session of everybody who has qemunet installed. So it imports little, and
does nothing at all to a session that has no business with qemunet.
"""

import importlib.util
import pkgutil
from pathlib import Path
from typing import Any

import pytest

from qemunet_tests import hookspecs
from qemunet_tests.errors import HarnessError, UsageError
from qemunet_tests.isolation import own_python
from qemunet_tests.options import CLAIMS, OF_PYTEST, OPTIONS
from qemunet_tests.plugin import lab_entry, pytest_internals, session_state, workers
from qemunet_tests.plugin.claim_hooks import (
    claim,
    pytest_collection_modifyitems,
    pytest_ignore_collect,
    pytest_runtest_call,
    pytest_runtest_makereport,
    pytest_runtest_protocol,
    pytest_runtest_setup,
)
from qemunet_tests.plugin.reporter import Reporter
from qemunet_tests.plugin.session_state import RUN_PLUGIN, accelerator, command_line, facts, is_ours, reporter, settings
from qemunet_tests.plugin.workers import tell
from qemunet_tests.report.session_results import JUNIT_FILE

__all__ = [
    "RUN_PLUGIN", "accelerator", "claim", "facts", "is_ours", "pytest_collection_modifyitems",
    "pytest_ignore_collect", "pytest_runtest_call", "pytest_runtest_makereport", "pytest_runtest_protocol",
    "pytest_runtest_setup", "reporter", "settings", "tell",
]  # fmt: skip

_FIXTURES = "qemunet_tests.fixtures"
#: Where fixtures are that others need; a mode's own stand in a file of its name.
_FIRST_FIXTURES = ("leaks", "lab", "bench", "peer")


def fixture_modules() -> tuple[str, ...]:
    """All files of the folder. They import what drives guests, so only sessions of qemunet load them."""
    folder = importlib.util.find_spec(_FIXTURES)
    places = folder.submodule_search_locations if folder else ()
    found = sorted(module.name for module in pkgutil.iter_modules(places))
    return tuple(f"{_FIXTURES}.{name}" for name in dict.fromkeys((*_FIRST_FIXTURES, *found)))


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    pluginmanager.add_hookspecs(hookspecs)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("qemunet", "qemunet: guest networking of QEMU")
    for option in (*OPTIONS, CLAIMS):
        group.addoption(OF_PYTEST.flag(option.name), dest=OF_PYTEST.dest(option.name), **option.for_pytest)
    parser.addini("qemunet_target", "lab or host: every session of the project is qemunet's", default="")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    # Before any conftest can start a thread, because the kernel moves only single-threaded processes.
    if is_ours(early_config) and not pytest_internals.only_looks(early_config):
        lab_entry.enter_once(early_config)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "claim(id): the documented statement that the test tries")
    config.addinivalue_line("markers", "lengthy: takes ten seconds and more, so its turn comes first")
    if not workers.is_worker(config):
        config.stash[session_state.reporter_key] = Reporter(config, facts(config), lambda: settings(config))
        config.pluginmanager.register(reporter(config), "qemunet-reporter")
    if not is_ours(config):
        return
    for module in () if workers.run_the_tests_of(config) else fixture_modules():
        config.pluginmanager.import_plugin(module)
    if not pytest_internals.only_looks(config):
        # Where a conftest named this plugin, it was too late for the hook above.
        lab_entry.enter_once(config)
        _configure_session(config)


def _configure_session(config: pytest.Config) -> None:
    try:
        if workers.is_worker(config):
            _configure_worker(config)
        else:
            _configure_report(config, settings(config).report)
            _read_what_is_known(config)
    except (UsageError, HarnessError) as error:
        raise pytest.UsageError(str(error)) from None


def _configure_worker(config: pytest.Config) -> None:
    from qemunet_tests.plugin.interrupt import interrupt_only_once

    settings(config)
    interrupt_only_once()
    workers.make_room_for_temporary_folders(config)


def _configure_report(config: pytest.Config, folder: Path | None) -> None:
    if folder and not config.pluginmanager.has_plugin(RUN_PLUGIN):
        from qemunet_tests.report.report_folder import begin

        # `qemunet run` has done it before it prepared anything.
        begin(folder, settings(config).target, OF_PYTEST.flag("report"))
    reporter(config).folder = folder
    pytest_internals.write_junit_unless_asked(config, folder and folder / JUNIT_FILE)


def _read_what_is_known(config: pytest.Config) -> None:
    if file := settings(config).known:
        from qemunet_tests.claims import known_file
        from qemunet_tests.report.known_claims import KnownClaims

        reporter(config).known = KnownClaims(known_file.read(file, command_line(config).flag("known")), file.name)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config, specs: list[Any]) -> None:
    """xdist's hook: its workers' Python does not import from the folder that the caller happens to be in."""
    if is_ours(config):
        isolated = config.pluginmanager.has_plugin(RUN_PLUGIN)
        workers.use_interpreter(specs, own_python.interpreter(isolated))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """xdist's hook: a worker is about to start."""
    if is_ours(node.config):
        known = workers.WorkerStart(
            settings(node.config),
            node.config.stash.get(session_state.accelerator_key, None),
            session_state.seconds_of_tests(node.config),
        )
        workers.brief(node, known, lambda sentence: node.config.hook.pytest_qemunet_progress(sentence=sentence))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    # After pytest's own, which is when an interrupted session's fixtures end.
    workers.leave_facts(session.config, facts(session.config))
