"""What is named as a cause has to do with what failed: nothing is asked, or blamed, that the claim does not need."""

import contextlib
import errno
from types import SimpleNamespace
from typing import Any

import pytest

from meta_tests.samples.failed_claim import GATEWAY, LEASE, NEIGHBOUR, failed
from qemunet_tests.claims import load
from qemunet_tests.diagnosis import causes, launch
from qemunet_tests.diagnosis.failure import Failure
from qemunet_tests.diagnosis.lost_frame import (
    bridge_frames,
    host_side,
    kernel_causes,
    lan_side,
    own_attempt,
    routes,
    told_by_icmp,
)
from qemunet_tests.diagnosis.lost_frame.kernel_counters import Drop
from qemunet_tests.host import bridges, flow_lookup, nft_ruleset, process_table
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.host.route_lookup import Neighbour
from qemunet_tests.modes.hubport import HubPort
from qemunet_tests.modes.user import netdev
from qemunet_tests.observe.capture import TCP, UDP, Packet
from qemunet_tests.observe.lease import NoLease
from qemunet_tests.qemu.command_line import NetdevRefused
from qemunet_tests.qemu.complaints import Complaints
from qemunet_tests.qemu.netdev import Nic

GRE = 47


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
    monkeypatch.setattr(told_by_icmp, "rejection", lambda *_: None)
    monkeypatch.setattr(flow_lookup, "handed_to", lambda *_: None)
    failure = failed("user", load()[claim].diagnosis)
    object.__setattr__(failure.target, "host", failure.bench.station)
    found = lan_side.outside_unreachable(failure)
    assert (found is None) == (named is None)
    assert found is None or (named is not None and named in found.reason)


@pytest.mark.parametrize(
    ("told", "named"),
    [
        # A reset may be the machine's or a firewall's.
        (None, ("nobody listens", "or a firewall")),
        (told_by_icmp.Rejection("192.168.50.7", "port unreachable"), ("192.168.50.7 rejects", "of its firewall")),
        (told_by_icmp.Rejection("192.168.50.2", "host prohibited"), ("this host itself rejects",)),
    ],
)
def test_who_rejects_by_icmp_has_a_firewall(
    told: told_by_icmp.Rejection | None, named: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = own_attempt.OwnAttempt(ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"))
    monkeypatch.setattr(own_attempt, "connect", lambda *_: refused)
    monkeypatch.setattr(told_by_icmp, "rejection", lambda *_: told)
    monkeypatch.setattr(lan_side, "own_addresses", lambda _: {"192.168.50.2": "br0"})
    failure = failed("user", load()["user/reach-outside-tcp"].diagnosis)
    object.__setattr__(failure.target, "host", SimpleNamespace(ask=None))
    found = lan_side.outside_unreachable(failure)
    assert found is not None
    assert all(words in found.reason for words in named)


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
    monkeypatch.setattr(told_by_icmp, "rejection", lambda *_: None)
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


@pytest.mark.parametrize(
    ("topics", "error", "remembered"),
    [
        (("reach", "tcp"), AssertionError("nobody answers"), True),
        ((), NoLease(), True),
        # Of what QEMU refused the next may be refused for another reason, which is looked at first.
        (("reach", "tcp"), NetdevRefused([], 1, "refused", Complaints(refusal="refused"), "ended"), False),
        (("acl",), AssertionError("no"), False),
    ],
)
def test_a_cause_that_was_found_is_looked_at_first_where_the_next_breaks_alike(
    topics: tuple[str, ...], error: BaseException, remembered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []

    def first(_: Failure) -> None:
        looked.append("first")

    def second(_: Failure) -> Obstacle:
        looked.append("second")
        return Obstacle("it is off")

    class Target:
        """Somebody at whom causes are found."""

    target = Target()
    monkeypatch.setattr(causes, "SPECIAL", dict.fromkeys(causes.SPECIAL, (first, second)))
    monkeypatch.setattr(causes, "PATH", (first, second))
    monkeypatch.setattr(Failure, "of", lambda mode, _, error, topics: failed(mode, topics, error, target))
    claim: Any = SimpleNamespace(mode="user", diagnosis=topics)
    for _ in range(2):
        assert causes.cause_of(claim, {}, error)
    assert looked == ["first", "second", *([] if remembered else ["first"]), "second"]
