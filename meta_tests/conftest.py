"""Fixtures of the project's own tests: those that are shipped, and a guest that many tests share."""

from collections.abc import Iterator

import pytest

from qemunet_tests.harness.bench import Bench
from qemunet_tests.harness.guest import Guest

pytest_plugins = ["qemunet_tests.fixtures.lab", "qemunet_tests.fixtures.bench"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests in the lab come last: a process that has left the machine cannot return to it."""
    items.sort(key=lambda item: "spawner" in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session")
def shared_guest(bench: Bench) -> Iterator[Guest]:
    """A guest without network that no test may harm."""
    guest = bench.boot(network=False)
    yield guest
    bench.discard(guest)


@pytest.fixture
def doomed_guest(bench: Bench) -> Iterator[Guest]:
    """A guest without network to do anything to."""
    guest = bench.boot(network=False)
    yield guest
    bench.discard(guest)
