"""Frames of an EtherType that nobody uses, and what becomes of them between two peers."""

import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from qemunet_tests.deadline import Deadline
from qemunet_tests.guest.peer_frames import ARRIVING_SECONDS, frame_of

if TYPE_CHECKING:
    # scapy reads the machine's interfaces when it is imported: not before the lab has been entered.
    from qemunet_tests.guest.peer import Peer

BROADCAST, MULTICAST = "ff:ff:ff:ff:ff:ff", "01:00:5e:01:02:03"
#: An address that nobody has.
STRANGER = "52:54:00:70:65:ee"
TAG_BYTES = 8
#: How often a frame is sent before it counts as one that does not pass.
SENDINGS = 3


class OtherEnd(Protocol):
    """Where QEMU's frames go to and come from: a socket of ours."""

    def put(self, frame: bytes) -> None: ...

    def take(self) -> bytes | None: ...


def kinds_of_frames(source: str, destination: str) -> dict[str, bytes]:
    """Frames that a network between guests has to carry whatever they hold, by what is special about them."""
    return {
        "unicast": frame_of(source, destination, 60),
        "for a stranger": frame_of(source, STRANGER, 98),
        "broadcast": frame_of(source, BROADCAST, 342),
        "multicast": frame_of(source, MULTICAST, 77),
        "IEEE 802.3": frame_of(source, destination, 64, (50).to_bytes(2, "big")),
        "broken IPv4": frame_of(source, destination, 90, bytes.fromhex("0800")),
    }


def tagged(source: str, destination: str, vlan: int) -> bytes:
    """A frame with a tag of IEEE 802.1Q."""
    return frame_of(source, destination, 102, bytes.fromhex("8100") + vlan.to_bytes(2, "big") + b"\x88\xb5")


def fate(sender: "Peer", receiver: "Peer", frame: bytes, within_seconds: float = ARRIVING_SECONDS) -> str:
    """What becomes of a frame: `whole`, `altered` or `lost`. Whoever else's frames come meanwhile do not count."""
    sender.wire.put(frame)
    deadline, beginning = Deadline(within_seconds, "a frame"), frame[6:12]
    while not deadline.passed:
        taken = receiver.wire.take(deadline.remaining_seconds)
        if taken == frame:
            return "whole"
        if taken is not None and taken[6:12] == beginning:
            return "altered"
    return "lost"


def fates(sender: "Peer", receiver: "Peer", frames: dict[str, bytes]) -> dict[str, str]:
    """The same of several, by their names."""
    return {name: fate(sender, receiver, frame) for name, frame in frames.items()}


def passes(sender: "Peer", receiver: "Peer", within_seconds: float = ARRIVING_SECONDS) -> bool:
    """Whether a small frame gets through."""
    return fate(sender, receiver, frame_of(sender.mac, receiver.mac, 60), within_seconds) == "whole"


def numbered(sender: "Peer", receiver: "Peer", count: int) -> list[bytes]:
    """So many different frames in a row, of one length."""
    head = frame_of(sender.mac, receiver.mac, 14) + secrets.token_bytes(TAG_BYTES)
    return [head + number.to_bytes(4, "big") + bytes(40) for number in range(count)]


def sizes_of_frames(largest_bytes: int) -> tuple[int, ...]:
    """The shortest frame of an Ethernet, its longest, a jumbo frame where that fits, and the largest there is."""
    return tuple(sorted({60, 1514, min(9014, largest_bytes), largest_bytes}))


def received(receiver: "Peer", source: str, count: int, patience_seconds: float = ARRIVING_SECONDS) -> list[bytes]:
    """The next frames from that address, until there are so many or none comes any more."""
    got: list[bytes] = []
    address = bytes.fromhex(source.replace(":", ""))
    while len(got) < count and (taken := receiver.wire.take(patience_seconds)) is not None:
        if taken[6:12] == address:
            got.append(taken)
    return got


def heard(receiver: "Peer", senders: "Sequence[Peer]") -> list[int]:
    """Which of these peers' broadcasts come, by their place, counted from 1, when each sends one."""
    tokens = [frame_of(sender.mac, BROADCAST, 60) for sender in senders]
    for sender, frame in zip(senders, tokens, strict=True):
        sender.wire.put(frame)
    came: set[bytes] = set()
    while (taken := receiver.wire.take(0.3)) is not None:
        came.add(taken)
    return [place for place, frame in enumerate(tokens, 1) if frame in came]


def arrives(receiver: "Peer", frame: bytes, within_seconds: float = 2 * ARRIVING_SECONDS) -> bool:
    """Whether exactly this frame comes, among others."""
    deadline = Deadline(within_seconds, "a frame")
    while not deadline.passed:
        if receiver.wire.take(deadline.remaining_seconds) == frame:
            return True
    return False


def exchanged(peer: "Peer", end: OtherEnd, size_bytes: int = 60) -> str:
    """Which ways a frame passes whole between a peer and the other end of its QEMU's backend: `out and back`.

    Back first: when that has come QEMU has taken a call, and before it carries nothing out. A frame that is lost is
    sent again: a hub drops what nobody has time to take.
    """
    out, back = (frame_of(peer.mac, STRANGER, size_bytes) for _ in range(2))

    def comes_back() -> bool:
        end.put(back)
        return arrives(peer, back)

    def goes_out() -> bool:
        peer.wire.put(out)
        return end.take() == out

    came = any(comes_back() for _ in range(SENDINGS))
    ways = {"out": any(goes_out() for _ in range(SENDINGS)), "back": came}
    return " and ".join(way for way, did in ways.items() if did) or "neither way"


def passed_kinds(peer: "Peer", end: OtherEnd, kinds: dict[str, str], other_mac: str) -> dict[str, list[str]]:
    """Which frames pass whole `out` from a peer to the other end of its network and `back`, by whom they are for.

    `kinds` are the addresses that they go to, `other_mac` is the other end's own.
    """
    out = {kind: frame_of(peer.mac, address, 77) for kind, address in kinds.items()}
    back = {kind: frame_of(other_mac, address, 77) for kind, address in kinds.items()}
    came = []
    for kind, frame in back.items():
        end.put(frame)
        came += [kind] * arrives(peer, frame)
    left = []
    for kind, frame in out.items():
        peer.wire.put(frame)
        left += [kind] * (end.take() == frame)
    return {"out": left, "back": came}


def others_that_hear(peers: "Sequence[Peer]") -> int:
    """How many hear what the first sends to all."""
    frame = frame_of(peers[0].mac, BROADCAST, 60)
    peers[0].wire.put(frame)
    return sum(arrives(other, frame) for other in peers[1:])


def hear_of_a_broadcast(peers: "Sequence[Peer]") -> str:
    """Whether the second hears what the first sends to all, and how often the first hears it itself."""
    frame = frame_of(peers[0].mac, BROADCAST, 60)
    peers[0].wire.put(frame)
    other = "hears" if arrives(peers[1], frame) else "does not hear"
    return f"the other {other}, the sender {received(peers[0], peers[0].mac, 2, 0.3).count(frame)} times"
