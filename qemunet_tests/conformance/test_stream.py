"""What is promised of frames over a connection: peers at the ends of real backends, and no guest."""

import pytest

from qemunet_tests.conformance.promises import promise
from qemunet_tests.conformance.refusals import assert_not_started_or_known, assert_refused, spelled
from qemunet_tests.deadline import Deadline
from qemunet_tests.guest.peer_frames import frame_of, hear_each_other
from qemunet_tests.modes.user import netdev
from qemunet_tests.observe.backends import awaited_events, said_of
from qemunet_tests.observe.carried_frames import arrives, exchanged, passes
from qemunet_tests.observe.dhcp_client import ask_dhcp
from qemunet_tests.observe.frame_sockets import accepted, called, calls_again, listening, listening_at
from qemunet_tests.observe.oversized_frames import after_a_frame_too_large
from qemunet_tests.observe.refused_commands import attempts
from qemunet_tests.qemu.netdev import SpelledNetdev
from qemunet_tests.qemu.qmp_schema import options_in

#: As the manual writes them, each with the rest of an address.
AS_WRITTEN = {
    "to": "addr.type=inet,addr.host=127.0.0.1,addr.port={port},to=7299",
    "abstract": "addr.type=unix,addr.path=nobody,abstract=on",
    "keep-alive": "addr.type=inet,addr.host=127.0.0.1,addr.port={port},keep-alive=on",
}


@pytest.mark.claim("stream/address-needed")
def test_half_an_address_is_refused(bench, claim):
    messages = {
        "": "Parameter 'addr' is missing",
        "server=on,addr.type=inet,addr.host=127.0.0.1": "Parameter 'addr.port' is missing",
        "server=on,addr.type=pigeon": "Parameter 'type' does not accept value 'pigeon'",
    }
    assert_refused(bench, claim, "stream", messages)


@pytest.mark.claim("stream/manual-syntax")
def test_options_are_written_as_in_the_manual(bench, target, claim):
    port = target.host.free_port("tcp", 7200)
    tried = {
        name: bench.attempt("-netdev", spelled("stream", f"server=on,{words.format(port=port)}"))
        for name, words in AS_WRITTEN.items()
    }
    refused = {name: each.complaints.refusal.rpartition(": ")[2] for name, each in tried.items() if not each.started}
    claim.sees("; ".join(refused.values()) or "QEMU starts")
    if refused:
        assert refused == {name: f"Parameter '{name}' is unexpected" for name in AS_WRITTEN}, claim.observed
        claim.deviates()


def caller(port, *options, address="127.0.0.1"):
    """A backend that calls at a port of the host's loopback."""
    return SpelledNetdev(
        "stream", ("server=off", "addr.type=inet", f"addr.host={address}", f"addr.port={port}", *options)
    )


def listener(port, *options, address="127.0.0.1"):
    """A backend that listens at a port of the host's loopback."""
    return SpelledNetdev(
        "stream", ("server=on", "addr.type=inet", f"addr.host={address}", f"addr.port={port}", *options)
    )


@pytest.mark.claim("stream/framing")
def test_every_frame_stands_behind_its_length(attach_peer, target, claim):
    port = target.host.free_port("tcp", 7200)
    with listening(target.host, port) as server:
        peer = attach_peer(caller(port))
        with accepted(server) as end:
            claim.sees(exchanged(peer, end))
    assert claim.observed == claim.expected, f"frames behind their length pass {claim.observed}"


@pytest.mark.parametrize("address", [promise("stream/ipv6", "::1")])
def test_frames_pass_by_ipv6(attach_peer, target, claim, address):
    port = target.host.free_port("tcp", 7200)
    with listening(target.host, port, address) as server:
        peer = attach_peer(caller(port, address=address))
        with accepted(server) as end:
            claim.sees(exchanged(peer, end))
    assert claim.observed == claim.expected, f"by IPv6 frames pass {claim.observed}"


