"""Who has a port, of which QEMU says neither the error nor the owner."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from qemunet_tests.host import ports, process_table
from qemunet_tests.host.socket_table import Protocol

KINDS: dict[Protocol, socket.SocketKind] = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


@pytest.fixture(params=KINDS)
def taken(request: pytest.FixtureRequest) -> Iterator[tuple[int, Protocol]]:
    """A port that this process has."""
    with socket.socket(socket.AF_INET, KINDS[request.param]) as owner:
        owner.bind(("", 0))
        if request.param == "tcp":
            owner.listen()
        yield owner.getsockname()[1], request.param


def test_the_owner_of_a_port_is_named_with_what_ends_him(taken: tuple[int, Protocol]) -> None:
    number, protocol = taken
    found = ports.read(number, protocol=protocol).obstacle()
    assert found is not None
    assert f"is taken by {Path('/proc/self/comm').read_text().strip()} (pid {os.getpid()})" in found.reason
    assert found.remedy == f"kill {os.getpid()}, or forward another port"


def test_an_owner_who_cannot_be_seen_is_known_by_his_user(
    taken: tuple[int, Protocol], monkeypatch: pytest.MonkeyPatch
) -> None:
    number, protocol = taken
    monkeypatch.setattr(process_table, "pids", lambda root: [])
    found = ports.read(number, protocol=protocol).obstacle()
    assert found is not None
    assert "is taken by a process of " in found.reason
    assert found.remedy is not None
    assert found.remedy.startswith("see which: sudo ss")


def test_a_port_that_nobody_has_stands_in_nobodys_way(taken: tuple[int, Protocol]) -> None:
    number, protocol = taken
    other: Protocol = "udp" if protocol == "tcp" else "tcp"
    assert ports.read(number, protocol=other).obstacle() is None
