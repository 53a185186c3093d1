"""For modules whose tests run sessions of pytest inside their own: fixtures that they import, for all their tests."""

import importlib

import pytest

from qemunet_tests.plugin import fixture_modules


@pytest.fixture(autouse=True, scope="module")
def imported_once() -> None:
    """pytester forgets what an inner session imported, and the next would import it again."""
    later = ("qemunet_tests.installed", "qemunet_tests.plugin.claim_marker", "qemunet_tests.report.card")
    for module in (*fixture_modules(), *later):
        importlib.import_module(module)


@pytest.fixture(autouse=True)
def nobodys_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """An inner session is not told what the outer one was."""
    for name in ("PYTEST_XDIST_WORKER", "QEMUNET_CONTROLLER", "PYTEST_ADDOPTS", "PYTEST_DEBUG_TEMPROOT"):
        monkeypatch.delenv(name, raising=False)
