"""Machines for the tests of bootstrap."""

from pathlib import Path

import pytest

from meta_tests.samples.bootstrap_world import World


@pytest.fixture
def fresh(open_folder: Path) -> World:
    """A machine where nothing of ours was ever installed."""
    return World(open_folder)


@pytest.fixture
def ready(fresh: World) -> World:
    """A machine where bootstrap ran before."""
    assert fresh.run("true").returncode == 0
    fresh.done()
    return fresh
