"""What is named as a cause has to do with what failed: nothing is asked, or blamed, that the claim does not need."""

from types import SimpleNamespace
from typing import Any

import pytest

from qemunet_tests.claims import load
from qemunet_tests.diagnosis import causes, launch
from qemunet_tests.diagnosis.failure import Failure
from qemunet_tests.diagnosis.lost_frame import bridge_frames, kernel_causes, search
from qemunet_tests.diagnosis.lost_frame.kernel_counters import Drop
from qemunet_tests.errors import Unavailable
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.modes.hubport import HubPort
from qemunet_tests.modes.user import netdev
from qemunet_tests.network.target import Endpoint
from qemunet_tests.observe.capture import TCP, UDP, Packet
from qemunet_tests.observe.lease import Lease, NoLease
from qemunet_tests.qemu.command_line import NetdevRefused
from qemunet_tests.qemu.complaints import Complaints
from qemunet_tests.qemu.netdev import Nic

GRE = 47
NEIGHBOUR, FAR, GATEWAY = "192.168.1.10", "203.0.113.10", "192.168.1.254"
LEASE = Lease("192.168.1.101", 24, GATEWAY, ("192.168.1.254",), GATEWAY, 3600, "")


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
    monkeypatch.setattr(search.probes, "lease_now", lambda _: LEASE)
    monkeypatch.setattr(search, "tap_of", lambda _: "tap0")
    monkeypatch.setattr(search, "link_to", lambda *_: "br0")
    monkeypatch.setattr(search, "_uplinks", lambda _: ["enp0s25"])
    return questions


class Tools:
    """A guest's tools, all of which are spelled as nothing."""

    def __getattr__(self, _: str) -> str:
        return ""


def failed(mode: str, topics: tuple[str, ...], error: BaseException | None = None) -> Any:
    host, neighbour = object(), object()
    target = SimpleNamespace(
        host=host, caller=neighbour, bridge="br0", address="192.168.1.2", names=("www.example",),
        neighbour_echo=Endpoint(NEIGHBOUR, 7007), far_echo=Endpoint(FAR, 7007),
    )  # fmt: skip
    guest = SimpleNamespace(nics=(Nic(netdev()),), macs=("52:54:00:00:00:01",), tools=Tools())
    bench = SimpleNamespace(
        station=SimpleNamespace(ask=None),
        identity=SimpleNamespace(uid=1000),
        guests=[guest],
        qemu=SimpleNamespace(path="q"),
    )
    loose: Any = (mode, bench, target, error or AssertionError("it is not so"))
    return Failure(*loose, topics=topics)


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
        ("bridge/reachable-tcp", [f"TCP connection to the guest at {LEASE.address}"]),
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
                f"TCP connection to the guest at {LEASE.address}",
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


@pytest.mark.parametrize(
    ("mode", "error", "named"),
    [
        ("bridge", NoLease(), False),
        ("tap", AssertionError("two QEMUs do not hear each other"), False),
        ("tap", "qemu-system-x86_64: -netdev tap,id=net0: could not open /dev/net/tun: No such file", False),
        ("vhost-user", "qemu-system-x86_64: -netdev vhost-user,id=net0: chardev \"c\" went down", False),
        ("bridge", "qemu-system-x86_64: -netdev bridge,id=net0,br=br0: bridge helper failed", True),
    ],
)  # fmt: skip
def test_a_helper_that_nobody_called_is_no_cause(mode: str, error: Any, named: bool) -> None:
    def missing(_: Failure) -> Obstacle:
        return Obstacle("the helper does not exist")

    if isinstance(error, str):
        error = NetdevRefused([], 1, error, Complaints(refusal=error), "ended")
    found = causes._where_helper_failed(missing)(failed(mode, (), error))
    assert (found is not None) is named


def packet(kind: int, target: str = NEIGHBOUR, port: int = 7007) -> Packet:
    return Packet("", "", kind, LEASE.address, target, 50000, port, b"", 60)


@pytest.mark.parametrize(
    ("claim", "sent", "ours"),
    [
        ("bridge/reach-lan", packet(TCP), True),
        ("bridge/reach-lan", packet(UDP), True),
        ("bridge/reach-lan", packet(UDP, "224.0.0.251", 5353), False),
        ("bridge/bulk-both-ways", packet(UDP), False),
        ("bridge/other-protocols-pass", packet(GRE), True),
        ("bridge/reachable-tcp", packet(GRE), False),
        ("bridge/full-size-packets", packet(UDP, GATEWAY, 123), False),
        ("bridge/renewal", packet(UDP, GATEWAY, 67), True),
        ("bridge/lease-address", packet(TCP), False),
    ],
)
def test_a_rule_about_other_packets_of_the_guest_is_no_cause(claim: str, sent: Packet, ours: bool) -> None:
    assert bridge_frames._is_of_claim(failed("bridge", load()[claim].diagnosis), sent) is ours


@pytest.mark.parametrize(
    ("counter", "protocol", "to_host", "filters_ipv4", "ours"),
    [
        ("TcpExt.IPReversePathFilter", "tcp", False, False, False),
        ("TcpExt.IPReversePathFilter", "icmp", True, False, True),
        ("nf_conntrack.drop", "tcp", False, False, False),
        ("nf_conntrack.drop", "tcp", False, True, True),
        ("Udp.RcvbufErrors", "tcp", True, False, False),
        ("Udp.RcvbufErrors", "udp", False, False, False),
        ("Udp.RcvbufErrors", "udp", True, False, True),
    ],
)
def test_what_a_bridge_passes_on_meets_no_counter_of_the_host(
    counter: str, protocol: str, to_host: bool, filters_ipv4: bool, ours: bool
) -> None:
    bridge = SimpleNamespace(filters_ipv4=filters_ipv4, port=lambda name: name in ("tap0", "enp0s25"))
    failure: Any = SimpleNamespace(on_lan=True, bridge=lambda: bridge)
    exchange = SimpleNamespace(to_host=to_host, asked=SimpleNamespace(protocol=protocol))
    path: Any = SimpleNamespace(exchange=exchange, places=("the guest's NIC", "tap0", "enp0s25"))
    assert kernel_causes._may_be_ours(failure, path, Drop(counter, 3)) is ours


def test_what_belongs_to_a_backend_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    failure = failed("hubport", ())
    failure.guest.nics = (Nic(HubPort(uplink=netdev())),)
    failure.guest.qemu = SimpleNamespace(process=SimpleNamespace(pid=1))
    words = ["-netdev", "user,id=net0-up", "-netdev", "hubport,id=net0-up-port,hubid=10,netdev=net0-up",
             "-netdev", "hubport,id=net0,hubid=10"]  # fmt: skip
    monkeypatch.setattr(launch.process_table, "words", lambda _: words)
    assert launch.started_otherwise(failure) is None
    monkeypatch.setattr(launch.process_table, "words", lambda _: words[2:])
    assert launch.started_otherwise(failure)


def test_a_service_that_this_host_does_not_know_is_not_asked(asked: list[str]) -> None:
    class Unknown:
        host = caller = object()

        def __getattr__(self, name: str) -> Any:
            raise Unavailable(f"no {name} is known", "name it")

    failure = failed("user", ("reach",))
    object.__setattr__(failure, "target", Unknown())
    assert search._followed.__wrapped__(failure, 0) is None
    assert asked == []
