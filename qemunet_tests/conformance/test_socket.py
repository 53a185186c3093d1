"""What is promised of `-netdev socket`: peers at the ends of real backends, and no guest."""

import pytest

from qemunet_tests.conformance.promises import promise
from qemunet_tests.conformance.refusals import assert_not_started_or_known, assert_refused, spelled
from qemunet_tests.guest.peer_frames import frame_of, hear_each_other
from qemunet_tests.modes.socket import pair
from qemunet_tests.observe.carried_frames import STRANGER, exchanged, hear_of_a_broadcast, others_that_hear, passes
from qemunet_tests.observe.frame_sockets import accepted, called, calls_again, datagrams, listening
from qemunet_tests.observe.oversized_frames import after_a_frame_too_large
from qemunet_tests.qemu.netdev import SpelledNetdev

ONE = "exactly one of listen=, connect=, mcast= or udp= is required"


@pytest.mark.parametrize(
    "messages",
    [
        promise("socket/exactly-one", {"": ONE, "listen=127.0.0.1:7490,connect=127.0.0.1:7491": ONE}),
        promise(
            "socket/address-syntax",
            {
                "listen=7490": "host address '7490' doesn't contain ':' separating host from port",
                "connect=127.0.0.1:http": "port number 'http' is invalid",
            },
        ),
        promise(
            "socket/udp-bad",
            {
                "udp=127.0.0.1:7490": "localaddr= is mandatory with udp=",
                "listen=127.0.0.1:7490,localaddr=127.0.0.1": "localaddr= is only valid with mcast= or udp=",
            },
        ),
        promise(
            "socket/not-multicast",
            {"mcast=192.0.2.4:7490": "specified mcastaddr 192.0.2.4 (0xc0000204) does not contain a multicast address"},
        ),
    ],
)
def test_what_cannot_be_is_refused(bench, target, claim, messages):  # noqa: ARG001
    assert_refused(bench, claim, "socket", messages)


@pytest.mark.claim("socket/ipv6")
def test_two_qemus_meet_by_ipv6(bench, target, claim):
    alone = bench.attempt("-netdev", spelled("socket", f"listen=[::1]:{target.host.free_port('tcp', 7400)}"))
    claim.sees("QEMU starts" if alone.started else alone.complaints.refusal.rpartition(": ")[2])
    if not alone.started:
        assert "can't resolve host address '['" in claim.observed, str(alone.complaints)
        claim.deviates()


@pytest.mark.claim("socket/udp")
def test_every_datagram_is_a_frame(attach_peer, target, claim):
    own, other = (target.host.free_port("udp", 7400) for _ in range(2))
    peer = attach_peer(SpelledNetdev("socket", (f"udp=127.0.0.1:{other}", f"localaddr=127.0.0.1:{own}")))
    with datagrams(target.host, other, own) as end:
        claim.sees(exchanged(peer, end))
    assert claim.observed == claim.expected, f"by UDP frames pass {claim.observed}"


@pytest.mark.claim("socket/framing")
def test_every_frame_stands_behind_its_length(attach_peer, target, claim):
    port = target.host.free_port("tcp", 7400)
    with listening(target.host, port) as server:
        peer = attach_peer(pair(port)[0])
        with accepted(server) as end:
            claim.sees(exchanged(peer, end, 1514))
    assert claim.observed == claim.expected, f"frames behind their length pass {claim.observed}"


@pytest.mark.claim("socket/interoperates")
def test_socket_and_stream_talk_to_each_other(attach_peer, target, claim):
    port = target.host.free_port("tcp", 7400)
    caller = SpelledNetdev("stream", ("server=off", "addr.type=inet", "addr.host=127.0.0.1", f"addr.port={port}"))
    # Each of a QEMU of its own: one QEMU makes stream backends before socket's, and who calls too early does not call
    # again (net_init_clients, net/net.c).
    far, near = attach_peer(pair(port)[1]), attach_peer(caller)
    near.mac = "52:54:00:70:65:0a"
    hear_each_other(near, far)
    ways = {"out": passes(near, far), "back": passes(far, near)}
    claim.sees(" and ".join(way for way, did in ways.items() if did) or "neither way")
    assert claim.observed == claim.expected, f"between socket and stream frames pass {claim.observed}"


@pytest.mark.claim("socket/lost-peer")
def test_who_listens_takes_the_next_and_who_calls_does_not_call_again(attach_peer, target, claim):
    port, other = (target.host.free_port("tcp", 7400) for _ in range(2))
    listener = attach_peer(pair(port)[1])
    with called(target.host, port) as first:
        exchanged(listener, first)
    with called(target.host, port) as second:
        next_one = exchanged(listener, second)
    with listening(target.host, other) as server:
        caller = attach_peer(pair(other)[0])
        with accepted(server) as end:
            exchanged(caller, end)
        claim.sees(f"the next: {next_one}; {calls_again(server)}")
    assert claim.observed == claim.expected, f"when the other end has gone: {claim.observed}"


@pytest.mark.claim("socket/oversize")
def test_a_frame_too_large_ends_the_connection_and_not_qemu(attach_peer, target, claim):
    port = target.host.free_port("tcp", 7400)
    peer = attach_peer(pair(port)[1])
    claim.sees(after_a_frame_too_large(peer, target.host, port))
    assert claim.observed == claim.expected, f"a caller who sends a length of a megabyte: {claim.observed}"


@pytest.mark.claim("socket/multicast")
def test_a_multicast_group_is_a_bus(bench_peers, lab, claim):
    bus = SpelledNetdev("socket", (f"mcast=239.192.0.7:{lab.host.free_port('udp', 7400)}",))
    claim.sees(f"{others_that_hear(bench_peers([bus] * 3))} of 2 others hear")
    assert claim.observed == claim.expected, f"on the bus {claim.observed}"


@pytest.mark.claim("socket/multicast-echo")
def test_a_member_does_not_hear_itself(bench_peers, lab, claim):
    bus = SpelledNetdev("socket", (f"mcast=239.192.0.7:{lab.host.free_port('udp', 7400)}",))
    claim.sees(hear_of_a_broadcast(bench_peers([bus] * 2)))
    if claim.observed != claim.expected:
        assert claim.observed == claim.expected.replace("0 times", "1 times"), f"on the bus {claim.observed}"
        claim.deviates(name="echoed")


@pytest.mark.claim("socket/connect-refused")
def test_who_calls_nobody_does_not_start(bench, target, claim):
    port = target.host.free_port("tcp", 7400)
    assert_not_started_or_known(bench, claim, "socket", f"connect=127.0.0.1:{port}", "goes-on")


@pytest.mark.claim("socket/link-waits")
def test_nothing_is_kept_for_who_has_not_called(attach_peer, target, claim):
    port = target.host.free_port("tcp", 7400)
    peer = attach_peer(pair(port)[1])
    peer.wire.put(frame_of(peer.mac, STRANGER, 60))
    peer.qemu.monitor.execute("query-status")
    with called(target.host, port) as end:
        early = end.take(0.2)
        claim.sees(f"{'something' if early else 'nothing'} of before; then {exchanged(peer, end)}")
    assert claim.observed == claim.expected, f"where nobody has called: {claim.observed}"