@pytest.mark.claim("stream/unix")
def test_frames_pass_by_a_unix_socket(attach_peer, qemus_folder, claim):
    path = qemus_folder / "socket"
    with listening_at(path) as server:
        peer = attach_peer(SpelledNetdev("stream", ("server=off", "addr.type=unix", f"addr.path={path}")))
        with accepted(server) as end:
            claim.sees(exchanged(peer, end))
    assert claim.observed == claim.expected, f"by a Unix socket frames pass {claim.observed}"


@pytest.mark.claim("stream/abstract")
def test_frames_pass_by_an_abstract_address(attach_peer, qemus_folder, claim):
    name = f"qemunet{qemus_folder}"
    with listening_at(f"\0{name}") as server:
        words = ("server=off", "addr.type=unix", f"addr.path={name}", "addr.abstract=on")
        peer = attach_peer(SpelledNetdev("stream", words))
        with accepted(server) as end:
            claim.sees(exchanged(peer, end))
    assert claim.observed == claim.expected, f"by an abstract address frames pass {claim.observed}"


@pytest.mark.claim("stream/partial")
def test_frames_are_put_together_wherever_they_are_cut(attach_peer, target, claim):
    port = target.host.free_port("tcp", 7200)
    with listening(target.host, port) as server:
        peer = attach_peer(caller(port))
        with accepted(server) as end:
            frames = {pieces: frame_of("52:54:00:70:65:aa", peer.mac, 98 + pieces) for pieces in (1, 3, 50)}
            for pieces, frame in frames.items():
                end.put(frame, in_pieces_of=pieces)
            whole = [str(pieces) for pieces, frame in frames.items() if arrives(peer, frame)]
    claim.sees(f"whole in pieces of {', '.join(whole) or 'no'} bytes")
    assert claim.observed == claim.expected, f"frames arrive {claim.observed}"


@pytest.mark.claim("stream/oversize")
def test_a_frame_too_large_ends_the_connection_and_not_qemu(attach_peer, target, claim):
    port = target.host.free_port("tcp", 7200)
    peer = attach_peer(listener(port))
    claim.sees(after_a_frame_too_large(peer, target.host, port))
    assert claim.observed == claim.expected, f"a caller who sends a length of a megabyte: {claim.observed}"


@pytest.mark.claim("stream/one-peer")
def test_a_second_caller_waits_for_the_first(attach_peer, target, claim):
    port = target.host.free_port("tcp", 7200)
    peer = attach_peer(listener(port))
    frame = frame_of("52:54:00:70:65:aa", peer.mac, 60)
    with called(target.host, port) as first, called(target.host, port) as second:
        served = exchanged(peer, first)
        second.put(frame)
        early = arrives(peer, frame, 0.3)
        first.close()
        late = arrives(peer, frame)
    claim.sees(f"the first: {served}; the second: {'at once' if early else 'after it' if late else 'never'}")
    assert claim.observed == claim.expected, f"of two callers {claim.observed}"


@pytest.mark.claim("stream/reconnect-never")
def test_a_lost_connection_stays_lost(attach_peer, target, claim):
    port = target.host.free_port("tcp", 7200)
    with listening(target.host, port) as server:
        peer = attach_peer(caller(port))
        with accepted(server) as end:
            before = exchanged(peer, end)
        claim.sees(f"{before}, then {calls_again(server)}")
    assert claim.observed == claim.expected, f"frames pass {claim.observed}"


@pytest.mark.claim("stream/reconnect")
def test_a_lost_connection_is_made_again(attach_peer, target, claim):
    port = target.host.free_port("tcp", 7200)
    with listening(target.host, port) as server:
        peer = attach_peer(caller(port, "reconnect-ms=200"))
        with accepted(server) as end:
            before = exchanged(peer, end)
        with accepted(server) as end:
            claim.sees(f"{before}, again {exchanged(peer, end)}")
    assert claim.observed == claim.expected, f"frames pass {claim.observed}"


