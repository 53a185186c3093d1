"""What a mode has to answer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.qemu.netdev import Netdev
from qemunet_tests.qemu.qemu_facts import Qemu

if TYPE_CHECKING:
    # Every command asks for the modes' words, and most need no lab.
    from qemunet_tests.isolation.identity import Identity
    from qemunet_tests.isolation.processes import Process
    from qemunet_tests.network import Lab
    from qemunet_tests.network.target import Lan, Target


@dataclass(frozen=True)
class Wiring:
    """A netdev with everything at its other end.

    `helpers` are the processes beside QEMU that carry its traffic, to be ended by whoever asked for the wiring; `far`
    is the netdev of a second guest where that is the other end. `addresses` are those that the guests are to be given,
    near and far, where nobody leases any.
    """

    netdev: Netdev
    helpers: "Sequence[Process]" = ()
    far: Netdev | None = None
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True)
class InnerNetwork:
    """The network that a mode makes up for its guest alone, the same on every host; what a `Lan` is to guests on one.

    `pool` is the one address that is leased there, with its prefix.
    """

    pool: str
    server: str
    gateway: str
    resolver: str

    def leases(self, interface: str) -> bool:
        return interface == self.pool


def nothing_missing(qemu: Qemu) -> Obstacle | None:  # noqa: ARG001
    """Of what every QEMU has and that needs nothing else."""
    return None


@dataclass(frozen=True)
class Way:
    """A configuration of a mode that can be measured, and how it is wired in the lab.

    `backend` is what QEMU's monitor calls it. `server` is where the guest finds the host, None for the host's own
    address. `forwards`: a service in the guest is reached through a port of the host that QEMU forwards. `answers`:
    the host can open connections to the guest at all. `missing` says why it cannot be had with a QEMU on this machine.
    `largest_frame_bytes` is what passes between two guests at most, or nearly that.
    """

    about: str
    backend: str
    wire: "Callable[[Lab, Identity], Wiring]"
    between_guests: bool = False
    server: str | None = None
    forwards: bool = False
    answers: bool = True
    missing: Callable[[Qemu], Obstacle | None] = nothing_missing
    largest_frame_bytes: int = 1514

    def wired(self, lab: "Lab", identity: "Identity", qemu: Qemu) -> Wiring:
        """The netdev and everything at its other end. Raises Unavailable with the words of `missing`."""
        if obstacle := self.missing(qemu):
            raise obstacle.unavailable()
        return self.wire(lab, identity)


@dataclass(frozen=True)
class Mode:
    """A networking mode.

    `word` names it everywhere: on the command line, in claim ids, files and fixtures. `rank` puts those that people
    meet first in front. `shares_network`: guests are on a LAN with others, with MAC addresses and leases of their own.
    `network` is the one in which a guest finds itself. `announced` are the lines of `--dry-run`: which packets and MAC
    addresses will appear on a real network, given the bridge that was named and who the peer is.
    """

    word: str
    ways: Mapping[str, Way]
    rank: int = 100
    shares_network: bool = False
    network: "Callable[[Target], Lan]" = lambda target: target.lan
    announced: Callable[[str | None, str], Sequence[str]] = field(default=lambda _bridge, _peer: ())
    pair: Way | None = None

    @property
    def plain(self) -> Way:
        """The mode as it is when nothing is said about it."""
        return next(iter(self.ways.values()))

    @property
    def between_ends(self) -> Way | None:
        """How two ends of this mode are joined; None where every guest is by itself."""
        return self.pair or next((way for way in self.ways.values() if way.between_guests), None)

    @property
    def largest_frame_bytes(self) -> int:
        """What passes between two ends at most, or nearly that; 0 where there are none."""
        return self.between_ends.largest_frame_bytes if self.between_ends else 0
