"""What is promised of frames that travel as datagrams: peers at the ends of real backends, and no guest."""

import pytest

from qemunet_tests.conformance.promises import promise
from qemunet_tests.conformance.refusals import assert_not_started_or_known, assert_refused
from qemunet_tests.guest.peer_frames import frame_of
from qemunet_tests.modes import dgram
from qemunet_tests.observe.carried_frames import exchanged, hear_of_a_broadcast, others_that_hear
from qemunet_tests.observe.frame_sockets import datagrams, datagrams_at
from qemunet_tests.observe.network_ends import network_ends
from qemunet_tests.qemu.netdev import SpelledNetdev

#: As QEMU's manual prints what two guests are started with, but for the ports: both have one address.
EXAMPLE_NIC = "virtio-net,netdev=net0,mac=52:54:00:12:34:56"
EXAMPLE = (
    "dgram,id=net0,local.type=inet,local.host=localhost,local.port={},"
    "remote.type=inet,remote.host=localhost,remote.port={}"
)


@pytest.mark.claim("dgram/remote-optional")
def test_the_remote_end_may_be_left_out(bench, target, claim):
    port = dgram.tunnel(target.host)[0].local_port
    words = f"dgram,id=alone,local.type=inet,local.host=127.0.0.1,local.port={port}"
    alone = bench.attempt("-netdev", words)
    claim.sees("QEMU starts" if alone.started else alone.complaints.refusal.rpartition(": ")[2])
    if not alone.started:
        assert alone.complaints.refusal.endswith("requires remote parameter"), str(alone.complaints)
        claim.deviates(name="demanded")


@pytest.mark.parametrize(
    "messages",
    [
        promise(
            "dgram/local-missing",
            {
                "": "dgram requires local= parameter",
                "remote.type=inet,remote.host=127.0.0.1,remote.port=7390": "dgram requires local= parameter",
            },
        ),
        promise(
            "dgram/types-differ",
            {
                "local.type=inet,local.host=127.0.0.1,local.port=7390,remote.type=unix,remote.path=nobody": "remote and"
                " local types must be the same",
                "local.type=fd,local.str=0,remote.type=unix,remote.path=nobody": "don't set remote with local.fd",
            },
        ),
    ],
)
def test_what_cannot_be_is_refused(bench, claim, messages):
    assert_refused(bench, claim, "dgram", messages)


@pytest.mark.claim("dgram/one-frame-one-datagram")
def test_every_datagram_is_a_frame(attach_peer, target, claim):
    end = dgram.tunnel(target.host)[0]
    peer, sizes = attach_peer(end), (60, 1514, 65000)
    with datagrams(target.host, end.remote_port, end.local_port) as other:
        became = {exchanged(peer, other, size) for size in sizes}
    claim.sees(f"{', '.join(map(str, sizes))} bytes {', '.join(sorted(became))}")
    assert claim.observed == claim.expected, f"frames of {claim.observed}"


def unix_end(folder):
    """A backend with its own socket in that folder, and the other's."""
    ends = (("local", folder / "qemu"), ("remote", folder / "ours"))
    return SpelledNetdev(
        "dgram", tuple(word for end, path in ends for word in (f"{end}.type=unix", f"{end}.path={path}"))
    )


@pytest.mark.parametrize("stale", [promise("dgram/unix", False), promise("dgram/stale-socket", True)])
def test_frames_pass_by_unix_sockets(attach_peer, bench, qemus_folder, claim, stale):
    if stale:
        with datagrams_at(qemus_folder / "qemu", qemus_folder / "ours", bench.identity):
            pass
    peer = attach_peer(unix_end(qemus_folder))
    with datagrams_at(qemus_folder / "ours", qemus_folder / "qemu", bench.identity) as other:
        claim.sees(exchanged(peer, other))
    assert claim.observed == claim.expected, f"by Unix sockets frames pass {claim.observed}"


@pytest.mark.claim("dgram/no-peer")
def test_frames_for_nobody_are_lost(attach_peer, target, claim):
    end = dgram.tunnel(target.host)[0]
    peer = attach_peer(end)
    peer.wire.put(frame_of(peer.mac, "52:54:00:70:65:aa", 60))
    peer.qemu.monitor.execute("query-status")
    with datagrams(target.host, end.remote_port, end.local_port) as other:
        early = other.take(0.2)
        claim.sees(f"{'something' if early else 'nothing'} of before; then {exchanged(peer, other)}")
    assert claim.observed == claim.expected, f"where nobody was at the other end: {claim.observed}"


@pytest.mark.claim("dgram/multicast")
def test_a_multicast_group_is_a_bus(bench_peers, lab, claim):
    port = lab.host.free_port("udp", 7300)
    bus = SpelledNetdev("dgram", ("remote.type=inet", "remote.host=239.192.0.7", f"remote.port={port}"))
    claim.sees(f"{others_that_hear(bench_peers([bus] * 3))} of 2 others hear")
    assert claim.observed == claim.expected, f"on the bus {claim.observed}"


@pytest.mark.claim("dgram/multicast-echo")
def test_a_member_does_not_hear_itself(bench_peers, lab, claim):
    port = lab.host.free_port("udp", 7300)
    bus = SpelledNetdev("dgram", ("remote.type=inet", "remote.host=239.192.0.7", f"remote.port={port}"))
    claim.sees(hear_of_a_broadcast(bench_peers([bus] * 2)))
    if claim.observed != claim.expected:
        assert claim.observed == claim.expected.replace("0 times", "1 times"), f"on the bus {claim.observed}"
        claim.deviates(name="echoed")


@pytest.mark.claim("dgram/regular-file")
def test_a_file_is_left_alone(bench, qemus_folder, claim):
    file = qemus_folder / "file"
    options = f"local.type=unix,local.path={file},remote.type=unix,remote.path={qemus_folder}/other"
    assert_not_started_or_known(bench, claim, "dgram", options, "deleted", file)


@pytest.mark.claim("dgram/socket-gone")
def test_a_socket_goes_with_qemu(attach_peer, bench, qemus_folder, claim):
    peer = attach_peer(unix_end(qemus_folder))
    with datagrams_at(qemus_folder / "ours", qemus_folder / "qemu", bench.identity) as other:
        works = exchanged(peer, other)
    peer.close()
    claim.sees("stays" if (qemus_folder / "qemu").exists() else "gone")
    assert works == "out and back", f"before QEMU has ended frames pass {works}"
    if claim.observed != claim.expected:
        claim.deviates(name="stays")


@pytest.mark.claim("dgram/manual-example")
def test_the_manuals_example_gives_two_guests_addresses(halted, target, claim):
    ports, macs = [target.host.free_port("udp", 7300) for _ in range(2)], set()
    for own, other in (ports, ports[::-1]):
        qemu = halted("-M", "pc", "-m", "16", "-device", EXAMPLE_NIC, "-netdev", EXAMPLE.format(own, other))
        macs |= {end.mac or "none" for end in network_ends(qemu.monitor) if end.is_nic}
    claim.sees(f"{len(macs)} address{'' if len(macs) == 1 else 'es'}")
    if claim.observed != claim.expected:
        assert macs == {EXAMPLE_NIC[-17:]}, f"the two guests have {', '.join(sorted(macs)) or 'no address'}"
        claim.deviates(name="same")
