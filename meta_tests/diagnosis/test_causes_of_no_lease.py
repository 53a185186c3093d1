"""Why a guest is without its lease: what is named has to do with that, and nobody waits twice for the same."""

from types import SimpleNamespace
from typing import Any

import pytest

from meta_tests.samples.failed_claim import failed
from qemunet_tests import timeouts
from qemunet_tests.diagnosis import dhcp
from qemunet_tests.diagnosis.lost_frame import probes, search
from qemunet_tests.host import nft_ruleset


@pytest.mark.parametrize(
    ("messages", "named"), [(["discover", "offer"], True), (["discover", "offer", "request"], False)]
)
def test_an_offer_that_the_guest_has_taken_is_not_spoilt(
    messages: list[str], named: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dhcp, "lease_now", lambda _: None)
    monkeypatch.setattr(dhcp, "checksums_of_offers", lambda _: ["unfinished"])
    monkeypatch.setattr(dhcp, "dhcp_messages", lambda _: messages)
    assert (dhcp.spoilt_on_the_way(failed("bridge", ("lease",))) is not None) is named


@pytest.mark.parametrize("gap", [None, ("tap0", "br0", False)])
def test_a_server_of_this_host_is_not_to_blame_for_what_it_did_not_get(
    gap: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = SimpleNamespace(question=probes.DHCP)
    path = SimpleNamespace(complete=False, exchange=asking, gap=gap, unheard=(), counted={})
    monkeypatch.setattr(search, "incomplete_path", lambda _: path)
    monkeypatch.setattr(dhcp, "listeners", lambda _: [SimpleNamespace(link="br0")])
    monkeypatch.setattr(nft_ruleset, "read", lambda _: None)
    failure = failed("bridge", ("lease",))
    object.__setattr__(failure.target, "host", SimpleNamespace(ask=None))
    assert (dhcp.own_server_kept_out(failure) is None) is (gap is not None)


class LateOffers:
    """Guests that ask one after another: how late each of them was offered an address, in seconds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *delays_seconds: float | None) -> None:
        self.waits, self._delays = 0, delays_seconds
        self._offered: float | None = None
        monkeypatch.setattr(dhcp, "_unanswered", lambda _: object())
        monkeypatch.setattr(dhcp, "_may_be_late", lambda _: True)
        monkeypatch.setattr(dhcp, "_wait_for_late_offer", self.wait)
        monkeypatch.setattr(dhcp, "seconds_to_offer", lambda _: self._offered)

    def wait(self, _: Any) -> None:
        self._offered = self._delays[self.waits]
        self.waits += 1

    def next_guest(self) -> None:
        self._offered = None


@pytest.mark.parametrize(("delay_seconds", "named"), [(25.0, True), (None, False)])
def test_a_late_offer_is_waited_for_once(
    delay_seconds: float | None, named: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    offers = LateOffers(monkeypatch, delay_seconds)
    # A target that can be told from others, as a real one can.
    failure = failed("bridge", ("lease",), target=Target())
    first = dhcp.slow_server(failure)
    offers.next_guest()
    second = dhcp.slow_server(failure)
    assert offers.waits == 1
    assert [each is not None for each in (first, second)] == [named, named]
    if first and second:
        assert first.reason.startswith("the DHCP server answers only 25 s after the guest's first request")
        assert second.reason.startswith("the DHCP server answers only 25 s after the first request of a guest before")
    # Another network has servers of its own.
    other = LateOffers(monkeypatch, None)
    assert dhcp.slow_server(failed("bridge", ("lease",), target=Target())) is None
    assert other.waits == 1


@pytest.mark.parametrize(("delay_seconds", "named"), [(25.0, True), (12.0, False)])
def test_no_machine_is_so_busy_that_a_server_has_nothing_to_do_with_its_delay(
    delay_seconds: float, named: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    LateOffers(monkeypatch, delay_seconds)
    monkeypatch.setattr(timeouts, "crowding", lambda: 10.0)
    found = dhcp.slow_server(failed("bridge", ("lease",), target=Target()))
    assert (found is not None) is named


class Target:
    """Somebody whose servers are waited for."""