@pytest.mark.claim("stream/events")
def test_events_tell_of_connections(attach_peer, target, claim):
    port = target.host.free_port("tcp", 7200)
    peer = attach_peer(listener(port))
    with called(target.host, port) as end:
        exchanged(peer, end)
    said = awaited_events(peer.qemu.monitor, "NETDEV_STREAM_DISCONNECTED")
    claim.sees(", ".join(said))
    assert claim.observed == claim.expected, f"the monitor tells of {claim.observed or 'nothing'}"


@pytest.mark.claim("stream/to-range")
def test_the_next_free_port_is_taken(attach_peer, target, claim):
    taken, free = (target.host.free_port("tcp", 7200) for _ in range(2))
    with listening(target.host, taken):
        peer = attach_peer(listener(taken, f"addr.to={free}"))
        with called(target.host, free) as end:
            claim.sees(exchanged(peer, end))
    assert claim.observed == claim.expected, f"at the next port frames pass {claim.observed}"


@pytest.mark.parametrize(
    "side", [promise("stream/listen-failed", "server=on"), promise("stream/connect-failed", "server=off")]
)
def test_what_cannot_be_joined_stops_qemu(bench, target, claim, side):
    taken, free = (target.host.free_port("tcp", 7200) for _ in range(2))
    port = taken if side == "server=on" else free
    with listening(target.host, taken):
        options = f"{side},addr.type=inet,addr.host=127.0.0.1,addr.port={port}"
        assert_not_started_or_known(bench, claim, "stream", options, "goes-on")


@pytest.mark.claim("stream/regular-file")
def test_a_file_is_left_alone(bench, qemus_folder, claim):
    file = qemus_folder / "file"
    assert_not_started_or_known(bench, claim, "stream", f"server=on,addr.type=unix,addr.path={file}", "deleted", file)


@pytest.mark.claim("stream/reconnect-server-refused")
def test_who_listens_does_not_call_again(bench, claim):
    options = "server=on,addr.type=unix,addr.path=nobody,reconnect-ms=200"
    # As QEMU 9.2 and as QEMU 10.2 says it.
    named = ("'reconnect' and 'reconnect-ms' options are", "'reconnect-ms' option is")
    reasons = tuple(f"{each} incompatible with socket in server mode" for each in named)
    assert_refused(bench, claim, "stream", {options: reasons})


@pytest.mark.claim("stream/nic-form")
def test_the_shorter_options_take_an_address(bench, target, claim):
    port = target.host.free_port("tcp", 7200)
    words = f"stream,server=on,addr.type=inet,addr.host=127.0.0.1,addr.port={port}"
    tried = attempts(bench, [f"{option} {words}" for option in ("-nic", "-net")])
    starting = [command.split()[0] for command, each in tried.items() if each.started]
    claim.sees(f"QEMU starts with {', with '.join(starting) or 'neither'}")
    if claim.observed != claim.expected:
        assert starting == [], claim.observed
        said = {each.complaints.refusal.rpartition(": ")[2] for each in tried.values()}
        assert said == {"Parameter 'type' is missing"}, str(said)
        claim.deviates(name="type-missing")


@pytest.mark.claim("stream/unix-server-client")
def test_two_qemus_meet_at_a_unix_socket(attach_peer, qemus_folder, claim):
    path = qemus_folder / "socket"
    far, near = (
        attach_peer(SpelledNetdev("stream", (f"server={side}", "addr.type=unix", f"addr.path={path}")))
        for side in ("on", "off")
        if side == "on" or Deadline(10.0, "QEMU to listen").wait_until(path.exists)
    )
    near.mac = "52:54:00:70:65:0a"
    hear_each_other(near, far)
    ways = {"out": passes(near, far), "back": passes(far, near)}
    claim.sees(" and ".join(way for way, did in ways.items() if did) or "neither way")
    assert claim.observed == claim.expected, f"at a Unix socket frames pass {claim.observed}"


