"""Entering the lab: once in a session, before any conftest can start a thread."""

import os
from typing import TYPE_CHECKING

import pytest

from qemunet_tests.errors import HarnessError, Unavailable, UsageError
from qemunet_tests.plugin import session_state, workers

if TYPE_CHECKING:
    from qemunet_tests.settings import Settings

_entered = pytest.StashKey[bool]()


def enter_once(config: pytest.Config) -> None:
    """Be inside, if the lab is what is judged.

    Raises pytest.UsageError, and for `qemunet run`, which can say it better, what kept it from entering.
    """
    if config.stash.setdefault(_entered, False):
        return
    config.stash[_entered] = True
    _keep_scapy_out_of_homes()
    target = workers.target_of_controller()
    if target is None:
        _begin(config)
    elif target == "lab":
        from qemunet_tests.isolation import namespaces

        namespaces.enter_worker()


def _keep_scapy_out_of_homes() -> None:
    """It reads and writes tables in `~/.cache/scapy`, which root's may be led out of by whose home it was given."""
    import scapy.main

    scapy.main.SCAPY_CACHE_FOLDER = None


def _begin(config: pytest.Config) -> None:
    """As the process that reports."""
    chosen: Settings | None = None
    try:
        chosen = session_state.settings(config)
        if chosen.target == "lab":
            _enter_lab(config, chosen)
    except UsageError as error:
        raise pytest.UsageError(str(error)) from None
    except (HarnessError, Unavailable) as error:
        if config.pluginmanager.has_plugin(session_state.RUN_PLUGIN):
            raise
        raise pytest.UsageError(f"{'the lab cannot be entered: ' if chosen else ''}{error}") from None
    workers.announce_controller(chosen.target)


def _enter_lab(config: pytest.Config, chosen: "Settings") -> None:
    from qemunet_tests.isolation import namespaces
    from qemunet_tests.prerequisites import prepare

    # `qemunet run` has shown progress and done it already.
    config.stash[session_state.accelerator_key] = prepare(chosen)
    namespaces.enter()
    # Folders that pytest made for the same user outside may look like somebody else's in here, and these
    # are gone when the run is.
    os.environ["PYTEST_DEBUG_TEMPROOT"] = str(namespaces.SCRATCH)
