"""Hooks for those who want a hand in a run: the suite's own faults use them, and yours may."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from qemunet_tests.guest.bench import Bench
    from qemunet_tests.guest.guest import Guest
    from qemunet_tests.guest.peer import Peer
    from qemunet_tests.network import Lab
    from qemunet_tests.network.netplan import NetplanHost


@pytest.hookspec
def pytest_qemunet_lab_built(lab: "Lab") -> None:
    """The lab stands and nothing has used it yet."""


@pytest.hookspec
def pytest_qemunet_guest_booted(guest: "Guest", bench: "Bench") -> None:
    """A guest took its first command; its test has not seen it yet."""


@pytest.hookspec
def pytest_qemunet_peer_attached(peer: "Peer") -> None:
    """A peer is at the other end of a backend and has neither sent nor taken a frame: `peer.wire` may be replaced."""


@pytest.hookspec
def pytest_qemunet_netplan_host_built(host: "NetplanHost") -> None:
    """The host that the post's netplan file is for stands; the file is there and not yet applied."""


@pytest.hookspec
def pytest_qemunet_progress(sentence: str) -> None:
    """Something besides a test takes a while. Called in the process that reports, perhaps in another thread."""
