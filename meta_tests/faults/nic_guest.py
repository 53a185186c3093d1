"""Faults of NICs that are plugged into a guest: another model than was asked for, another MAC, no property."""

from collections.abc import Callable
from typing import Any

from meta_tests.faults.fault import Fault, InLab, fault
from meta_tests.faults.monitor import carry_out, say_yes
from meta_tests.faults.user import filter_packets
from qemunet_tests.guest.bench import Bench
from qemunet_tests.guest.guest import Guest
from qemunet_tests.network import Lab

UNBREAKABLE = {"nic/ne2k-isa": "it is not tried", "nic/i82551": "it is not tried"}
OTHERS = ("nic/queue-sizes", "nic/function-alone")
#: All but the one that is on USB, and the youngest.
ON_PCI = tuple(
    f"nic/{model}"
    for model in (
        "virtio-net-pci", "virtio-net-pci-transitional", "virtio-net-pci-non-transitional", "e1000", "e1000-82544gc",
        "e1000-82545em", "e1000e", "rtl8139", "vmxnet3", "pcnet", "ne2k-pci", "tulip", "i82550", "i82557a",
        "i82557b", "i82557c", "i82558a", "i82558b", "i82559a", "i82559b", "i82559c", "i82559er", "i82562", "i82801",
    )
)  # fmt: skip


def _plugged(change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """From now on every monitor plugs in what `change` makes of the arguments of device_add."""
    carry_out("device_add", lambda execute, told: execute("device_add", **change(told)))


@fault(*ON_PCI, cause=r"drives (8086:100e|10ec:8139)", sentinels=OTHERS)
def another_model(lab: Lab) -> None:
    """A management tool plugs in an e1000 whatever NIC it is asked for, and for an e1000 an rtl8139."""
    _swap_models()


@fault("nic/igb", cause="drives 8086:100e", sentinels=OTHERS)
def an_older_model(lab: Lab) -> None:
    """A management tool that does not know an igb plugs in an e1000."""
    _swap_models()


def _swap_models() -> None:
    def swapped(told: dict[str, Any]) -> dict[str, Any]:
        if told["id"] != "card" or told["driver"] == "usb-net":
            return told
        return {**told, "driver": "rtl8139" if told["driver"] == "e1000" else "e1000"}

    _plugged(swapped)


@fault("nic/usb-net", cause="of the usb-net nobody drives it", sentinels=("nic/pcnet", *OTHERS))
def a_mouse_for_a_nic(lab: Lab) -> None:
    """A management tool plugs a mouse into the USB where it is asked for a NIC."""
    _plugged(lambda told: {"driver": "usb-mouse", "id": "card"} if told["driver"] == "usb-net" else told)


@fault("nic/pcnet", "nic/e1000", cause="drives .*: 52:54:00:72:00:02", sentinels=OTHERS)
def another_mac(lab: Lab) -> None:
    """A management tool gives NICs that are plugged in another MAC than it is asked for."""
    _plugged(lambda told: {**told, "mac": "52:54:00:72:00:02"} if "mac" in told else told)


PROPERTIES = {
    "nic/host-mtu": ("host_mtu", "1500 without, 1500 with"),
    "nic/speed-duplex": ("speed", "without, -1 full with"),
    "nic/packed-ring": ("packed", "nothing, 64 KiB there and back"),
    "nic/rss-hash": ("rss", "nothing, 64 KiB there and back"),
    "nic/order-of-names": ("acpi-index", "the kernel's index of the NIC is none"),
    "nic/offloads-switched": ("mrg_rxbuf", "mrg_rxbuf=off is agreed on all the same"),
    "tap/offloads": ("host_tso4", "without the offload larger frames"),
}


def _left_out(claim: str, name: str, cause: str) -> Fault:
    """A management tool that knows no such property."""

    def plant(lab: Lab) -> None:
        _plugged(lambda told: {key: value for key, value in told.items() if key != name})

    says = f"A management tool plugs NICs in without `{name}`."
    return Fault(f"{claim.replace('/', '-')}-left-out", (claim,), cause, InLab(plant), sentinels=OTHERS, says=says)


LEFT_OUT = tuple(_left_out(claim, *of_it) for claim, of_it in PROPERTIES.items())


@fault("nic/mac-changed-in-guest", cause="52:54:00:72:00:01 by query-rx-filter", sentinels=OTHERS)
def an_old_address_told(lab: Lab) -> None:
    """A monitor tells the address that a NIC had when it was plugged in."""

    def otherwise(execute: Callable[..., Any], told: dict[str, Any]) -> Any:
        return [{**each, "main-mac": "52:54:00:72:00:01"} for each in execute("query-rx-filter", **told)]

    carry_out("query-rx-filter", otherwise)


def _told_otherwise(guest: Guest, old: str, new: str) -> None:
    """From now on a guest's commands have something else in the place of a piece."""
    run = guest.run

    def otherwise(command: str, within_seconds: float = 10.0) -> Any:
        return run(command.replace(old, new), within_seconds)

    guest.run = otherwise


@fault("nic/driver-reload", cause="gone, gone for good", sentinels=OTHERS)
def no_driver_takes_it_again(guest: Guest, bench: Bench) -> None:
    """A driver that has let go of a NIC is asked to do so once more, and not to take it again."""
    _told_otherwise(guest, "/virtio_net/bind", "/virtio_net/unbind 2>/dev/null || true")


@fault("nic/vlan-in-guest", cause="1 and 4093 and 4094 on the wire, 4095 taken", sentinels=OTHERS)
def a_vlan_that_is_none(guest: Guest, bench: Bench) -> None:
    """A guest makes VLAN 4093 of what is to be 4095."""
    _told_otherwise(guest, "4095", "4093")


@fault("nic/status-off", cause="virtio-net-pci: in, in, in", sentinels=OTHERS)
def cables_left_in(lab: Lab) -> None:
    """A monitor says that it takes cables out, and does not."""
    carry_out("set_link", say_yes)


@fault("nic/no-backend", "nic/status-off-e1000e", cause="has no carrier|e1000e: out", sentinels=OTHERS)
def plugged_in_without_a_cable(lab: Lab) -> None:
    """A management tool takes the cable out of every NIC that it plugs in."""

    def otherwise(execute: Callable[..., Any], told: dict[str, Any]) -> Any:
        done = execute("device_add", **told)
        execute("set_link", name=told["id"], up=False)
        return done

    carry_out("device_add", otherwise)


@fault("nic/hotplug-unplug", cause="1 leases, 0 times gone", sentinels=OTHERS)
def nic_left_in(lab: Lab) -> None:
    """A monitor says that it takes NICs out, and does not."""
    carry_out("device_del", say_yes)


@fault("nic/multicast-filter", cause="virtio-net-pci: all, then all", sentinels=OTHERS)
def a_guest_that_takes_everything(guest: Guest, bench: Bench) -> None:
    """A guest's NIC takes frames whoever they are for."""
    _told_otherwise(guest, "ip link set eth0 up", "ip link set eth0 up; ip link set eth0 promisc on")


@fault("nic/ping-sizes", cause="virtio-net-pci: 0, 1472, 1473, 9000 bytes", sentinels=OTHERS)
def largest_pings_dropped(lab: Lab) -> None:
    """The neighbour's firewall drops pings that are too large for it."""
    rule = "icmp type echo-request ip length > 20000 drop"
    filter_packets(lab.neighbour, f"chain input {{ type filter hook input priority 0; {rule}; }};")
