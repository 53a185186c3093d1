"""Faults of packets' own shape, their order and their ways, in user networking: what boxes on the way do to them."""

from typing import TYPE_CHECKING

from meta_tests.faults.fault import fault
from meta_tests.faults.frames import FROM_QEMU, TO_QEMU, FrameShim

if TYPE_CHECKING:
    from scapy.packet import Packet

#: What these leave alone.
SOUND = ("user/icmp-resolver", "user/udp-empty", "user/tcp-syn-options")
#: Magic number in front of DHCP's options (RFC 2131, 3), and a pad.
PADDED = b"\x63\x82\x53\x63\0"


@fault("user/packet-checksums", cause=r"7 of 7 answered, and IP \(ICMP\), .* of them with a wrong checksum",
       sentinels=SOUND)  # fmt: skip
def sums_put_right(wire: FrameShim) -> None:
    """Something on the way makes every packet's checksums, as some network cards do, whatever they were before."""
    wire.alter(TO_QEMU, lambda frame: "ARP" not in frame, {})


@fault("user/packet-cut-off", cause="4 of 4 answered, and ICMP, ICMP by IPv6, UDP of them cut off", sentinels=SOUND)
def lengths_put_right(wire: FrameShim) -> None:
    """Something on the way takes what there is for all there was, and says so in every header."""
    wire.alter(TO_QEMU, lambda frame: "ARP" not in frame and "BOOTP" not in frame, {})


@fault("user/packet-filled", cause="an echo reply of 0 bytes|no datagram comes", sentinels=SOUND)
def filled_frames_dropped(wire: FrameShim) -> None:
    """Frames that are longer than what they carry get lost."""
    wire.drop(TO_QEMU, lambda frame: "Padding" in frame)


@fault("user/packet-options", cause="of packets with options, nothing is answered", sentinels=SOUND)
def options_dropped(wire: FrameShim) -> None:
    """Packets with options in their header get lost, as at many a firewall."""
    wire.drop(TO_QEMU, {"IP.ihl": lambda words: words > 5})


@fault("user/packet-hops", cause="an echo reply with 3 hops from 52:55:0a:00:02:02", sentinels=SOUND)
def few_hops(wire: FrameShim) -> None:
    """What comes from the gateway itself may go three hops and no more."""
    wire.alter(FROM_QEMU, {"ICMP.type": 0}, {"IP.ttl": 3})


@fault("user/guest-moved", cause="found by nothing, by IPv6 by a question and an answer", sentinels=SOUND)
def guest_sought_where_it_was(wire: FrameShim) -> None:
    """Replies go to the station that the guest was at first."""
    wire.alter(FROM_QEMU, {"ICMP.type": 0}, {"Ether.dst": "52:54:00:70:65:01"})


@fault("user/dhcp-pads", cause=r"behind none: 10\.0\.2\.20; behind one each: 10\.0\.2\.15",
       sentinels=("user/dhcp-wish", "user/dhcp-nak"))  # fmt: skip
def wishes_behind_pads_unread(wire: FrameShim) -> None:
    """What stands behind pads in a client's message is not understood."""
    wire.alter(TO_QEMU, lambda frame: PADDED in bytes(frame), {"DHCP.requested_addr": None})


@fault("user/udp-fragments-astray", cause="no datagram comes to", sentinels=("user/udp-fragments", *SOUND))
def copies_of_pieces_kept_out(wire: FrameShim) -> None:
    """Who sees one piece twice, or that of another datagram before the first is whole, drops both from then on."""
    begun: list[int] = []

    def astray(frame: "Packet") -> bool:
        if "IP" not in frame or not (frame["IP"].frag or frame["IP"].flags.MF):
            return False
        begun.append(frame["IP"].id * 10000 + frame["IP"].frag)
        return begun != sorted(set(begun))

    wire.drop(TO_QEMU, astray)


