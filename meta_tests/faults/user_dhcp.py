"""Faults of the built-in DHCP server: fields of its frames, and options that QEMU is started with."""

from meta_tests.faults.fault import fault
from meta_tests.faults.frames import FROM_QEMU, FrameShim
from meta_tests.faults.wrapper import set_user_option
from qemunet_tests.network import Lab

ANSWERS = {"BOOTP.op": 2}
OFFERS = {"DHCP.message-type": 2}


@fault("user/dhcp-server-is-gateway", cause=r"from 10\.0\.2\.2, option 54: 10\.0\.2\.2, siaddr: 10\.0\.2\.99",
       sentinels=("user/dhcp-options-exact", "user/hostname"), core=True)  # fmt: skip
def next_server_named_otherwise(wire: FrameShim) -> None:
    """The answers of DHCP name another next server."""
    wire.alter(FROM_QEMU, ANSWERS, {"BOOTP.siaddr": "10.0.2.99"})


@fault("user/dhcp-options-exact", cause="other options: .*26: 05dc",
       sentinels=("user/dhcp-server-is-gateway", "user/hostname"))  # fmt: skip
def mtu_offered_too(wire: FrameShim) -> None:
    """Offers come with an MTU, which nobody promised."""
    wire.alter(FROM_QEMU, OFFERS, {"DHCP.interface-mtu": 1500})


@fault("user/hostname", cause="option 12: none", sentinels=("user/dhcp-server-is-gateway", "user/dhcp-options-exact"))
def hostname_left_out(lab: Lab) -> None:
    """A management tool knows no `hostname=`."""
    set_user_option(lab, "hostname", None)
