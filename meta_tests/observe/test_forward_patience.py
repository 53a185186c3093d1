"""A UDP forward that is not answered: what is seen of it decides, and one datagram that is lost decides nothing."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from qemunet_tests.conformance import test_user_hostfwd as tried

GUEST, LOOPBACK, GATEWAY = "10.0.2.15", "127.0.0.1", "10.0.2.2"
ANSWERED, SILENT = SimpleNamespace(right=True, trouble=""), SimpleNamespace(right=False, trouble="no answer")


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Tries the claim where the host's later calls are answered so, and seen at the guest's NIC from these addresses.

    Returns the deviations that the test tells of.
    """

    def judge(*later: tuple[SimpleNamespace, tuple[str, ...]]) -> list[str]:
        told: list[str] = []
        left, seen = list(later), iter(later)
        answers = iter([ANSWERED, ANSWERED, *(answer for answer, _ in left)])

        def capture(_: object) -> SimpleNamespace:
            _, sources = next(seen)
            packets = [SimpleNamespace(source=each, target=GUEST, second=tried.SERVICE) for each in sources]
            return SimpleNamespace(packets=lambda: packets)

        monkeypatch.setattr(tried, "lease_of", lambda _: SimpleNamespace(address=GUEST))
        monkeypatch.setattr(tried, "put_up", lambda *_: None)
        monkeypatch.setattr(tried, "read_at", lambda *_: next(answers))
        monkeypatch.setattr(tried, "GuestCapture", capture)
        claim: Any = SimpleNamespace(sees=lambda _: None, deviates=lambda **words: told.append(words["name"]))
        network: Any = SimpleNamespace(host=None, caller=None, address="192.168.1.2")
        tried.test_datagrams_pass_a_udp_forward(lambda _: None, network, claim)
        return told

    return judge


KNOWN = ["loopback-shown-after-the-lan"]


@pytest.mark.parametrize(
    ("later", "told"),
    [
        ([(ANSWERED, (GATEWAY,))], []),
        ([(SILENT, (LOOPBACK, LOOPBACK))], KNOWN),
        ([(SILENT, (GATEWAY,)), (ANSWERED, (GATEWAY,))], []),
        ([(SILENT, (GATEWAY, LOOPBACK)), (SILENT, (LOOPBACK,))], KNOWN),
        ([(SILENT, ()), (SILENT, ()), (SILENT, (LOOPBACK,))], KNOWN),
    ],
)
def test_one_round_that_tells_nothing(judge: Callable[..., list[str]], later: list[Any], told: list[str]) -> None:
    assert judge(*later) == told


def test_who_is_never_answered_though_he_is_seen_as_the_gateway(judge: Callable[..., list[str]]) -> None:
    with pytest.raises(AssertionError, match=r"no answer, 3 times, to 10\.0\.2\.2"):
        judge(*[(SILENT, (GATEWAY,))] * 3)
