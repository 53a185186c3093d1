"""Who answers ARP on a guest's wire."""

import contextlib
import re
import socket
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from qemunet_tests.deadline import Deadline
from qemunet_tests.errors import HarnessError, TimedOut
from qemunet_tests.guest.address_resolution import (
    ADDRESS,
    AddressOwner,
    answered_by,
    asked_by,
    is_answer_for,
    question_for,
)
from qemunet_tests.guest.guest import Guest
from qemunet_tests.isolation.station import Station
from qemunet_tests.observe.capture import ETH_P_ALL
from qemunet_tests.timeouts import turns, whole

if TYPE_CHECKING:
    # scapy reads the machine's interfaces when it is imported: not before the lab has been entered.
    from scapy.packet import Packet

    from qemunet_tests.guest.peer import Peer

#: Ethernet's type, and of ARP (RFC 826) what is the same in every question and in every answer: Ethernet, IPv4, the
#: lengths of their addresses, the operation.
ARP_WORDS, REPLIES = bytes.fromhex("08060001080006040001"), bytes.fromhex("08060001080006040002")
TYPE_AT, SENDER_AT, ASKER_AT = 12, 22, 32
#: RFC 5227, 2.1.1: whose question claims no address.
PROBE = "0.0.0.0"
#: Documentation's own (RFC 5737): who has a range of the LAN's addresses does not have this one, too.
ELSEWHERE = "198.51.100.77"
REPLY = re.compile(r"\[([0-9a-f:]{17})\]")


def answers_arp(guest: Guest, address: str, wait_seconds: int = 2) -> bool:
    """Whether anybody says that this address is his."""
    return any(_answers(guest, address, whole(seconds)) for seconds in turns(wait_seconds, again=False))


def _answers(guest: Guest, address: str, wait_seconds: int) -> bool:
    command = guest.tools.who_has.format(wait_seconds=wait_seconds, interface="eth0", address=address)
    return guest.run(command, within_seconds=wait_seconds + 5).succeeded


def owners(guest: Guest, address: str, wait_seconds: int = 2) -> list[str]:
    """The MAC addresses of all others that say an address is theirs, asked without claiming it: RFC 5227, 2.1.1."""
    probe = guest.tools.who_else_has.format(wait_seconds=wait_seconds, interface="eth0", address=address)
    return sorted(set(REPLY.findall(guest.run(probe, within_seconds=wait_seconds + 5).text)))


def owners_of_each(guest: Guest, addresses: Sequence[str], wait_seconds: int = 2) -> dict[str, list[str]]:
    """The same of several addresses, asked for all at once."""
    words = guest.tools.who_else_has
    probes = [words.format(wait_seconds=wait_seconds, interface="eth0", address=address) for address in addresses]
    asking = " & ".join(f"{probe} >/tmp/owners.{address}" for probe, address in zip(probes, addresses, strict=True))
    guest.run(f"( {asking} & wait ) 2>/dev/null", within_seconds=wait_seconds + 5)
    return {each: sorted(set(REPLY.findall(guest.read(f"/tmp/owners.{each}") or ""))) for each in addresses}


def answers_who(station: Station, link: str, mac: str, address: str, within_seconds: float = 1.0) -> str | None:
    """Whose MAC address anybody behind a station's link tells who asks from a MAC, by RFC 5227, about an address.

    None where nobody answers, or where we may not ask.
    """
    own, wanted = bytes.fromhex(mac.replace(":", "")), socket.inet_aton(address)
    question = b"\xff" * 6 + own + ARP_WORDS + own + bytes(4 + 6) + wanted
    try:
        with station.entered():
            asking = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        with asking:
            # What comes in at a bridge's port is seen by those alone who ask for everything.
            asking.bind((link, ETH_P_ALL))
            asking.setblocking(False)
            asking.send(question)
            return Deadline(within_seconds, "an answer").wait_until(lambda: _told(asking, own, wanted))
    except (OSError, TimedOut):
        return None


def answers_each(
    station: Station, link: str, questions: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], str | None]:
    """The same of several questions, each the MAC that asks and the address that is asked for, put all at once."""
    with ThreadPoolExecutor(max(1, len(questions))) as at_once:
        answers = at_once.map(lambda each: answers_who(station, link, *each), questions)
        return dict(zip(questions, answers, strict=True))


def _told(asking: socket.socket, own: bytes, wanted: bytes) -> str | None:
    with contextlib.suppress(BlockingIOError):
        while True:
            frame, (_, _, direction, *_) = asking.recvfrom(2048)
            # What this station itself answers to somebody else goes out here, and is no answer to it.
            if direction == socket.PACKET_OUTGOING:
                continue
            told = frame[SENDER_AT + 6 : SENDER_AT + 10], frame[ASKER_AT : ASKER_AT + 6]
            if frame[TYPE_AT:SENDER_AT] == REPLIES and told == (wanted, own):
                return frame[SENDER_AT : SENDER_AT + 6].hex(":")
    return None


def who_has(peer: "Peer", address: str, within_seconds: float = 0.5, own: str = ADDRESS) -> AddressOwner | None:
    """Who tells a peer at the address `own` that he has an address; None when nobody does."""
    question = question_for(peer.mac, address, own)
    answer = peer.ask(question, lambda frame: is_answer_for(frame, address), within_seconds)
    return answered_by(answer) if answer else None


def asked_for(peer: "Peer", address: str, within_seconds: float = 3.0) -> bool:
    """Whether somebody asks on a peer's wire who has an address."""
    return peer.receive(lambda frame: asked_by(frame) == address, within_seconds) is not None


def answered_for(
    peer: "Peer", addresses: Iterable[str], gateway: str, own: str, within_seconds: float = 2.0
) -> list[str]:
    """The addresses for which ARP is answered, each once, as a peer at the address `own` hears.

    The gateway is asked for last, by the same peer as 0.0.0.0: when that is answered, all others were looked at. Raises
    HarnessError where it is not.
    """
    questions = [question_for(peer.mac, address, own) for address in addresses]
    found: list[str] = []

    def is_last(frame: "Packet") -> bool:
        owner = answered_by(frame)
        if owner and frame.pdst == own:
            found.append(owner.address)
        return owner is not None and frame.pdst == PROBE

    for patience_seconds in turns(within_seconds):
        found.clear()
        for question in (*questions, question_for(peer.mac, gateway, PROBE)):
            peer.send(question)
        if peer.receive(is_last, patience_seconds):
            return list(dict.fromkeys(found))
    raise HarnessError(f"nobody answers for the gateway {gateway}, so that silence about others tells nothing")
