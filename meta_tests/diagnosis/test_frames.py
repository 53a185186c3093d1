"""The shim of faults: one field is altered, lengths and checksums are right, and nothing else is touched."""

from collections import deque

import pytest
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6ND_NS, IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from meta_tests.faults.frames import FROM_QEMU, TO_QEMU, FrameShim

OPTIONS = [("message-type", 2), ("router", "10.0.2.2"), (119, b"\x03lab\x00"), "end", *["pad"] * 20]
OFFER = (
    Ether(src="52:55:0a:00:02:02", dst="ff:ff:ff:ff:ff:ff")
    / IP(src="10.0.2.2", dst="255.255.255.255")
    / UDP(sport=67, dport=68)
    / BOOTP(op=2, siaddr="10.0.2.2")
    / DHCP(options=OPTIONS)
)


class Recorded:
    """A wire that gives out what it is given, and keeps what is put on it."""

    def __init__(self, *frames: Packet) -> None:
        self.frames, self.kept = deque(bytes(frame) for frame in frames), []

    def put(self, frame: bytes) -> None:
        self.kept.append(Ether(frame))

    def take(self, within_seconds: float) -> bytes | None:
        return self.frames.popleft() if self.frames else None

    def close(self) -> None: ...


def built_anew(frame: Packet) -> bytes:
    """The same frame with all that can be computed computed by scapy."""
    for layer in frame.layers():
        for name in ("len", "plen", "chksum", "cksum"):
            if name in frame[layer].fields:
                frame[layer].delfieldval(name)
    return bytes(frame)


@pytest.mark.parametrize(
    ("frame", "fields"),
    [
        (OFFER, {"BOOTP.siaddr": "10.0.2.99"}),
        (OFFER, {"IP.src": "10.0.2.99"}),
        (OFFER, {"DHCP.interface-mtu": 1500}),
        (OFFER, {"DHCP.router": None}),
        (OFFER, {"DHCP.119": b"\x01a\x00"}),
        (OFFER, {"DHCP.options": lambda options: options[:4]}),
        (Ether() / IP() / TCP(flags="SA", options=[("MSS", 1460)]), {"TCP.options": []}),
        (Ether() / IPv6() / ICMPv6ND_NS(tgt="fec0::2"), {"ICMPv6ND_NS.tgt": "fec0::3"}),
    ],
)
def test_a_field_is_altered_and_the_frame_is_whole(frame, fields):
    sent = Ether(bytes(frame))
    shim = FrameShim(Recorded(sent))
    shim.alter(FROM_QEMU, lambda _: True, fields)
    taken = shim.take(1.0)
    assert taken != bytes(sent)
    assert built_anew(Ether(taken)) == taken
    shim = FrameShim(Recorded(Ether(taken)))
    layer, name = next(iter(fields)).split(".")
    back = sent[layer].options if layer == "DHCP" else sent[layer].getfieldval(name)
    shim.alter(FROM_QEMU, lambda _: True, {"DHCP.options" if layer == "DHCP" else f"{layer}.{name}": back})
    assert shim.take(1.0) == bytes(sent)


def test_what_does_not_match_is_passed_on_as_it_is():
    spoilt = Ether(bytes(OFFER))
    spoilt[IP].chksum = 7
    shim = FrameShim(Recorded(spoilt))
    shim.alter(FROM_QEMU, {"BOOTP.op": 1}, {"BOOTP.siaddr": "10.0.2.99"})
    shim.drop(TO_QEMU, {})
    assert shim.take(1.0) == bytes(spoilt)


def test_frames_are_dropped_and_invented():
    wire = Recorded(OFFER, OFFER)
    shim = FrameShim(wire)
    shim.drop(FROM_QEMU, {"DHCP.message-type": 2, "IP.src": lambda address: address.endswith(".2")})
    shim.invent(TO_QEMU, {"UDP.dport": 68}, lambda asked: asked / b"more", to=FROM_QEMU)
    assert shim.take(1.0) is None
    shim.put(bytes(OFFER))
    assert [bytes(each) for each in wire.kept] == [bytes(OFFER)]
    assert shim.take(1.0) == bytes(Ether(bytes(OFFER)) / b"more")
