"""Booting over the network: a boot program of a few bytes, the firmware that fetches it, and its word that it runs."""

from pathlib import Path
from typing import TYPE_CHECKING

from qemunet_tests.deadline import Deadline

if TYPE_CHECKING:
    from qemunet_tests.guest.peer import Peer

#: A PC's firmware under TCG takes four seconds, on a machine with nothing else to do.
BOOT_SECONDS = 20.0
#: Where a PC's firmware loads a boot program to.
_LOADED_AT = 0x7C00
#: Writes the bytes that follow it to the first serial port, up to one of zero, and halts: 16-bit code of a PC.
_PROGRAM = bytes.fromhex("0e1f be137c ac 84c0 7406 baf803 ee ebf5 f4 ebfd")


def boot_program(word: str) -> bytes:
    """A boot program that says a word on the serial port."""
    assembled = bytearray(_PROGRAM)
    assembled[3:5] = (_LOADED_AT + len(_PROGRAM)).to_bytes(2, "little")
    return bytes(assembled) + word.encode() + b"\0"


def machine_words(serial: Path) -> tuple[str, ...]:
    """What makes a PC of a peer's QEMU that boots from the network, by a NIC on the peer's hub."""
    nic = ("-netdev", "hubport,id=boot,hubid=0", "-device", "e1000,netdev=boot")
    return ("-M", "pc", "-boot", "n", *nic, "-serial", f"file:{serial}")


def said_by(peer: "Peer", serial: Path, word: str) -> str:
    """What was written to the serial port, once the word is in it or the time is over."""
    deadline = Deadline(BOOT_SECONDS, "the boot program to be run")
    while not deadline.passed and word not in _text(serial):
        # What passes on the hub comes here as well, and has to be taken.
        peer.receive(lambda _: False, 0.1)
    return _text(serial)


def _text(file: Path) -> str:
    return file.read_text(errors="replace").strip() if file.exists() else ""