@fault("user/udp-fragments-backwards", cause="no datagram comes to", sentinels=("user/udp-fragments-astray", *SOUND))
def early_pieces_dropped(wire: FrameShim) -> None:
    """A firewall lets no piece of a datagram in before the first, whose ports it wants to see."""
    begun: set[int] = set()

    def early(frame: "Packet") -> bool:
        if "IP" not in frame:
            return False
        begun.update([frame["IP"].id] * (not frame["IP"].frag))
        return frame["IP"].id not in begun

    wire.drop(TO_QEMU, early)


@fault("user/tcp-order", cause="of segments that overtake, come twice and overlap, 1500 of 12000 bytes in order",
       sentinels=SOUND)  # fmt: skip
def late_segments_dropped(wire: FrameShim) -> None:
    """What has been overtaken does not arrive any more."""
    latest: dict[int, int] = {}

    def is_late(frame: "Packet") -> bool:
        if "TCP" not in frame or "P" not in frame["TCP"].flags:
            return False
        port, number = frame["TCP"].sport, frame["TCP"].seq
        before, latest[port] = latest.get(port, number), max(latest.get(port, number), number)
        return number < before

    wire.drop(TO_QEMU, is_late)


@fault("user/tcp-sends-again", cause="when a segment is lost, the only one: 0 wrong bytes", sentinels=SOUND)
def what_comes_again_dropped(wire: FrameShim) -> None:
    """Something takes segments that are sent again for copies, and drops them."""
    seen: set[tuple[int, int]] = set()

    def again(frame: "Packet") -> bool:
        if "TCP" not in frame or "P" not in frame["TCP"].flags:
            return False
        which = (frame["TCP"].dport, frame["TCP"].seq)
        known = which in seen
        seen.add(which)
        return known

    wire.drop(FROM_QEMU, again)


@fault("user/tcp-window", cause="room for 700 bytes: 1440 come", sentinels=SOUND)
def windows_widened(wire: FrameShim) -> None:
    """Something on the way tells QEMU that there is more room than the guest says, as accelerators do."""
    wire.alter(TO_QEMU, {"TCP.window": lambda room: room < 5000}, {"TCP.window": 65535})


@fault("user/tcp-mss", cause="in: at most 1460 bytes", sentinels=SOUND)
def segment_sizes_rewritten(wire: FrameShim) -> None:
    """Something on the way has the guest say that it takes what an Ethernet carries."""
    wire.alter(TO_QEMU, {"TCP.flags": lambda flags: "S" in flags}, {"TCP.options": [("MSS", 1460)]})


def _block_more(frame: "Packet") -> "Packet":
    from scapy.layers.inet import IP, UDP
    from scapy.layers.l2 import Ether
    from scapy.packet import Raw

    asked = frame["UDP"]
    block = b"\0\3\0\3" + b"more"
    return (
        Ether(src=frame.dst, dst=frame.src)
        / IP(src=frame["IP"].dst, dst=frame["IP"].src)
        / UDP(sport=69, dport=asked.sport)
        / Raw(block)
    )


@fault("user/tftp-ends", cause="behind the last block: block 3, 4 bytes", sentinels=("user/tftp-binary-only", *SOUND))
def one_block_more(wire: FrameShim) -> None:
    """Behind the last block of a file comes another, of something else."""
    wire.invent(TO_QEMU, lambda frame: bytes(frame).endswith(b"\0\4\0\2"), _block_more, to=FROM_QEMU)


@fault("user/ip6-resolver-other-port", cause=r"unreachable \(type 1, code 1\) from fe80::2",
       sentinels=("user/ip6-dns", *SOUND))  # fmt: skip
def prohibited_instead_of_no_route(wire: FrameShim) -> None:
    """What the gateway says by IPv6 is that an administrator forbids it."""
    wire.alter(FROM_QEMU, {"ICMPv6DestUnreach.code": 0}, {"ICMPv6DestUnreach.code": 1})


@fault("user/ip6-far-solicitations", cause="with 254: router, neighbour", sentinels=("user/ip6-neighbours", *SOUND))
def hops_put_right(wire: FrameShim) -> None:
    """Something carries neighbour discovery over a router and hides it."""
    wire.alter(TO_QEMU, {"IPv6.hlim": 254}, {"IPv6.hlim": 255})
