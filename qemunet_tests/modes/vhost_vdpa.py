"""vhost-vdpa mode: `-netdev vhost-vdpa`, a NIC whose hardware, or a kernel's imitation of it, speaks virtio itself.

Source: QEMU's manual page, `-netdev vhost-vdpa`; since QEMU 5.1.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qemunet_tests.host import devices
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.modes.mode import Mode, Way, Wiring
from qemunet_tests.qemu.netdev import Netdev
from qemunet_tests.qemu.qemu_facts import Qemu

if TYPE_CHECKING:
    from qemunet_tests.isolation.identity import Identity
    from qemunet_tests.network import Lab


@dataclass(frozen=True)
class VdpaNetdev(Netdev):
    """The device node `path`."""

    path: str = devices.VHOST_VDPA

    kind = "vhost-vdpa"
    shares_memory = True

    def spell(self, identifier: str) -> str:
        return f"vhost-vdpa,id={identifier},vhostdev={self.path}"


def missing(qemu: Qemu) -> Obstacle | None:
    """A QEMU that was built without it."""
    if "vhost-vdpa" in qemu.netdevs:
        return None
    return Obstacle(f"{qemu.path} has no -netdev vhost-vdpa", "install a QEMU for Linux that has it")


def _missing_here(qemu: Qemu) -> Obstacle | None:
    return missing(qemu) or devices.obstacle_here(devices.VHOST_VDPA)


def _at_the_first_device(_lab: "Lab", _identity: "Identity") -> Wiring:
    return Wiring(VdpaNetdev())


MODE = Mode(
    "vhost-vdpa",
    ways={
        "vhost-vdpa": Way(
            "-netdev vhost-vdpa at the first device of its kind",
            "vhost-vdpa",
            _at_the_first_device,
            missing=_missing_here,
        )
    },
    rank=12,
    shares_network=True,
)
