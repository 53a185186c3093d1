"""Silence: QEMU has taken a frame and says nothing to it, which is something else than a frame that got lost."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from qemunet_tests.deadline import Deadline
from qemunet_tests.errors import HarnessError
from qemunet_tests.guest.address_resolution import ADDRESS, GATEWAY, is_answer_for, question_for
from qemunet_tests.timeouts import turns

if TYPE_CHECKING:
    # scapy reads the machine's interfaces when it is imported: not before the lab has been entered.
    from scapy.packet import Packet

    from qemunet_tests.guest.peer import Peer

#: QEMU answers ARP in a thousandth of that.
STANDING_SECONDS = 0.5


def answer_or_silence(
    peer: "Peer", question: "Packet", wanted: "Callable[[Packet], bool]", within_seconds: float = 2.0
) -> "Packet | None":
    """What QEMU itself says to a frame, without asking anybody; None where it says nothing.

    It takes one frame after the other: what was to come has come when the gateway answers the ARP request that was sent
    behind. One goes before, by which QEMU learns whom to answer. Raises HarnessError where no answer comes: then the
    frame may be lost as well.
    """
    if not peer.ask(who_has_gateway(peer), tells_gateway, within_seconds):
        raise HarnessError(f"{GATEWAY} does not answer ARP")
    answers: list[Packet] = []

    def is_control(frame: "Packet") -> bool:
        if wanted(frame):
            answers.append(frame)
        return tells_gateway(frame)

    for patience_seconds in turns(within_seconds):
        peer.send(question)
        peer.send(who_has_gateway(peer))
        if peer.receive(is_control, patience_seconds):
            return answers[0] if answers else None
    raise HarnessError(f"{GATEWAY} does not answer the ARP request that tells silence from a lost frame")


def waits_at(peer: "Peer", question: "Packet", fifo: Path, within_seconds: float = 20.0) -> bool:
    """Whether a frame makes QEMU wait for somebody who opens a FIFO for writing, and take no other. Lets it go on.

    Raises AssertionError where it neither waits there nor takes the frame behind.
    """
    peer.send(question)
    peer.send(who_has_gateway(peer))
    deadline = Deadline(within_seconds, "QEMU")
    while not deadline.passed:
        if peer.receive(tells_gateway, STANDING_SECONDS):
            return False
        # Only where somebody waits to read is there an end to write to: fifo(7).
        with contextlib.suppress(OSError):
            os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
            if not peer.receive(tells_gateway, within_seconds):
                raise AssertionError("QEMU does not go on when somebody has opened the FIFO")
            return True
    raise AssertionError("QEMU takes no frames any more, and does not wait for the FIFO")


def who_has_gateway(peer: "Peer") -> "Packet":
    """The question who has the gateway's address."""
    return question_for(peer.mac, GATEWAY, ADDRESS)


def tells_gateway(frame: "Packet") -> bool:
    """Whether the gateway answers that question."""
    return is_answer_for(frame, GATEWAY)
