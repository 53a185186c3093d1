"""What can be asked: a guest and a station of the lab alike run commands."""

from typing import Protocol

from qemunet_tests.host.asking import Completed


class Place(Protocol):
    """Somewhere with a shell and a network stack."""

    def run(self, command: str, within_seconds: float = ...) -> Completed: ...
