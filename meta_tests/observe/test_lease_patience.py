"""How long a guest is waited for that asks for a lease."""

from typing import Any, cast

import pytest

from qemunet_tests.guest.guest import Guest
from qemunet_tests.observe import lease as leases
from qemunet_tests.observe.lease import LEASE_SECONDS, LOOKS, lease

GIVEN = "ip=10.0.2.15\nmask=24\n"


class AskingGuest:
    """Says what it has whenever it is asked, and how often it was."""

    def __init__(self, *said: str | None) -> None:
        self.said, self.waits = list(said), list[float]()

    def await_lease(self, nic: int, within_seconds: float) -> str | None:
        assert nic == 0
        self.waits.append(within_seconds)
        return self.said.pop(0) if self.said else None


def waited(
    guest: AskingGuest, messages: list[str], monkeypatch: pytest.MonkeyPatch, seconds: float = LEASE_SECONDS
) -> Any:
    monkeypatch.setattr(leases, "dhcp_messages", lambda *_: messages)
    monkeypatch.setattr(leases, "turns", lambda wait_seconds, again: iter([wait_seconds]))
    return lease(cast(Guest, guest), 0, seconds)


def test_the_patience_is_the_same_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    guest = AskingGuest()
    assert waited(guest, ["discover"], monkeypatch) is None
    assert len(guest.waits) == LOOKS
    assert sum(guest.waits) == pytest.approx(LEASE_SECONDS)


@pytest.mark.parametrize(
    ("messages", "looks"),
    [
        (["discover"] * 8, 1),
        (["discover"] * 7, LOOKS),
        (["discover"] * 8 + ["offer"], LOOKS),
        (["discover", *["offer", "request"] * 8], 1),
        (["discover", *["offer", "request"] * 7], LOOKS),
        (["discover", *["offer", "request"] * 8, "ack"], LOOKS),
        (["discover", "offer", "request", "nak"] * 3, 1),
        (["discover", "offer", "request", "nak"] * 2, LOOKS),
        (["discover", "offer", "request", "nak"] * 3 + ["ack"], LOOKS),
    ],
)
def test_who_asks_in_vain_is_not_waited_for(messages: list[str], looks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    guest = AskingGuest()
    assert waited(guest, messages, monkeypatch) is None
    assert len(guest.waits) == looks


def test_a_late_one_that_is_expected_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    guest = AskingGuest()
    assert waited(guest, ["discover"] * 30, monkeypatch, seconds=60.0) is None
    assert guest.waits == [60.0]


def test_what_comes_in_a_later_piece_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    got = waited(AskingGuest(None, None, GIVEN), ["discover"], monkeypatch)
    assert got.interface == "10.0.2.15/24"
