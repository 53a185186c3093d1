"""Checksums of DHCP's answers as they come to a guest.

A frame that never left a machine may lack its checksum: whoever sent it left that to hardware which it never met. QEMU
tells a guest so beside the frame; a guest that is not told drops what looks spoilt.
"""

import struct
from typing import Literal

from qemunet_tests.guest.guest import Guest
from qemunet_tests.observe.capture import whole_capture
from qemunet_tests.observe.frames import DHCP_COOKIE

State = Literal["right", "wrong", "unfinished"]
SERVER_PORT, CLIENT_PORT = 67, 68
UDP, UDP_HEADER_BYTES = 17, 8


def of_offers(guest: Guest) -> list[State]:
    """Of every DHCP answer that came to the guest's NIC."""
    return [state for frame in whole_capture(guest) if (state := _of_answer(frame))]


def _of_answer(frame: bytes) -> State | None:
    ports = frame.find(struct.pack(">HH", SERVER_PORT, CLIENT_PORT))
    header = ports - 20
    if header < 14 or DHCP_COOKIE not in frame or frame[header] != 0x45 or frame[header + 9] != UDP:
        return None
    if len(frame) < ports + UDP_HEADER_BYTES:
        return None  # cut off, or made to look like an answer
    length, said = struct.unpack_from(">HH", frame, ports + 4)
    pseudo = frame[header + 12 : header + 20] + struct.pack(">HH", UDP, length)
    datagram = frame[ports : ports + 6] + b"\0\0" + frame[ports + 8 : ports + length]
    if said in (0, 0xFFFF & ~_sum(pseudo + datagram)) or _sum(pseudo + datagram) == 0:
        return "right"
    return "unfinished" if said == _sum(pseudo) else "wrong"


def _sum(content: bytes) -> int:
    """RFC 1071."""
    total: int = sum(struct.unpack(f">{(len(content) + 1) // 2}H", content + b"\0" * (len(content) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total
