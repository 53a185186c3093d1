"""What is promised of L2TPv3 tunnels: peers at the ends of real backends, and no guest."""

import pytest

from qemunet_tests.conformance.promises import promise
from qemunet_tests.conformance.refusals import assert_refused
from qemunet_tests.guest.peer_frames import frame_of, hear_each_other
from qemunet_tests.modes import l2tpv3
from qemunet_tests.observe.carried_frames import STRANGER, arrives, exchanged, passes
from qemunet_tests.observe.frame_sockets import datagrams
from qemunet_tests.observe.tunnel_end import TunnelSocket

ENDS, PORTS = "src=127.0.0.1,dst=127.0.0.1", "srcport=7590,dstport=7591"
#: As QEMU 7.2 and as QEMU 11.1 says it.
NOT_OURS = ("could not bind socket err=99", "could not bind socket: Cannot assign requested address")
BOTH_PORTS = "need both src and dst port for udp"
BOTH_COOKIES = "require both 'rxcookie' and 'txcookie' or neither"


@pytest.mark.parametrize(
    "messages",
    [
        promise(
            "l2tpv3/ports-needed",
            {
                f"{ENDS},udp=on,txsession=1,srcport=7590": BOTH_PORTS,
                f"{ENDS},udp=on,txsession=1,dstport=7591": BOTH_PORTS,
            },
        ),
        promise(
            "l2tpv3/needed",
            {
                f"{ENDS},udp=on,{PORTS}": "Parameter 'txsession' is missing",
                f"src=127.0.0.1,udp=on,{PORTS},txsession=1": "Parameter 'dst' is missing",
            },
        ),
        promise(
            "l2tpv3/cookie-pair",
            {
                f"{ENDS},udp=on,{PORTS},txsession=1,rxcookie=7": BOTH_COOKIES,
                f"{ENDS},udp=on,{PORTS},txsession=1,txcookie=7": BOTH_COOKIES,
            },
        ),
        promise(
            "l2tpv3/own-address",
            {f"src=192.0.2.77,dst=127.0.0.1,udp=on,{PORTS},txsession=1": NOT_OURS},
        ),
    ],
)
def test_what_cannot_be_is_refused(bench, claim, messages):
    assert_refused(bench, claim, "l2tpv3", messages)


@pytest.mark.parametrize(
    ("options", "header", "size_bytes"),
    [
        promise("l2tpv3/header", (), {}, 1514),
        promise("l2tpv3/offset", ("offset=12",), {"offset_bytes": 12}, 60),
        promise("l2tpv3/jumbo", (), {}, 9014),
        promise("l2tpv3/ipv6", ("ipv6=on",), {}, 60),
    ],
)
def test_frames_stand_behind_their_header(attach_peer, target, claim, options, header, size_bytes):
    address = "::1" if "ipv6=on" in options else "127.0.0.1"
    near, _ = l2tpv3.tunnel(target.host, *options, address=address)
    peer = attach_peer(near)
    with datagrams(target.host, near.destination_port, near.source_port, address) as own:
        ways = exchanged(peer, TunnelSocket(own, 1, 2, **header), size_bytes)
    claim.sees(f"{size_bytes} bytes {ways}" if size_bytes > 1514 else ways)
    assert claim.observed == claim.expected, f"frames of a tunnel pass {claim.observed}"


