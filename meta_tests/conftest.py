"""A session of the project's own tests runs those outside the lab, or with `--qemunet-target lab` those inside."""

import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from meta_tests.isolation.leftovers import FOLDER_PREFIX
from qemunet_tests import plugin

if TYPE_CHECKING:
    from meta_tests.samples.host_machine import HostMachine
    from qemunet_tests.guest.bench import Bench
    from qemunet_tests.guest.guest import Guest

#: Shipped fixtures; a test that takes one of them, by whatever way, is a test inside the lab.
INSIDE = {"spawner", "lab", "bench", "user_peer"}


def pytest_configure() -> None:
    """What is started in the background, or by nohup, ignores signals, and so does all that it starts.

    Tests of Ctrl-C and of a terminal that hangs up are about programs that were not.
    """
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_report_header(config: pytest.Config) -> str:
    side = "inside the lab" if plugin.is_ours(config) else "outside the lab; for those inside: --qemunet-target lab"
    return f"tests {side}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A process that has left the machine cannot return to it, so one session cannot run both."""
    inside = plugin.is_ours(config)
    left_out = [item for item in items if bool(INSIDE & set(getattr(item, "fixturenames", ()))) != inside]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that any user may enter.

    Those above `tmp_path` are closed to others again by every pytest that starts, and tests start some beside this one.
    """
    with tempfile.TemporaryDirectory(prefix=FOLDER_PREFIX) as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def machine() -> "Iterator[HostMachine]":
    """A host with a LAN, made of namespaces, on which a test may do what it likes."""
    from meta_tests.samples.host_machine import HostMachine

    made = HostMachine()
    yield made
    made.close()


@pytest.fixture(scope="session")
def shared_guest(bench: "Bench") -> "Iterator[Guest]":
    """A guest without network that no test may harm."""
    guest = bench.boot(network=False)
    yield guest
    bench.discard(guest)


@pytest.fixture
def doomed_guest(bench: "Bench") -> "Iterator[Guest]":
    """A guest without network to do anything to."""
    guest = bench.boot(network=False)
    yield guest
    bench.discard(guest)
