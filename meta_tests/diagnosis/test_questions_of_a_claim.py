"""What is asked when a claim has broken: nothing that it does not need, and no longer than it takes to be sure."""

from types import SimpleNamespace
from typing import Any

import pytest

from meta_tests.samples.failed_claim import FAR, GATEWAY, LEASE, NEIGHBOUR, failed
from qemunet_tests.claims import load
from qemunet_tests.diagnosis import causes
from qemunet_tests.diagnosis.lost_frame import own_attempt, probes, search
from qemunet_tests.diagnosis.lost_frame.frame_path import FramePath
from qemunet_tests.errors import Unavailable
from qemunet_tests.host import flow_lookup
from qemunet_tests.network.target import Endpoint
from qemunet_tests.timeouts import turns


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The questions that are put by `followed`, in words; every one of them is answered."""
    questions: list[str] = []

    def ask(_failure: Any, _guest: Any, exchange: Any, *_: Any) -> Any:
        questions.append(exchange.question)
        return SimpleNamespace(complete=True)

    monkeypatch.setattr(search, "_asked", ask)
    monkeypatch.setattr(search, "_runs", lambda _: True)
    monkeypatch.setattr(search, "lease_now", lambda _: LEASE)
    monkeypatch.setattr(probes, "lease_now", lambda _: LEASE)
    monkeypatch.setattr(search, "tap_of", lambda _: "tap0")
    monkeypatch.setattr(flow_lookup, "link_of", lambda *_: "br0")
    monkeypatch.setattr(flow_lookup, "divided", lambda *_: None)
    monkeypatch.setattr(search, "_uplinks", lambda _: ["enp0s25"])
    return questions


@pytest.mark.parametrize(
    ("claim", "questions"),
    [
        # The address is not the one that passt was told: who is reached by that guest has nothing to do with it.
        ("passt/guest-address", []),
        ("user/gateway", []),
        ("user/traceroute", []),
        ("user/reach-lan-tcp", [f"TCP connection to {NEIGHBOUR}:7007"]),
        ("user/reach-outside-udp", [f"UDP datagram to {FAR}:7007"]),
        ("passt/reach-lan", [f"TCP connection to {NEIGHBOUR}:7007", f"UDP datagram to {NEIGHBOUR}:7007"]),
        ("user/bulk-both-ways", [f"TCP connection to {NEIGHBOUR}:7007"]),
        ("bridge/lease-gateway", []),
        ("bridge/mac-unique", []),
        ("bridge/two-guests", []),
        (
            "bridge/reach-lan",
            [
                f"ARP request for {NEIGHBOUR}",
                f"TCP connection to {NEIGHBOUR}:7007",
                f"UDP datagram to {NEIGHBOUR}:7007",
            ],
        ),
        (
            "bridge/reach-outside",
            [f"ARP request for {GATEWAY}", f"TCP connection to {FAR}:7007", f"UDP datagram to {FAR}:7007"],
        ),
        ("bridge/other-protocols-pass", [f"ARP request for {NEIGHBOUR}"]),
        ("bridge/reachable-ping", [f"echo request to the guest at {LEASE.address}"]),
        ("bridge/reachable-tcp", [f"TCP connection to the guest at {LEASE.address}:34567"]),
        ("bridge/reachable-ssh", [f"TCP connection to the guest at {LEASE.address}:22"]),
        (
            "bridge/full-size-packets",
            [f"ARP request for {GATEWAY}", f"echo request to {GATEWAY}", f"full-size echo request to {GATEWAY}"],
        ),
        (
            "bridge/host-reaches-guest",
            [
                "ARP request for 192.168.1.2",
                "echo request to 192.168.1.2",
                f"echo request to the guest at {LEASE.address}",
                f"TCP connection to the guest at {LEASE.address}:34567",
            ],
        ),
    ],
)
def test_of_a_guest_with_its_lease_is_asked_what_the_claim_needs(
    claim: str, questions: list[str], asked: list[str]
) -> None:
    failure = failed(claim.partition("/")[0], load()[claim].diagnosis)
    assert search._followed.__wrapped__(failure, 0) is None
    assert asked == questions


def test_who_names_no_packets_is_about_all() -> None:
    assert all(search.is_about(failed("user", ("reach",)), packets) for packets in search.PACKETS)
    assert set(causes.SPECIAL) >= search.PACKETS | set(search.SERVICES)


def test_a_service_that_this_host_does_not_know_is_not_asked(asked: list[str]) -> None:
    class Unknown:
        host = caller = object()

        def __getattr__(self, name: str) -> Any:
            raise Unavailable(f"no {name} is known", "name it")

    failure = failed("user", ("reach",))
    object.__setattr__(failure, "target", Unknown())
    assert search._followed.__wrapped__(failure, 0) is None
    assert asked == []


@pytest.mark.parametrize(
    ("asked_at", "unheard", "times"),
    [((3, 3), (), 1), ((3,), ("br0",), 1), ((2, 0), ("up0",), 2), ((2, 2), (), 2), ((2,), ("br0",), 2)],
)
def test_what_was_asked_three_times_in_vain_is_not_asked_again(
    asked_at: tuple[int, ...], unheard: tuple[str, ...], times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever may listen at his guest alone sees there that no answer came."""
    exchange: Any = SimpleNamespace(question="TCP connection", provoke=lambda: None)
    path = FramePath(exchange, ("NIC", "br0")[: len(asked_at)], asked_at, (0,) * len(asked_at), (), unheard, 60)
    asked: list[None] = []
    monkeypatch.setattr(search, "follow", lambda *_, **__: asked.append(None) or path)
    failure = failed("user", ("reach", "tcp"))
    assert search._asked(failure, failure.guest, exchange, [], []) is path
    assert len(asked) == times


def test_the_host_itself_calls_once_where_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its kernel asks again by itself."""
    patience: list[float] = []

    def call(_address: str, _port: int, within_seconds: float) -> None:
        patience.extend(turns(within_seconds))
        raise TimeoutError("timed out")

    monkeypatch.setattr(own_attempt, "_unsent", lambda *_: None)
    host: Any = SimpleNamespace(connect=call)
    assert own_attempt.connect(host, Endpoint(FAR, 7007)).words == "timed out"
    assert len(patience) == 1
