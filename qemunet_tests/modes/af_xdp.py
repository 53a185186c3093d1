"""AF_XDP mode: `-netdev af-xdp`, frames straight from an interface's queue by a socket of the kernel's.

Source: QEMU's manual page, `-netdev af-xdp`; since QEMU 8.2, where it was built with libxdp.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qemunet_tests.host import credentials
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.modes.mode import Mode, Way, Wiring
from qemunet_tests.qemu.netdev import Netdev
from qemunet_tests.qemu.qemu_facts import Qemu

if TYPE_CHECKING:
    from qemunet_tests.isolation.identity import Identity
    from qemunet_tests.network import Lab

#: What loads its program and opens its socket: bpf(2), packet(7) and the interface's settings.
CAPABILITIES = ("bpf", "net_admin", "net_raw")


@dataclass(frozen=True)
class AfXdpNetdev(Netdev):
    """Queues of the interface `name`. `mode=skb` works with every driver, and copies."""

    name: str
    options: tuple[str, ...] = ("mode=skb",)

    kind = "af-xdp"

    def spell(self, identifier: str) -> str:
        return ",".join([f"af-xdp,id={identifier},ifname={self.name}", *self.options])

    def missing(self, qemu: Qemu) -> Obstacle | None:
        return missing(qemu)

    def capabilities_needed(self, helper_serves: Callable[[], bool]) -> tuple[str, ...]:  # noqa: ARG002
        return CAPABILITIES


def missing(qemu: Qemu) -> Obstacle | None:
    """A QEMU from before 8.2, or one that was built without libxdp, as Debian's."""
    if "af-xdp" in qemu.netdevs:
        return None
    return Obstacle(
        f"{qemu.path} has no -netdev af-xdp", "build QEMU 8.2 or later with --enable-af-xdp, and --qemu PATH"
    )


def missing_privilege(effective_uid: int, in_user_namespace: bool) -> Obstacle | None:
    """Whoever may not load programs into the kernel: it asks for capabilities of its first user namespace."""
    if effective_uid == 0 and not in_user_namespace:
        return None
    return Obstacle("only root of the machine itself may put a program on an interface", "run as root, in no container")


def _missing_here(qemu: Qemu) -> Obstacle | None:
    ours = credentials.read()
    return missing(qemu) or missing_privilege(ours.effective_uid, ours.in_user_namespace)


def make_interface(lab: "Lab", bridge: str | None) -> str:
    """One end of a cable whose other end is in a bridge, or in none: its name."""
    from qemunet_tests.network.lab_links import add_veth, set_master

    taken = {link.get("ifname") for link in lab.host.netlink.get_links()}
    number = next(number for number in range(1000) if f"xdp{number}" not in taken)
    near, far = f"xdp{number}", f"xdp{number}-far"
    add_veth(lab.host, near, lab.host, far)
    if bridge is not None:
        set_master(lab.host, far, bridge)
    for end in (near, far):
        lab.host.bring_up(end)
    return near


def _in_the_bridge(lab: "Lab", _identity: "Identity") -> Wiring:
    return Wiring(AfXdpNetdev(make_interface(lab, lab.bridge)))


MODE = Mode(
    "af-xdp",
    ways={
        "af-xdp": Way("-netdev af-xdp: a cable into br0, by its queue", "af-xdp", _in_the_bridge, missing=_missing_here)
    },
    rank=11,
    shares_network=True,
)
