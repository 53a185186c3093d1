"""Faults of NICs that are plugged into a guest: another model than was asked for, another MAC."""

from collections.abc import Callable
from typing import Any

from meta_tests.faults.fault import fault
from meta_tests.faults.monitor import carry_out
from qemunet_tests.network import Lab

OTHERS = ("nic/queue-sizes", "nic/function-alone")
#: All but the one that is on USB.
ON_PCI = tuple(
    f"nic/{model}"
    for model in (
        "virtio-net-pci", "virtio-net-pci-transitional", "virtio-net-pci-non-transitional", "e1000", "e1000-82544gc",
        "e1000-82545em", "e1000e", "igb", "rtl8139", "vmxnet3", "pcnet", "ne2k-pci", "tulip", "i82550", "i82557a",
        "i82557b", "i82557c", "i82558a", "i82558b", "i82559a", "i82559b", "i82559c", "i82559er", "i82562", "i82801",
    )
)  # fmt: skip


def _plugged(change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """From now on every monitor plugs in what `change` makes of the arguments of device_add."""
    carry_out("device_add", lambda execute, told: execute("device_add", **change(told)))


@fault(*ON_PCI, cause=r"drives (8086:100e|10ec:8139)", sentinels=("nic/usb-net", *OTHERS))
def another_model(lab: Lab) -> None:
    """A management tool plugs in an e1000 whatever NIC it is asked for, and for an e1000 an rtl8139."""

    def swapped(told: dict[str, Any]) -> dict[str, Any]:
        if told["id"] != "card" or told["driver"] == "usb-net":
            return told
        return {**told, "driver": "rtl8139" if told["driver"] == "e1000" else "e1000"}

    _plugged(swapped)


@fault("nic/usb-net", cause="of the usb-net nobody drives it", sentinels=("nic/pcnet", *OTHERS))
def a_mouse_for_a_nic(lab: Lab) -> None:
    """A management tool plugs a mouse into the USB where it is asked for a NIC."""
    _plugged(lambda told: {"driver": "usb-mouse", "id": "card"} if told["driver"] == "usb-net" else told)


@fault("nic/pcnet", "nic/e1000", cause="52:54:00:72:00:02, which nobody leased", sentinels=OTHERS)
def another_mac(lab: Lab) -> None:
    """A management tool gives NICs that are plugged in another MAC than it is asked for."""
    _plugged(lambda told: {**told, "mac": "52:54:00:72:00:02"} if "mac" in told else told)
