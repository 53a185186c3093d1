"""A reply to a ping is one to what was sent, by whom it went to: nothing else is counted, whatever ping(1) says."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from qemunet_tests.observe import icmp
from qemunet_tests.observe.capture import ICMP, Packet
from qemunet_tests.observe.icmp import ECHO_REPLY, ECHO_REQUEST, Ping, compared

GUEST, GATEWAY = "10.0.2.15", "10.0.2.2"


def request(number: int) -> Packet:
    return Packet("52:54:00:00:00:01", "52:55:0a:00:02:02", ICMP, GUEST, GATEWAY, ECHO_REQUEST, 0,
                  b"id" + number.to_bytes(2) + b"content", 84)  # fmt: skip


def reply(number: int) -> Packet:
    asked = request(number)
    return replace(asked, source_mac=asked.target_mac, target_mac=asked.source_mac, source=GATEWAY, target=GUEST,
                   first=ECHO_REPLY)  # fmt: skip


REQUESTS = [request(number) for number in (1, 2, 3)]
REPLIES = [reply(number) for number in (1, 2, 3)]


@pytest.mark.parametrize(
    ("replies", "received", "wrong"),
    [
        (REPLIES, 3, 0),
        ([], 0, 0),
        (REPLIES[:2], 2, 0),
        ([*REPLIES, REPLIES[0]], 3, 1),
        ([replace(each, source="10.0.2.3") for each in REPLIES], 0, 3),
        ([replace(each, payload=each.payload[:-1] + b"?") for each in REPLIES], 0, 3),
        ([replace(each, payload=each.payload[:-1]) for each in REPLIES], 0, 3),
        ([replace(each, payload=each.payload + b"more") for each in REPLIES], 0, 3),
        ([replace(each, payload=b"id\0\x09" + each.payload[4:]) for each in REPLIES], 0, 3),
        ([replace(each, payload=b"ID" + each.payload[2:]) for each in REPLIES], 0, 3),
        ([REPLIES[0], replace(REPLIES[1], payload=REPLIES[0].payload), REPLIES[2]], 2, 1),
    ],
    ids=[
        "right",
        "silent",
        "two",
        "one more",
        "sender",
        "content",
        "shorter",
        "longer",
        "number",
        "identifier",
        "again",
    ],
)
def test_only_what_was_sent_and_came_back_counts(replies: list[Packet], received: int, wrong: int) -> None:
    found = compared(Ping(3, 3), GATEWAY, [*REQUESTS, *replies])
    assert found == Ping(3, received, wrong)
    assert found.whole == (received == 3 and not wrong)
    assert found.silent == (not replies)


def test_a_reply_that_the_guest_did_not_take_is_none() -> None:
    assert compared(Ping(3, 1), GATEWAY, [*REQUESTS, *REPLIES]) == Ping(3, 1, 0)


def test_what_the_guest_itself_answers_is_no_reply_to_it() -> None:
    others = [replace(each, source=GUEST, target="192.168.1.10", source_mac=REQUESTS[0].source_mac) for each in REPLIES]
    assert compared(Ping(3, 0), GATEWAY, [*REQUESTS, *others]) == Ping(3, 0, 0)


def test_wrong_replies_are_told() -> None:
    assert str(Ping(3, 3)) == "3 of 3 echo requests answered"
    assert str(Ping(3, 0, 3)) == "0 of 3 echo requests answered, 3 replies are wrong"


def test_what_stands_in_front_of_what_was_sent_is_told() -> None:
    """As libslirp would give a guest the IP header that a raw socket receives: cut off at the size that was asked."""
    requests = [replace(each, payload=each.payload + bytes(range(52))) for each in REQUESTS]
    replies = [
        replace(each, source=GATEWAY, target=GUEST, source_mac=each.target_mac, first=ECHO_REPLY,
                payload=(b"id" + bytes(14) + b"addr" + each.payload)[: len(each.payload)])
        for each in requests
    ]  # fmt: skip
    found = compared(Ping(3, 0), GATEWAY, [*requests, *replies])
    assert str(found) == ("0 of 3 echo requests answered, 3 replies are wrong, with 20 bytes in front of what was sent")


@pytest.mark.parametrize("passes_bytes", [68, 69, 199, 200, 1280, 1400, 1499])
def test_the_largest_that_passes_is_found_in_three_turns(passes_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each that is too large is waited for, and halving what is left takes ten turns and more."""
    turns: list[list[int]] = []

    def answered(_guest: Any, _address: str, sizes_bytes: Iterable[int]) -> list[int]:
        turns.append([*sizes_bytes])
        return [size for size in turns[-1] if size <= passes_bytes]

    monkeypatch.setattr(icmp, "_sizes_answered", answered)
    guest: Any = object()
    assert icmp.largest_answered(guest, GATEWAY, 1500) == passes_bytes
    assert len(turns) <= 3
    assert max(map(len, turns)) <= icmp.SIZES_AT_ONCE


def test_where_not_even_the_smallest_is_answered_there_is_no_largest(monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[None] = []
    monkeypatch.setattr(icmp, "_sizes_answered", lambda *_: turns.append(None) or [])
    guest: Any = object()
    assert icmp.largest_answered(guest, GATEWAY, 1500) == 0
    assert len(turns) == 1
