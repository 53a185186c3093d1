"""Faults of NICs: a wrapper that words them otherwise, and a monitor that does other things."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from meta_tests.faults.fault import fault
from meta_tests.faults.frames import FROM_QEMU, FrameShim, matches
from meta_tests.faults.monitor import carry_out, say_yes
from meta_tests.faults.wrapper import reworded
from qemunet_tests.network import Lab

if TYPE_CHECKING:
    # scapy reads the machine's interfaces when it is imported: not before the lab has been entered.
    from scapy.packet import Packet

#: With words of their own.
OTHERS = ("nic/queue-sizes", "nic/function-alone")

REWORDED = (
    reworded("nic/models-listed", ("-nic", "model=help"), ("-device", "help"), "-device help does not list",
             *OTHERS),
    reworded("nic/models-made", "rtl8139,netdev=", "e1000,netdev=", "there is no rtl8139", *OTHERS),
    reworded("nic/default-model", ("-M", "q35"), ("-M", "q35", "-nic", "user,model=rtl8139"),
             "q35 rtl8139", *OTHERS),
    reworded("nic/twenty-seven-pci", "netdev=n26,", "netdev=n26,mac=52:54:00:12:34:56,", "27 NICs, 26 MACs", *OTHERS),
    reworded("nic/mac-default", "e1000,netdev=n1", "e1000,netdev=n1,mac=52:54:00:00:00:01",
             "NICs are 52:54:00:12:34:56 52:54:00:00:00:01", *OTHERS),
    reworded("nic/mac-given", "netdev=to-card,mac=52:54:00:aa:bb:cc", "netdev=to-card", "on the wire 52:54:00:12:34:56",
             *OTHERS),
    reworded("nic/no-nic", ("-nodefaults",), (), "with -nodefaults there is .*user", *OTHERS),
    reworded("nic/multifunction", "id=other,addr=5.1", "id=other,addr=6.0", "the NICs are at 05.0 and 06.0",
             *OTHERS),
    reworded("nic/romfile-empty", "e1000,rombar=0", "e1000", "rombar=0: a ROM", *OTHERS),
    reworded("nic/queue-sizes", "rx_queue_size=512", "rx_queue_size=1024", "the queues have 1024 and 256",
             "nic/function-alone"),
    reworded("nic/failover-standby", ",failover_pair_id=standby", "", "and the e1000e", *OTHERS),
    reworded("nic/network-boot", "mac=52:54:00:aa:bb:01", "mac=52:54:00:aa:bb:09", "of the firmware 52:54:00:aa:bb:09",
             *OTHERS),
    reworded("nic/boot-index", ",bootindex=2", ",bootindex=0", "of the firmware 52:54:00:aa:bb:01", *OTHERS),
    reworded("nic/rom-off", "bootindex=1,romfile=", "bootindex=1", "of the firmware 52:54:00:aa:bb:01", *OTHERS),
    reworded("nic/mac-bad", ("e1000,netdev=x,mac=52:54:00:12:34",), ("e1000,netdev=x",), "QEMU starts with", *OTHERS),
    reworded("nic/mac-multicast", ("user,mac=01:00:5e:00:00:01",), ("user",), "of a multicast MAC", *OTHERS),
    reworded("nic/unknown-model", ("-nic", "user,model=nonsense"), ("-nic", "user"),
             "QEMU starts with -nic user", *OTHERS),
    reworded("nic/eight-on-board", ("-nic", "user", "-nic", "user"), ("-nic", "user"), "QEMU starts with", *OTHERS),
    reworded("nic/unknown-device", ",nonsense=1", "", "QEMU starts with", *OTHERS),
    reworded("nic/rx-tx-queue-size", "rx_queue_size=128", "rx_queue_size=256", "QEMU starts with", *OTHERS),
    reworded("nic/speed-duplex-bad", "duplex=nonsense", "duplex=half", "QEMU starts with", *OTHERS),
    reworded("nic/slot-taken", ("e1000,addr=5", "-device", "e1000,addr=5"), ("e1000,addr=5", "-device", "e1000,addr=6"),
             "QEMU starts with", *OTHERS),
    reworded("nic/function-alone", "addr=5.0", "addr=5.0,multifunction=on", "QEMU starts with", "nic/queue-sizes"),
    reworded("nic/romfile-missing", "romfile=/nowhere", "romfile=", "QEMU starts with", *OTHERS),
    reworded("nic/bootindex-unique", ("e1000,bootindex=1", "-device", "e1000,bootindex=1"), ("e1000,bootindex=1",),
             "QEMU starts with", *OTHERS),
    reworded("nic/acpi-index-unique", ("e1000,acpi-index=7", "-device", "e1000,acpi-index=7"), ("e1000,acpi-index=7",),
             "QEMU starts with", *OTHERS),
    reworded("nic/failover-primary", ",failover_pair_id=other", "", "QEMU starts with", *OTHERS),
    reworded("nic/usb-needs-bus", ("-device", "usb-net"), ("-usb", "-device", "usb-net"), "QEMU starts with", *OTHERS),
)  # fmt: skip


@fault("nic/device-add", cause="after device_add there is user alone", sentinels=OTHERS)
def nic_not_plugged_in(lab: Lab) -> None:
    """A monitor says that it plugs NICs in, and does not."""
    carry_out("device_add", say_yes)


@fault("nic/device-add-errors", cause="of card: plugged in", sentinels=OTHERS)
def nic_plugged_in_under_another_id(lab: Lab) -> None:
    """A monitor gives a NIC another id than it was asked for."""
    carry_out("device_add", lambda execute, told: execute("device_add", **{**told, "id": f"{told['id']}-more"}))


@fault("nic/rx-filter", cause="query-rx-filter says 52:54:00:00:00:01", sentinels=OTHERS)
def another_address_told(lab: Lab) -> None:
    """A monitor tells another address of a NIC than it has."""

    def otherwise(execute: Callable[..., Any], told: dict[str, Any]) -> Any:
        return [{**each, "main-mac": "52:54:00:00:00:01"} for each in execute("query-rx-filter", **told)]

    carry_out("query-rx-filter", otherwise)


@fault("nic/reset", cause=r"again 10\.0\.2\.99", sentinels=OTHERS)
def another_address_after_a_reset(wire: FrameShim) -> None:
    """Who asks a second time is leased another address."""
    seen: list[Packet] = []

    def is_second(frame: "Packet") -> bool:
        if matches(frame, {"DHCP.message-type": 5}):
            seen.append(frame)
            return len(seen) > 1
        return False

    wire.alter(FROM_QEMU, is_second, {"BOOTP.yiaddr": "10.0.2.99"})