@pytest.mark.parametrize(
    ("options", "own", "other"),
    [
        promise("l2tpv3/session", (), {}, {"rx_session": 3}),
        promise(
            "l2tpv3/cookie-32",
            ("rxcookie=2", "txcookie=1"),
            {"cookies": (b"\0\0\0\1", b"\0\0\0\2")},
            {"cookies": (b"\0\0\0\1", b"\0\0\0\3")},
        ),
        promise(
            "l2tpv3/cookie-64",
            ("cookie64=on", "rxcookie=2", "txcookie=1"),
            {"cookies": (bytes(7) + b"\1", bytes(7) + b"\2")},
            {"cookies": (bytes(7) + b"\1", bytes(7) + b"\3")},
        ),
    ],
)
def test_what_is_not_the_tunnels_is_dropped(attach_peer, target, claim, options, own, other):
    near, _ = l2tpv3.tunnel(target.host, *options)
    peer = attach_peer(near)
    frame = frame_of(STRANGER, peer.mac, 60)
    with datagrams(target.host, near.destination_port, near.source_port) as socket:
        ways = exchanged(peer, TunnelSocket(socket, 1, **{"rx_session": 2, **own}))
        TunnelSocket(socket, 1, **{"rx_session": 2, **other}).put(frame)
        claim.sees(f"its own: {ways}; another: {'taken' if arrives(peer, frame, 0.3) else 'dropped'}")
    assert claim.observed == claim.expected, f"of the frames that come {claim.observed}"


@pytest.mark.claim("l2tpv3/session-default")
def test_the_session_that_is_sent_is_received(attach_peer, target, claim):
    port, other = (target.host.free_port("udp", 7500) for _ in range(2))
    peer = attach_peer(l2tpv3.TunnelEnd(port, other, 7))
    with datagrams(target.host, other, port) as socket:
        claim.sees(exchanged(peer, TunnelSocket(socket, 7, 7)))
    assert claim.observed == claim.expected, f"frames of one session pass {claim.observed}"


@pytest.mark.parametrize(
    "options",
    [promise("l2tpv3/counter", ("counter=on",)), promise("l2tpv3/pincounter", ("counter=on", "pincounter=on"))],
)
def test_frames_are_numbered(attach_peer, target, claim, options):
    near, _ = l2tpv3.tunnel(target.host, *options)
    peer = attach_peer(near)
    with datagrams(target.host, near.destination_port, near.source_port) as socket:
        end = TunnelSocket(socket, 1, 2, counter=100)
        ways = {exchanged(peer, end) for _ in range(2)}
    claim.sees(f"{', '.join(sorted(ways))}, numbers {', '.join(map(str, end.numbers))}")
    assert claim.observed == claim.expected, f"numbered frames pass {claim.observed}"


@pytest.mark.claim("l2tpv3/short-packets")
def test_what_is_shorter_than_a_header_is_dropped(attach_peer, target, claim):
    near, _ = l2tpv3.tunnel(target.host)
    peer = attach_peer(near)
    with datagrams(target.host, near.destination_port, near.source_port) as socket:
        for length in (0, 1, 4, 7, 8):
            socket.put(bytes(length))
        claim.sees(exchanged(peer, TunnelSocket(socket, 1, 2)))
    assert claim.observed == claim.expected, f"behind packets without a header frames pass {claim.observed}"


@pytest.mark.claim("l2tpv3/ip")
def test_two_qemus_meet_by_ip_itself(attach_peer, claim):
    near, far = (
        attach_peer(l2tpv3.IpTunnelEnd(*ends)) for ends in (("127.0.0.1", "127.0.0.2"), ("127.0.0.2", "127.0.0.1"))
    )
    near.mac = "52:54:00:70:65:0a"
    hear_each_other(near, far)
    ways = {"out": passes(near, far), "back": passes(far, near)}
    claim.sees(" and ".join(way for way, did in ways.items() if did) or "neither way")
    assert claim.observed == claim.expected, f"by IP itself frames pass {claim.observed}"


@pytest.mark.claim("l2tpv3/closed-port-survives")
def test_nobody_at_the_other_end_ends_no_tunnel(attach_peer, target, claim):
    near, _ = l2tpv3.tunnel(target.host)
    peer = attach_peer(near)
    peer.wire.put(frame_of(peer.mac, STRANGER, 60))
    peer.qemu.monitor.execute("query-status")
    with datagrams(target.host, near.destination_port, near.source_port) as socket:
        early = socket.take(0.2)
        claim.sees(
            f"{'something' if early else 'nothing'} of before; then {exchanged(peer, TunnelSocket(socket, 1, 2))}"
        )
    assert claim.observed == claim.expected, f"with nobody at the other end it is {claim.observed}"
