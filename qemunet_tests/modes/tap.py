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
    from qemunet_tests.isolation.station import Station
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


def make_tap(station: "Station", identity: "Identity", bridge: str | None) -> str:
    """A tap that this user may open, up, in a bridge or in none."""
    from qemunet_tests.network.lab_links import set_master

    name = _free_name(station, "ready")
    with station.entered():
        station.netlink.link("add", ifname=name, kind="tuntap", mode="tap", uid=identity.uid)
    if bridge is not None:
        set_master(station, name, bridge)
    _silence(station, name)
    station.bring_up(name)
    return name


def _in_the_bridge(lab: "Lab", identity: "Identity", *options: str) -> Wiring:
    return Wiring(netdev(make_tap(lab.host, identity, lab.bridge), options))


def _two_in_a_bridge(lab: "Lab", identity: "Identity") -> Wiring:
    """In one of their own, on which nobody else says anything."""
    from qemunet_tests.network.lab_links import add_bridge

    bridge = _free_name(lab.host, "pair")
    add_bridge(lab.host, bridge)
    _silence(lab.host, bridge)
    near, far = (netdev(make_tap(lab.host, identity, bridge)) for _ in range(2))
    return Wiring(near, far=far)


def _free_name(station: "Station", kind: str) -> str:
    taken = {link.get("ifname") for link in station.netlink.get_links()}
    return next(f"{kind}{number}" for number in range(1000) if f"{kind}{number}" not in taken)


def _silence(station: "Station", link: str) -> None:
    """The kernel itself has nothing to say there, as it would by IPv6."""
    from qemunet_tests.network.lab_links import has_ipv6

    if has_ipv6():
        station.set_sysctl(f"net.ipv6.conf.{link}.disable_ipv6", "1")


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
    pair=Way("two taps in a bridge, made beforehand", "tap", _two_in_a_bridge, missing=_missing),
)
