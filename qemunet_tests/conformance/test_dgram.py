"""What is promised of frames that travel as datagrams: peers at the ends of real backends, and no guest."""

import random

import pytest

from qemunet_tests.modes import dgram

#: The shortest frame, the longest of an Ethernet, a jumbo frame, and nearly the longest that UDP carries.
SIZES_BYTES = (60, 1514, 9014, 65000)
#: Set aside by IEEE 802 for experiments: nobody else's frames have it.
ETHERTYPE = 0x88B5


def carried(sender, receiver, size_bytes):
    """What becomes of a frame of random bytes, in a word."""
    from scapy.layers.l2 import Ether

    header = Ether(src=sender.mac, dst=receiver.mac, type=ETHERTYPE)
    frame = bytes(header / random.randbytes(size_bytes - len(header)))
    sender.send(Ether(frame))
    got = receiver.receive(lambda each: each.type == ETHERTYPE)
    return "lost" if got is None else "whole" if bytes(got) == frame else "altered"


@pytest.mark.claim("dgram/inet")
def test_two_qemus_hear_each_other_by_udp(attach_peer, target, claim):
    near, far = (attach_peer(end) for end in dgram.tunnel(target.host))
    ways = {"to the far one": (near, far), "to the near one": (far, near)}
    became = {f"{size} bytes {way}": carried(*ends, size) for way, ends in ways.items() for size in SIZES_BYTES}
    wrong = [f"{which} {what}" for which, what in became.items() if what != "whole"]
    claim.sees("; ".join(wrong) or claim.expected)
    assert wrong == [], f"of the frames from one QEMU to the other: {'; '.join(wrong)}"


@pytest.mark.claim("dgram/remote-optional")
def test_the_remote_end_may_be_left_out(bench, target, claim):
    port = dgram.tunnel(target.host)[0].local_port
    words = f"dgram,id=alone,local.type=inet,local.host=127.0.0.1,local.port={port}"
    alone = bench.attempt("-netdev", words)
    claim.sees("QEMU starts" if alone.started else alone.complaints.refusal.rpartition(": ")[2])
    if not alone.started:
        assert alone.complaints.refusal.endswith("requires remote parameter"), str(alone.complaints)
        claim.deviates(name="demanded")
