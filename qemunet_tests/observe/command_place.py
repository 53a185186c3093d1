"""What can be asked: a guest and a station of the lab alike run commands."""

from typing import Protocol

from qemunet_tests.host.asking import Completed
from qemunet_tests.qemu.guest_tools import GuestTools


class Place(Protocol):
    """Somewhere with a shell and a network stack."""

    def run(self, command: str, within_seconds: float = ...) -> Completed: ...


class GuestPlace(Place, Protocol):
    """A guest, by its control port or by its console: its image says how its tools are spelled."""

    @property
    def tools(self) -> GuestTools: ...
