"""Faults of `restrict=on`: options that are lost, and frames of one kind that pass or do not."""

from typing import TYPE_CHECKING

from meta_tests.faults.fault import fault
from meta_tests.faults.frames import FROM_QEMU, TO_QEMU, FrameShim
from meta_tests.faults.wrapper import alter_netdev, set_user_option
from qemunet_tests.network import Lab, lab_addresses

if TYPE_CHECKING:
    # scapy reads the machine's interfaces when it is imported: not before the lab has been entered.
    from scapy.packet import Packet

TOPIC = ("user/restrict-lease", "user/restrict-tcp", "user/restrict-udp", "user/restrict-guestfwd")


def _others(claim: str) -> tuple[str, ...]:
    return tuple(each for each in TOPIC if each != claim)


@fault("user/restrict-tcp", "user/restrict-udp", "user/restrict-guestfwd",
       cause=r"isolated guest is (not refused by TCP at|answered by UDP by) "
       r"10\.0\.2\.2:7008, 192\.168\.1\.10:7007, 203\.0\.113\.10:7007(, 10\.0\.2\.3:53)?|that port elsewhere: opened",
       sentinels=("user/address", "user/dhcp-server-is-gateway"), core=True)  # fmt: skip
def isolation_lost(lab: Lab) -> None:
    """A management tool knows no `restrict=`."""
    set_user_option(lab, "restrict", None)


@fault(
    "user/restrict-lease",
    cause="an isolated guest is offered: .*, 3: 10.0.2.2",
    sentinels=_others("user/restrict-lease"),
)
def gateway_offered(wire: FrameShim) -> None:
    """Every lease names a gateway."""
    wire.alter(FROM_QEMU, {"BOOTP.op": 2}, {"DHCP.router": "10.0.2.2"})


@fault(
    "user/restrict-tcp", cause=r"not refused by TCP at 203\.0\.113\.10:7007$", sentinels=_others("user/restrict-tcp")
)
def outside_accepts(wire: FrameShim) -> None:
    """One service outside can be reached by TCP."""
    wire.alter(FROM_QEMU, {"IP.src": lab_addresses.OUTSIDE, "TCP.flags": "RA"}, {"TCP.flags": "SA"})


@fault("user/restrict-udp", cause=r"answered by UDP by 203\.0\.113\.10:7007$", sentinels=_others("user/restrict-udp"))
def outside_answers(wire: FrameShim) -> None:
    """One service outside answers datagrams."""

    def answer(question: "Packet") -> "Packet":
        from scapy.layers.inet import IP, UDP
        from scapy.layers.l2 import Ether

        packet, datagram = question[IP], question[UDP]
        header = IP(src=packet.dst, dst=packet.src) / UDP(sport=datagram.dport, dport=datagram.sport)
        return Ether(src=question.dst, dst=question.src) / header / bytes(datagram.payload)

    wire.invent(TO_QEMU, {"IP.dst": lab_addresses.OUTSIDE, "UDP.dport": lab_addresses.ECHO_PORT}, answer, to=FROM_QEMU)


@fault("user/restrict-ping", cause=r"with restrict=on 10\.0\.2\.2 answers; 10\.0\.2\.3 is silent", sentinels=TOPIC)
def resolver_answers_no_ping(wire: FrameShim) -> None:
    """The gateway answers ping and the resolver does not."""
    wire.drop(FROM_QEMU, {"IP.src": "10.0.2.3", "ICMP.type": 0})


@fault("user/restrict-tftp", cause="with restrict=on a request is answered: block 1, 100 bytes", sentinels=TOPIC)
def isolated_guest_gets_another_file(wire: FrameShim) -> None:
    """What is served by TFTP is another file."""
    spoilt = {"Raw.load": lambda load: load[:-1] + bytes([load[-1] ^ 0xFF])}
    wire.alter(FROM_QEMU, {"UDP.sport": 69}, spoilt)


@fault("user/restrict-hostfwd", cause="forwards to an isolated guest: TCP: no word passes; UDP: no word passes",
       sentinels=TOPIC)  # fmt: skip
def forwards_lost(lab: Lab) -> None:
    """A management tool knows no `hostfwd=`."""
    set_user_option(lab, "hostfwd", None)


@fault("user/restrict-guestfwd", cause="a socket: both ways; a program: the word does not come back",
       sentinels=_others("user/restrict-guestfwd"))  # fmt: skip
def program_says_nothing(lab: Lab) -> None:
    """The program that a guest forward leads to says nothing."""
    alter_netdev(lab, lambda word: word.replace("-cmd:cat", "-cmd:true"), everywhere=True)
