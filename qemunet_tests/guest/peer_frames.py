"""Frames of a kind that nobody else sends, and waiting until two peers hear each other."""

import random
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from qemunet_tests.deadline import Deadline

if TYPE_CHECKING:
    # scapy reads the machine's interfaces when it is imported: not before the lab has been entered.
    from qemunet_tests.guest.peer import Peer

#: Set aside by IEEE 802 for experiments: nobody else's frames have it.
ETHERTYPE = 0x88B5
#: A connection is made, or a link comes up, within so long.
JOINING_SECONDS = 6.0
#: How `info network` shows a stream backend that neither has a connection nor will get none: QEMU 7.2 says nothing.
_NOT_YET_JOINED = re.compile(r"type=stream,(?:initializing|listening|connecting)?\s*$", re.MULTILINE)
#: A frame that comes at all comes at once, and one that does not is waited for so long.
ARRIVING_SECONDS = 1.5


def frame_of(source: str, destination: str, size_bytes: int, kind: bytes = ETHERTYPE.to_bytes(2, "big")) -> bytes:
    """A frame of random bytes; `kind` is what follows the addresses."""
    addresses = bytes.fromhex((destination + source).replace(":", ""))
    header = addresses + kind
    return header + random.randbytes(size_bytes - len(header))


def hear_each_other(one: "Peer", other: "Peer") -> bool:
    """Whether frames pass both ways, once a connection is made and links are up."""
    deadline = Deadline(JOINING_SECONDS, "a wire between two ends")
    # A stream backend that does not listen yet, or cannot, dies of a frame: it has no connection, and takes its link
    # for up (net_stream_server_init, net/stream.c).
    if not deadline.sees(lambda: _is_decided(one) and _is_decided(other)) or _failed(one) or _failed(other):
        return False
    for sender, receiver in ((one, other), (other, one)):
        while not _anything_comes(sender, receiver):
            if deadline.passed or _failed(sender) or _failed(receiver):
                return False
        _arrived(sender, receiver)
    drain((one, other))
    return True


def _arrived(sender: "Peer", receiver: "Peer") -> None:
    """Wait for what was sent so far: on a busy machine it may be on its way for longer than anybody listens.

    Behind one more frame there is nothing of it any more.
    """
    last = frame_of(sender.mac, receiver.mac, 60)
    sender.wire.put(last)
    arriving = Deadline(ARRIVING_SECONDS, "the last frame")
    while receiver.wire.take(arriving.remaining_seconds) != last and not arriving.passed:
        pass


def _is_decided(peer: "Peer") -> bool:
    """Whether every stream backend of a peer's QEMU has its connection, or one of them will have none."""
    said = _network_of(peer)
    return "error" in said or not _NOT_YET_JOINED.search(said)


def _failed(peer: "Peer") -> bool:
    """Whether the monitor says of a backend that its connection failed: it is not tried again by itself."""
    return "error" in _network_of(peer)


def _network_of(peer: "Peer") -> str:
    return peer.qemu.monitor.ask("info network") if peer.qemu else ""


def _anything_comes(sender: "Peer", receiver: "Peer") -> bool:
    """Whether anything comes when something is sent, whatever became of it on its way."""
    sender.wire.put(frame_of(sender.mac, receiver.mac, 60))
    taken = receiver.wire.take(0.2)
    return taken is not None and taken[6:12] == bytes.fromhex(sender.mac.replace(":", ""))


def drain(peers: "Iterable[Peer]") -> None:
    """Take what is there and has not been asked for."""
    for peer in peers:
        while peer.wire.take(0.02) is not None:
            pass