@pytest.mark.claim("stream/zero-frame")
def test_an_empty_frame_is_none(attach_peer, target, claim):
    port = target.host.free_port("tcp", 7200)
    with listening(target.host, port) as server:
        peer = attach_peer(caller(port))
        with accepted(server) as end:
            mark = frame_of("52:54:00:70:65:aa", peer.mac, 60)
            end.put(b"")
            end.put(mark)
            came = []
            while (taken := peer.wire.take(3.0)) is not None and taken != mark:
                came.append(taken)
            claim.sees(f"{'delivered' if b'' in came else 'dropped'}; then {exchanged(peer, end)}")
    if claim.observed != claim.expected:
        assert claim.observed == "delivered; then out", f"an empty frame is {claim.observed}"
        claim.deviates(name="delivered")


@pytest.mark.claim("stream/throughput-guest")
def test_one_qemu_leases_addresses_to_another(attach_peer, target, claim):
    port = target.host.free_port("tcp", 7200)
    # To the hub at which a peer's own wire is.
    attach_peer(netdev(), "-netdev", listener(port).spell("out"), "-netdev", "hubport,id=to-out,hubid=0,netdev=out")
    Deadline(10.0, "QEMU to listen").wait_until(lambda: target.host.listens("tcp", port))
    near = attach_peer(caller(port))
    Deadline(10.0, "QEMU to call").wait_until(lambda: "tcp:127.0.0.1" in (said_of(near, "net0") or ""))
    offer = ask_dhcp(near, "discover")
    claim.sees(offer.address if offer else "none")
    assert claim.observed == claim.expected, f"by the other QEMU there is offered {claim.observed}"


@pytest.mark.claim("stream/reconnect-names")
def test_what_calls_again_is_spelled_as_the_schema_says(halted, bench, claim):
    names = ("reconnect", "reconnect-ms")
    listed = options_in(halted().monitor.execute("query-qmp-schema"))
    known = [name for name in names if f"netdev stream {name}" in listed]
    words = "server=off,addr.type=unix,addr.path=nobody"
    taken = [name for name in names if bench.attempt("-netdev", spelled("stream", f"{words},{name}=1")).started]
    said = f"{' and '.join(taken) or 'none'} taken, {' and '.join(known) or 'none'} listed"
    claim.sees("as its schema says" if taken == known else said)
    assert claim.observed == claim.expected, f"of what calls again {claim.observed}"


def told_of_a_caller(peer, host, port):
    """What the monitor says of a backend that listens: before somebody calls, while he is there, and after."""
    Deadline(10.0, "QEMU to listen").wait_until(lambda: host.listens("tcp", port))
    said = [said_of(peer, "net0")]
    with called(host, port) as end:
        exchanged(peer, end)
        said.append(said_of(peer, "net0"))
        caller = f"tcp:{end.own_address}"
    awaited_events(peer.qemu.monitor, "NETDEV_STREAM_DISCONNECTED")
    said.append(said_of(peer, "net0"))
    return caller, [(each or "nothing").removeprefix("type=stream,") for each in said]


@pytest.mark.claim("stream/info-peer")
def test_the_monitor_names_who_is_connected(attach_peer, target, claim):
    port = target.host.free_port("tcp", 7200)
    caller, said = told_of_a_caller(attach_peer(listener(port)), target.host, port)
    claim.sees(", ".join("the caller" if each == caller else each if "tcp:" in each else "nobody" for each in said))
    assert claim.observed == claim.expected, f"the monitor names {claim.observed}"


@pytest.mark.claim("stream/info")
def test_the_monitor_says_that_a_backend_listens(attach_peer, target, claim):
    port = target.host.free_port("tcp", 7200)
    _, (before, _, after) = told_of_a_caller(attach_peer(listener(port)), target.host, port)
    claim.sees(f"{before or 'nothing'}, then {after or 'nothing'}")
    assert claim.observed == claim.expected, f"while nobody is connected the monitor says {claim.observed}"
