"""What the processes of a session know of it: whether it is ours, its settings, its accelerator, what they learned."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pytest

from qemunet_tests.options import OF_PYTEST, OF_QEMUNET, CommandLine, asks_for_qemunet
from qemunet_tests.plugin import pytest_internals, workers
from qemunet_tests.plugin.reporter import Reporter
from qemunet_tests.report.session_info import SessionFacts

if TYPE_CHECKING:
    from qemunet_tests.qemu.accel import Accel
    from qemunet_tests.settings import Settings

#: `qemunet run` takes part as a plugin of this name, which has its `settings` and the `seconds` that tests took before.
#: It handles an unusable host itself.
RUN_PLUGIN = "qemunet-run"

accelerator_key = pytest.StashKey["Accel"]()
reporter_key = pytest.StashKey[Reporter]()
_facts = pytest.StashKey[SessionFacts]()
_settings = pytest.StashKey["Settings"]()


def is_ours(config: pytest.Config) -> bool:
    """Whether qemunet was asked for: by an option, by the ini setting, or by naming its tests."""
    return bool(config.getini("qemunet_target")) or asks_for_qemunet(pytest_internals.parsed_options(config))


def command_line(config: pytest.Config) -> CommandLine:
    """How the user has spelled the session's options."""
    return OF_QEMUNET if config.pluginmanager.has_plugin(RUN_PLUGIN) else OF_PYTEST


def facts(config: pytest.Config) -> SessionFacts:
    """What this process has learned apart from verdicts. Fixtures fill it."""
    return config.stash.setdefault(_facts, SessionFacts())


def reporter(config: pytest.Config) -> Reporter:
    """What gathers verdicts; only the reporting process has one."""
    return config.stash[reporter_key]


def settings(config: pytest.Config) -> "Settings":
    """The session's options, validated once: by `qemunet run`, else by the process that reports. Raises UsageError."""
    if _settings not in config.stash:
        config.stash[_settings] = _settings_of_run(config) or _settings_told(config) or _validated(config)
    return config.stash[_settings]


def _settings_of_run(config: pytest.Config) -> "Settings | None":
    run = config.pluginmanager.get_plugin(RUN_PLUGIN)
    return getattr(run, "settings", None)


def _settings_told(config: pytest.Config) -> "Settings | None":
    briefing = workers.briefing_of(config)
    return briefing.settings if briefing else None


def pauses(config: pytest.Config) -> bool:
    """Whether `qemunet run` stops at a failure, so that its guest can be talked to."""
    return bool(getattr(config.pluginmanager.get_plugin(RUN_PLUGIN), "pauses", False))


def seconds_of_tests(config: pytest.Config) -> Mapping[str, float]:
    """What each test took in the last `qemunet run`, by its node id; the same in all processes of a session."""
    if briefing := workers.briefing_of(config):
        return briefing.seconds
    run = config.pluginmanager.get_plugin(RUN_PLUGIN)
    return getattr(run, "seconds", {})


def _validated(config: pytest.Config) -> "Settings":
    from qemunet_tests.report.failed_claims import narrowed
    from qemunet_tests.settings import from_options

    given = OF_PYTEST.given(pytest_internals.parsed_options(config))
    given["target"] = given["target"] or config.getini("qemunet_target")
    settings, remarks = narrowed(from_options(given, OF_PYTEST.flag), OF_PYTEST.flag)
    for sentence in remarks:
        facts(config).note(sentence)
    return settings


def accelerator(config: pytest.Config) -> "Accel":
    """The accelerator that was chosen before the lab was entered, by xdist's controller where there is one."""
    if accelerator_key not in config.stash:
        from qemunet_tests.prerequisites import prepare

        briefing = workers.briefing_of(config)
        # On the real host nothing was entered, and so nothing chosen before.
        config.stash[accelerator_key] = (briefing and briefing.accelerator) or prepare(settings(config))
    return config.stash[accelerator_key]
