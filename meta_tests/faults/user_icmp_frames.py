"""Faults of single echo requests and replies in user networking."""

from typing import TYPE_CHECKING

from meta_tests.faults.fault import fault
from meta_tests.faults.frames import FROM_QEMU, TO_QEMU, FrameShim

if TYPE_CHECKING:
    from scapy.packet import Packet

#: 203.0.113.10 answers in the lab, 198.51.100.1 is nobody's.
NOBODY = "198.51.100.1"


@fault("user/icmp-resolver", cause=r"10\.0\.2\.3 answers with something else",
       sentinels=("user/icmp-no-route", "user/dns-tcp"))  # fmt: skip
def resolver_echoes_another_number(wire: FrameShim) -> None:
    """The resolver's echo replies have another number than the requests."""
    wire.alter(FROM_QEMU, {"IP.src": "10.0.2.3", "ICMP.type": 0}, {"ICMP.seq": lambda number: number + 1})


@fault("user/icmp-no-route", cause=r"unreachable \(type 3, code 1\) from 10\.0\.2\.2",
       sentinels=("user/icmp-resolver", "user/dns-tcp"))  # fmt: skip
def host_instead_of_network(wire: FrameShim) -> None:
    """What the gateway says is that a host cannot be reached, and not its network."""
    wire.alter(FROM_QEMU, {"IP.src": "10.0.2.2", "ICMP.type": 3}, {"ICMP.code": 1})


@fault("user/icmp-raw-dead-host", cause=rf"{NOBODY} answers( with something else)? with code 1",
       sentinels=("user/icmp-resolver", "user/icmp-no-route"))  # fmt: skip
def dead_host_with_another_code(wire: FrameShim) -> None:
    """What seems to be a dead host's reply has another code."""
    wire.alter(FROM_QEMU, {"IP.src": NOBODY, "ICMP.type": 0}, {"ICMP.code": 1})


@fault("user/icmp-ttl", cause="no answer", sentinels=("user/icmp-resolver", "user/icmp-no-route"))
def last_hops_dropped(wire: FrameShim) -> None:
    """What has one hop to live vanishes before it is at the gateway, and nobody says so."""

    def has_one_hop(frame: "Packet") -> bool:
        return "ICMP" in frame and frame["IP"].ttl == 1

    wire.drop(TO_QEMU, has_one_hop)


@fault("user/icmp-share", cause=r"unreachable \(type 3, code 0\) from 10\.0\.2\.2",
       sentinels=("user/icmp-resolver", "user/icmp-no-route"))  # fmt: skip
def errors_from_the_gateway(wire: FrameShim) -> None:
    """It is the gateway that seems to say what routers behind it said."""
    wire.alter(FROM_QEMU, {"ICMP.type": 3}, {"IP.src": "10.0.2.2"})
