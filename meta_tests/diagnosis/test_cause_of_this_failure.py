"""What is named as a cause has to do with what failed: nothing is asked, or blamed, that the claim does not need."""

import contextlib
import errno
from types import SimpleNamespace
from typing import Any

import pytest

from qemunet_tests.claims import load
from qemunet_tests.diagnosis import causes, dhcp, launch
from qemunet_tests.diagnosis.failure import Failure
from qemunet_tests.diagnosis.lost_frame import (
    bridge_frames,
    host_side,
    kernel_causes,
    lan_side,
    own_attempt,
    probes,
    routes,
    search,
)
from qemunet_tests.diagnosis.lost_frame.kernel_counters import Drop
from qemunet_tests.errors import Unavailable
from qemunet_tests.host import bridges, nft_ruleset, process_table
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.host.route_lookup import Neighbour
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
    monkeypatch.setattr(probes, "lease_now", lambda _: LEASE)
    monkeypatch.setattr(search, "tap_of", lambda _: "tap0")
    monkeypatch.setattr(search, "link_to", lambda *_: "br0")
    monkeypatch.setattr(search, "_uplinks", lambda _: ["enp0s25"])
    return questions


#: As a guest's kernel lists its sockets (proc(5)): SSH, what a test has put up, and a connection to it.
LISTENING = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 101
   1: 00000000:8707 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 102
   2: 6501A8C0:C707 0A01A8C0:9C40 01 00000000:00000000 00:00000000 00000000     0        0 103"""


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
    guest = SimpleNamespace(
        nics=(Nic(netdev()),), macs=("52:54:00:00:00:01",), tools=Tools(), run=lambda _: SimpleNamespace(text=LISTENING)
    )
    bench = SimpleNamespace(
        station=SimpleNamespace(ask=None),
        identity=SimpleNamespace(uid=1000),
        guests=[guest],
        qemu=SimpleNamespace(path="q"),
    )
    made: Any = Failure
    return made(mode, bench, target, error or AssertionError("it is not so"), topics=topics)


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
    monkeypatch.setattr(process_table, "words", lambda _: words)
    assert launch.started_otherwise(failure) is None
    monkeypatch.setattr(process_table, "words", lambda _: words[2:])
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


@pytest.mark.parametrize(
    ("claim", "error", "named"),
    [
        # Nobody listens there by TCP: a datagram meets somebody else, or nobody.
        ("user/reach-outside-udp", ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), None),
        ("user/reach-outside-tcp", ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), "nobody listens"),
        ("user/reach-outside-udp", TimeoutError(errno.ETIMEDOUT, "timed out"), None),
        ("user/reach-outside-udp", OSError(errno.ENETUNREACH, "Network is unreachable"), "Network is unreachable"),
        ("user/reach-outside-tcp", None, None),
    ],
)
def test_what_becomes_of_a_connection_tells_nothing_of_datagrams(
    claim: str, error: OSError | None, named: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = own_attempt.OwnAttempt(error)
    monkeypatch.setattr(own_attempt, "connect", lambda *_: tried)
    monkeypatch.setattr(lan_side, "next_hop", lambda *_: None)
    failure = failed("user", load()[claim].diagnosis)
    object.__setattr__(failure.target, "host", SimpleNamespace(ask=None))
    found = lan_side.outside_unreachable(failure)
    assert (found is None) == (named is None)
    assert found is None or (named is not None and named in found.reason)


@pytest.mark.parametrize(
    ("claim", "gone", "named"),
    [
        ("bridge/reach-lan", False, True),
        # The neighbour pings, and its service is none of the claim's business.
        ("bridge/icmp", False, False),
        ("bridge/icmp", True, True),
        ("bridge/other-protocols-pass", False, False),
    ],
)
def test_a_neighbours_service_is_no_cause_where_nobody_calls_it(
    claim: str, gone: bool, named: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = own_attempt.OwnAttempt(ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"))
    monkeypatch.setattr(own_attempt, "connect", lambda *_: tried)
    mac = None if gone else "52:54:00:00:00:02"
    monkeypatch.setattr(lan_side, "next_hop", lambda *_: Neighbour(NEIGHBOUR, "br0", mac, False, gone))
    failure = failed("bridge", load()[claim].diagnosis)
    object.__setattr__(failure.target, "host", SimpleNamespace(ask=None))
    assert (lan_side.neighbour_unreachable(failure) is not None) is named
    assert (lan_side.caller_unreachable(failure) is not None) is gone


@pytest.mark.parametrize("answered", [True, False])
def test_an_entry_written_by_hand_that_is_right_is_no_cause(answered: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    by_hand = Neighbour(NEIGHBOUR, "br0", "52:54:00:00:00:02", True, False)
    monkeypatch.setattr(routes, "next_hop", lambda *_: by_hand)
    monkeypatch.setattr(routes, "ping", lambda *_, **__: SimpleNamespace(received=0))
    error = None if answered else TimeoutError("timed out")
    monkeypatch.setattr(own_attempt, "connect", lambda *_: own_attempt.OwnAttempt(error))
    assert (routes.wrong_neighbour(failed("user", ("reach-lan", "tcp"))) is None) is answered


@pytest.mark.parametrize(("claim", "named"), [("bridge/host-reaches-guest", True), ("bridge/reach-lan", False)])
def test_an_address_on_a_port_is_in_the_way_of_the_host_alone(
    claim: str, named: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    up0 = SimpleNamespace(name="enp0s25", has_routes=True)
    monkeypatch.setattr(bridges, "read", lambda: (SimpleNamespace(name="br0", uplinks=(up0,)),))
    failure = failed("bridge", load()[claim].diagnosis)
    failure.bench.station.entered = contextlib.nullcontext
    assert (routes.address_on_port(failure) is not None) is named


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
    path = SimpleNamespace(complete=False, exchange=SimpleNamespace(question=probes.DHCP), gap=gap, unheard=())
    monkeypatch.setattr(search, "incomplete_path", lambda _: path)
    monkeypatch.setattr(dhcp, "listeners", lambda _: [SimpleNamespace(link="br0")])
    monkeypatch.setattr(dhcp, "stops", lambda *_: [])
    failure = failed("bridge", ("lease",))
    object.__setattr__(failure.target, "host", SimpleNamespace(ask=None))
    assert (dhcp.own_server_kept_out(failure) is None) is (gap is not None)


@pytest.mark.parametrize(
    ("claim", "leased", "named"),
    [
        ("bridge/reach-lan", True, True),
        ("bridge/lease-address", False, True),
        # Two guests, or a guest and its host, meet on the bridge itself.
        ("bridge/two-guests", True, False),
        ("bridge/host-reaches-guest", True, False),
    ],
)
def test_an_uplink_is_missed_by_those_who_need_it(
    claim: str, leased: bool, named: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    bridge = SimpleNamespace(name="br0", uplinks=())
    monkeypatch.setattr(Failure, "bridge", lambda *_: bridge)
    monkeypatch.setattr(Failure, "lan_lease", LEASE if leased else None)
    monkeypatch.setattr(host_side, "addresses", lambda *_: [])
    monkeypatch.setattr(host_side, "listeners", lambda _: [])
    monkeypatch.setattr(nft_ruleset, "read", lambda _: None)
    failure = failed("bridge", load()[claim].diagnosis)
    object.__setattr__(failure.target, "host", SimpleNamespace(ask=None))
    assert (host_side.no_uplink(failure) is not None) is named
