"""User mode: `-netdev user`, libslirp inside QEMU."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.modes.mode import InnerNetwork, Mode, Way, Wiring
from qemunet_tests.qemu.netdev import Netdev
from qemunet_tests.qemu.qemu_facts import Qemu


@dataclass(frozen=True)
class UserNetdev(Netdev):
    """`options` are further ones, spelled as QEMU spells them.

    It needs no capability; `capabilities`, named as setpriv(1) names them, are given where they make a difference.
    """

    hostfwd: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()

    kind = "user"
    shares_network = False
    passed_on_by = "QEMU's user network"
    another = ("--libslirp FILE", "libslirp")

    def spell(self, identifier: str) -> str:
        words = [f"user,id={identifier}", *(f"hostfwd={rule}" for rule in self.hostfwd), *self.options]
        return ",".join(words)

    def missing(self, qemu: Qemu) -> Obstacle | None:
        return qemu.without_user_backend()

    def capabilities_needed(self, helper_serves: Callable[[], bool]) -> tuple[str, ...]:  # noqa: ARG002
        return self.capabilities


netdev = UserNetdev

#: Source: QEMU System Emulation User's Guide, "Using the user mode network stack".
NETWORK = InnerNetwork(pool="10.0.2.15/24", server="10.0.2.2", gateway="10.0.2.2", resolver="10.0.2.3")


def _announced(_bridge: str | None, peer: str) -> Sequence[str]:
    return (
        "user mode: no MAC address of a guest leaves QEMU; from this host's own address and sockets:",
        "  DNS    questions for localhost and for the names of --expect, to the first IPv4 nameserver of resolv.conf;",
        "         where it refuses all of them also for the root and its version, and for those names to whomever this",
        "         host's own programs ask",
        f"  {peer}",
        "  TCP, UDP   ports 2222 and 2223 of this host listen while claims about hostfwd are tried",
    )


MODE = Mode(
    "user",
    ways={
        "user": Way(
            "-netdev user: libslirp inside QEMU",
            "user",
            lambda _lab, _identity: Wiring(netdev()),
            forwards=True,
            missing=netdev().missing,
        )
    },
    rank=0,
    network=lambda _target: NETWORK,
    announced=_announced,
)
