"""A DHCP server that sends garbage: whatever is on the wire, reading it raises nothing and ends."""

import random
import socket
import struct

from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from qemunet_tests.observe import dhcp

OFFER = bytes(
    Ether(src="52:54:00:00:00:01", dst="52:54:00:00:00:02")
    / IP(src="192.168.1.254", dst="192.168.1.100")
    / UDP(sport=67, dport=68)
    / BOOTP(op=2, xid=dhcp.TRANSACTION)
    / DHCP(options=[("message-type", "offer"), ("server_id", "192.168.1.254"), "end"])
)
PORTS = struct.pack(">HH", 67, 68)


def garbage(seed: int) -> bytes:
    """An offer that was cut, changed, or repeated at random; or nothing but noise."""
    chance = random.Random(seed)
    frame = bytearray(OFFER if seed % 4 else chance.randbytes(chance.randrange(600)))
    for _ in range(chance.randrange(20)):
        if frame:
            frame[chance.randrange(len(frame))] = chance.randrange(256)
    frame = frame[: chance.randrange(len(frame) + 1)] if seed % 3 else frame
    return bytes(frame + dhcp.DHCP_COOKIE + PORTS if seed % 5 == 0 else frame)


#: Made to be read beyond their ends.
CRAFTED = [
    dhcp.DHCP_COOKIE + bytes(10) + b"\x45" + bytes(8) + b"\x11" + bytes(10) + PORTS,
    OFFER[: OFFER.index(dhcp.DHCP_COOKIE) + 4] + b"\x35",
    OFFER[: OFFER.index(dhcp.DHCP_COOKIE) + 4] + b"\x35\x00\xff",
    OFFER[: OFFER.index(dhcp.DHCP_COOKIE) + 4] + b"\x01\x00" * 200,
    b"\x02\x01\x06\x00" + dhcp.TRANSACTION.to_bytes(4) + bytes(20),
    b"",
]
ALL = [*CRAFTED, *(garbage(seed) for seed in range(3000))]


def test_messages_are_read_past_garbage() -> None:
    assert dhcp.message_type(OFFER) == "offer"
    for frame in ALL:
        assert dhcp.message_type(frame) in (None, *dhcp.TYPES.values())


def test_checksums_are_read_past_garbage() -> None:
    assert dhcp._checksum_of(OFFER) == "right"
    for frame in ALL:
        assert dhcp._checksum_of(frame) in (None, "right", "wrong", "unfinished")


def test_the_servers_answer_is_found_behind_garbage() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        ours.setblocking(False)
        theirs.send(CRAFTED[4])
        theirs.send(OFFER)
        assert list(dhcp._servers(ours)) == [(dhcp.TRANSACTION, "192.168.1.254")]


def test_whose_question_was_answered_is_read_past_garbage() -> None:
    assert dhcp._transaction(OFFER) == dhcp.TRANSACTION
    assert all(0 <= dhcp._transaction(frame) < 1 << 32 for frame in ALL)
