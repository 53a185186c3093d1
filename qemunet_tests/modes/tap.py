"""Tap mode: `-netdev tap` on a tap that was made beforehand, for the user that QEMU runs as."""

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
class TapNetdev(Netdev):
    """A tap that exists already and that the user QEMU runs as may open. No script is run for it."""

    name: str
    options: tuple[str, ...] = ()

    kind = "tap"

    def spell(self, identifier: str) -> str:
        # `no` instead of nothing will one day be a file's name: deprecated in QEMU 11.2.
        return ",".join([f"tap,id={identifier},ifname={self.name},script=,downscript=", *self.options])


netdev = TapNetdev


def _in_the_bridge(lab: "Lab", identity: "Identity", *options: str) -> Wiring:
    """A tap in the lab's bridge that this user may open."""
    from qemunet_tests.network import lab_addresses
    from qemunet_tests.network.lab_links import set_master

    taken = {link.get("ifname") for link in lab.host.netlink.get_links()}
    name = next(f"ready{number}" for number in range(1000) if f"ready{number}" not in taken)
    with lab.host.entered():
        lab.host.netlink.link("add", ifname=name, kind="tuntap", mode="tap", uid=identity.uid)
    set_master(lab.host, name, lab_addresses.BRIDGE)
    lab.host.bring_up(name)
    return Wiring(netdev(name, options))


def _missing(_qemu: Qemu) -> Obstacle | None:
    return devices.obstacle_here(devices.TUN)


def _without_vhost(qemu: Qemu) -> Obstacle | None:
    return devices.obstacle_here(devices.VHOST_NET) or _missing(qemu)


MODE = Mode(
    "tap",
    ways={
        "tap": Way("-netdev tap: a tap on br0 that was made beforehand", "tap", _in_the_bridge, missing=_missing),
        "tap-plain": Way(
            "-netdev tap,vnet_hdr=off: every packet is cut and summed by the guest",
            "tap",
            lambda lab, identity: _in_the_bridge(lab, identity, "vnet_hdr=off"),
            missing=_missing,
        ),
        "tap-vhost": Way(
            "-netdev tap,vhost=on: packets are moved by the kernel",
            "tap",
            lambda lab, identity: _in_the_bridge(lab, identity, "vhost=on"),
            missing=_without_vhost,
        ),
    },
    rank=2,
    shares_network=True,
)
