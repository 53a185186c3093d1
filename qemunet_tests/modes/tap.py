"""Tap mode: `-netdev tap` on a tap that was made beforehand, for the user that QEMU runs as, or that QEMU makes."""

import fcntl
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from qemunet_tests.host import credentials, devices
from qemunet_tests.host.devices import Device
from qemunet_tests.host.files import MACHINE
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.modes.mode import Mode, Way, Wiring
from qemunet_tests.qemu.netdev import Netdev
from qemunet_tests.qemu.qemu_facts import Qemu

if TYPE_CHECKING:
    from qemunet_tests.isolation.identity import Identity
    from qemunet_tests.isolation.station import Station
    from qemunet_tests.network import Lab

#: The user who is there where there is anybody but QEMU's user.
ROOT = 0
#: linux/if_tun.h.
TUNSETIFF, TUNGETSNDBUF = 0x400454CA, 0x800454D3
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR, IFF_MULTI_QUEUE = 0x2, 0x1000, 0x4000, 0x100


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


@dataclass(frozen=True)
class NewTapNetdev(Netdev):
    """A tap that QEMU makes itself, which takes CAP_NET_ADMIN: QEMU is given that."""

    options: tuple[str, ...] = ("script=", "downscript=")

    kind = "tap"

    def spell(self, identifier: str) -> str:
        return ",".join([f"tap,id={identifier}", *self.options])

    def capabilities_needed(self, helper_serves: Callable[[], bool]) -> tuple[str, ...]:  # noqa: ARG002
        return ("net_admin",)


@dataclass(frozen=True)
class HelperTapNetdev(Netdev):
    """A tap that the bridge helper makes, called by `-netdev tap`; privileges as with `-netdev bridge`."""

    helper: str
    name: str

    kind = "tap"

    @property
    def bridge(self) -> str:  # type: ignore[override]  # a name of its own for every netdev
        return self.name

    def spell(self, identifier: str) -> str:
        return f"tap,id={identifier},helper={self.helper},br={self.name}"

    def capabilities_needed(self, helper_serves: Callable[[], bool]) -> tuple[str, ...]:
        return () if helper_serves() else ("net_admin",)


@dataclass(frozen=True)
class OpenTapNetdev(Netdev):
    """Taps, or queues of one, that we have opened, and that QEMU is given as they are."""

    descriptors: tuple[int, ...]  # type: ignore[misc]  # QEMU knows them by the same numbers
    options: tuple[str, ...] = ()

    kind = "tap"

    def spell(self, identifier: str) -> str:
        word = "fd" if len(self.descriptors) == 1 else "fds"
        return ",".join([f"tap,id={identifier},{word}={':'.join(map(str, self.descriptors))}", *self.options])


def make_tap(
    station: "Station", identity: "Identity", bridge: str | None, *, owner: int | None = None, several: bool = False
) -> str:
    """A tap that this user may open, up, in a bridge or in none.

    `owner` is another user id whose it is instead; with `several` it has a queue for everybody who opens it.
    """
    from qemunet_tests.network.lab_links import set_master

    name, kinds = _free_name(station, "ready"), {"ifr": {"multi_queue": 1}} if several else {}
    whose = identity.uid if owner is None else owner
    with station.entered():
        station.netlink.link("add", ifname=name, kind="tuntap", mode="tap", uid=whose, **kinds)
    if bridge is not None:
        set_master(station, name, bridge)
    _silence(station, name)
    station.bring_up(name)
    return name


def open_tap(station: "Station", name: str, flags: int = IFF_VNET_HDR) -> int:
    """A descriptor of a tap that exists, or that is made and lasts as long as anybody has it open.

    `flags` are added to those of a tap that carries frames alone. Raises OSError.
    """
    with station.entered():
        descriptor = os.open(devices.TUN, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI | flags))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def room_of(descriptor: int) -> int:
    """How many bytes a tap takes that nobody has fetched yet: TUNGETSNDBUF."""
    return int(struct.unpack("i", fcntl.ioctl(descriptor, TUNGETSNDBUF, bytes(4)))[0])


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


def missing(_qemu: Qemu) -> Obstacle | None:
    """Why there is no tap here."""
    return devices.obstacle_here(devices.TUN)


def _without_vhost(qemu: Qemu) -> Obstacle | None:
    return devices.obstacle_here(devices.VHOST_NET) or missing(qemu)


def nobody_else(root: Path = MACHINE) -> Obstacle | None:
    """Why no tap can be somebody else's here, and QEMU is never root."""
    if credentials.is_known(ROOT, root):
        return None
    return Obstacle(
        "this user namespace has one user alone, so that no tap is somebody else's",
        "run as root, or have ids for newuidmap: sudo usermod --add-subuids 100000-165535 $USER",
    )


def missing_vhost(identity: "Identity", device: Device | None = None) -> Obstacle | None:
    """Why a QEMU of this user cannot have the kernel carry its frames. `device` is /dev/vhost-net as it is found."""
    found = device or devices.read(devices.VHOST_NET)
    if not found.opens:
        return devices.obstacle_here(devices.VHOST_NET, found)
    if found.bits_allow(identity.uid, frozenset((identity.gid, *identity.groups))):
        return None
    return Obstacle(
        f"{found.path} is not open to {identity.name}, whom QEMU runs as",
        f"sudo setfacl -m u:{identity.name}:rw {found.path}",
    )


def vhost_in_the_way(device: Device | None = None) -> Obstacle | None:
    """Why it cannot be seen here what QEMU does without /dev/vhost-net."""
    found = device or devices.read(devices.VHOST_NET)
    return Obstacle(f"there is {found.path} here", "sudo modprobe -r vhost_net") if found.exists else None


MODE = Mode(
    "tap",
    ways={
        "tap": Way("-netdev tap: a tap on br0 that was made beforehand", "tap", _in_the_bridge, missing=missing),
        "tap-plain": Way(
            "-netdev tap,vnet_hdr=off: every packet is cut and summed by the guest",
            "tap",
            lambda lab, identity: _in_the_bridge(lab, identity, "vnet_hdr=off"),
            missing=missing,
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
    pair=Way("two taps in a bridge, made beforehand", "tap", _two_in_a_bridge, missing=missing),
)
