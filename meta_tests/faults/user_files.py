"""Faults of the TFTP server of user networking: what becomes of one kind of its messages, and a folder too many."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from meta_tests.faults.fault import fault
from meta_tests.faults.frames import FROM_QEMU, TO_QEMU, FrameShim, Which
from meta_tests.faults.wrapper import set_user_option
from qemunet_tests.network import Lab
from qemunet_tests.observe.tftp import ACK, DATA, ERROR, FIRST_CLIENT_PORT, OPTIONS, READ, SERVER_PORT, WRITE

if TYPE_CHECKING:
    # scapy reads the machine's interfaces when it is imported: not before the lab has been entered.
    from scapy.packet import Packet

#: Claims about the same server that no fault here breaks but its own.
TFTP_SENTINELS = ("user/tftp-read", "user/tftp-binary-only", "user/tftp-inside-only", "user/tftp-options",
                  "user/tftp-off", "user/tftp-many")  # fmt: skip


def _others(*claims: str) -> tuple[str, ...]:
    return tuple(each for each in TFTP_SENTINELS if each not in claims)


def _question(kind: int, *parts: bytes) -> Which:
    return {"UDP.dport": SERVER_PORT, "Raw.load": _begins(kind, *parts)}


def _begins(kind: int, *parts: bytes) -> Callable[[bytes], bool]:
    return lambda load: load[:2] == kind.to_bytes(2) and all(part in load for part in parts)


def _block(number: int, size_bytes: int) -> Callable[[bytes], bool]:
    """Blocks by their number and what they carry, behind four bytes."""
    return lambda load: load[:4] == DATA.to_bytes(2) + number.to_bytes(2) and len(load) == 4 + size_bytes


def _spoilt(load: bytes) -> bytes:
    return load[:-1] + bytes([load[-1] ^ 0xFF])


@fault("user/tftp-read", cause="of-100000: 100000 bytes; big: 1000000 bytes|of-100000: 100000 bytes$",
       sentinels=_others("user/tftp-read"), core=True)  # fmt: skip
def third_blocks_spoilt(wire: FrameShim) -> None:
    """A byte of every third block of a file that has more is another."""
    wire.alter(FROM_QEMU, {"UDP.sport": SERVER_PORT, "Raw.load": _block(3, 512)}, {"Raw.load": _spoilt})


@fault("user/tftp-read-only", cause="writing is answered: message 4", sentinels=TFTP_SENTINELS)
def writing_agreed_to(wire: FrameShim) -> None:
    """Whoever wants to write is told to go on."""

    def agreed(question: "Packet") -> "Packet":
        from scapy.layers.inet import IP, UDP
        from scapy.layers.l2 import Ether

        packet, ports = question[IP], question[UDP]
        answer = IP(src=packet.dst, dst=packet.src) / UDP(sport=SERVER_PORT, dport=ports.sport)
        return Ether(src=question.dst, dst=question.src) / answer / (ACK.to_bytes(2) + bytes(2))

    wire.invent(TO_QEMU, _question(WRITE), agreed, to=FROM_QEMU)


@fault("user/tftp-binary-only", cause="a request for text is answered: block 1, 512 bytes",
       sentinels=_others("user/tftp-binary-only"))  # fmt: skip
def text_served_as_it_is(wire: FrameShim) -> None:
    """A request for text is taken for one of the bytes."""
    text = _question(READ, b"\0netascii\0")
    wire.alter(TO_QEMU, text, {"Raw.load": lambda load: load.replace(b"netascii", b"octet")})


@fault("user/tftp-inside-only", cause="../beside is answered: block 1, 512 bytes",
       sentinels=_others("user/tftp-inside-only"))  # fmt: skip
def dots_ignored(wire: FrameShim) -> None:
    """A name with dots is served with what somebody takes for it."""
    dots = _question(READ, b"../beside\0")
    wire.alter(TO_QEMU, dots, {"Raw.load": lambda load: load.replace(b"../beside", b"there")})


@fault("user/tftp-symlink", cause="a link out of the folder is answered: 700 bytes", sentinels=TFTP_SENTINELS)
def links_lead_elsewhere(wire: FrameShim) -> None:
    """What is read by a link is not what the link leads to."""
    wire.alter(FROM_QEMU, {"UDP.sport": SERVER_PORT, "Raw.load": _block(2, 700 - 512)}, {"Raw.load": _spoilt})


@fault("user/tftp-fifo", cause="a request for what is no file is answered: block 1, 512 bytes",
       sentinels=TFTP_SENTINELS)  # fmt: skip
def fifo_served(wire: FrameShim) -> None:
    """A request for a FIFO is answered with a file."""
    wire.alter(TO_QEMU, _question(READ, b"fifo\0"), {"Raw.load": lambda load: load.replace(b"fifo", b"there")})


@fault("user/tftp-missing", cause="what is not there is answered: error 0, File not found, from port 69",
       sentinels=_others("user/tftp-inside-only"))  # fmt: skip
def missing_without_its_number(wire: FrameShim) -> None:
    """That a file is not there is told with the number of an error that is not defined."""
    missing = {"UDP.sport": SERVER_PORT, "Raw.load": _begins(ERROR, b"\1File not found")}
    wire.alter(FROM_QEMU, missing, {"Raw.load": lambda load: load[:2] + bytes(2) + load[4:]})


@fault("user/tftp-options", cause="options are agreed on otherwise: {'tsize': '0'}: {'tsize': '514'}",
       sentinels=_others("user/tftp-options"))  # fmt: skip
def size_told_otherwise(wire: FrameShim) -> None:
    """The size of a file is told as one byte more."""
    wire.alter(FROM_QEMU, {"UDP.sport": SERVER_PORT, "Raw.load": _begins(OPTIONS, b"\x00513\0")},
               {"Raw.load": lambda load: load.replace(b"513", b"514")})  # fmt: skip


@fault("user/tftp-off", cause="without tftp= a request is answered: .*block 1, 512 bytes",
       sentinels=("user/dhcp-server-is-gateway", "user/hostname"))  # fmt: skip
def host_served(lab: Lab) -> None:
    """A management tool serves the whole host to every guest."""
    set_user_option(lab, "tftp", "/")


@fault("user/tftp-many", cause="20 files that are read at once 19 are whole", sentinels=_others("user/tftp-many"))
def last_transfer_spoilt(wire: FrameShim) -> None:
    """Of many transfers one gets what is another's."""
    last = {"UDP.sport": SERVER_PORT, "UDP.dport": FIRST_CLIENT_PORT + 19, "Raw.load": _block(2, 512)}
    wire.alter(FROM_QEMU, last, {"Raw.load": _spoilt})
