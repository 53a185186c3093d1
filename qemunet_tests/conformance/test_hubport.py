"""What is promised of hubs inside QEMU: peers at their ports, and no guest."""

import pytest

from qemunet_tests.conformance.refusals import assert_refused
from qemunet_tests.guest.peer_frames import frame_of
from qemunet_tests.modes.hubport import HubPort
from qemunet_tests.modes.user import netdev
from qemunet_tests.observe.arp import who_has
from qemunet_tests.observe.carried_frames import BROADCAST, arrives, others_that_hear, received
from qemunet_tests.observe.nic import seen_nic, virtio_features
from qemunet_tests.observe.refused_commands import attempts, not_refused

HUB = 99
#: VIRTIO 1.2, 5.1.3: what a NIC leaves to whoever takes its frames, or takes from him, by the numbers of its features.
OFFLOADS = {"csum": 0, "guest_csum": 1, "guest_tso4": 7, "host_tso4": 11}
#: Of a machine that is not slowed down: a guest notices a NIC and loads its driver.
FOUND_SECONDS = 2.0


@pytest.mark.claim("hubport/missing")
def test_a_port_without_a_hub_is_refused(bench, claim):
    messages = {"": "Parameter 'hubid' is missing", "hubid=1,netdev=nobody": "netdev 'nobody' not found"}
    assert_refused(bench, claim, "hubport", messages)


@pytest.mark.claim("hubport/floods")
def test_what_comes_in_goes_out_at_all_others(bench_peers, claim):
    peers = bench_peers([HubPort(HUB)] * 3)
    hearing = others_that_hear(peers)
    claim.sees(f"{hearing} of 2 others hear, the sender {len(received(peers[0], peers[0].mac, 1, 0.2))} times")
    assert claim.observed == claim.expected, f"of a hub's ports {claim.observed}"


@pytest.mark.claim("hubport/netdev")
def test_a_backend_is_joined_to_a_hub(attach_peer, claim):
    gateway = who_has(attach_peer(HubPort(HUB, uplink=netdev())), "10.0.2.2")
    claim.sees("10.0.2.2 answers" if gateway else "nobody answers")
    assert claim.observed == claim.expected, f"at the other port of the hub {claim.observed}"


@pytest.mark.claim("hubport/stop")
def test_a_stopped_machine_passes_nothing_on(bench_peers, claim):
    one, other = bench_peers([HubPort(HUB)] * 2)
    frame = frame_of(one.mac, BROADCAST, 60)
    one.qemu.monitor.execute("stop")
    one.wire.put(frame)
    early = arrives(other, frame, 0.3)
    one.qemu.monitor.execute("cont")
    claim.sees(f"stopped: {int(early)}, then {int(arrives(other, frame))} of 1")
    assert claim.observed == claim.expected, f"frames that pass a hub, {claim.observed}"


@pytest.mark.claim("hubport/net-is-hub-0")
def test_net_joins_hub_0(attach_peer, target, claim):
    port = target.host.free_port("tcp", 7400)
    peer = attach_peer(HubPort(HUB), "-net", f"socket,listen=127.0.0.1:{port},id=old")
    listed = peer.qemu.monitor.ask("info network").split("hub ")
    claim.sees(", ".join(f"hub {each.split()[0]}" for each in listed if "type=socket" in each) or "no hub")
    assert claim.observed == claim.expected, f"a backend of -net is at {claim.observed}"


@pytest.mark.claim("hubport/no-multiqueue")
def test_a_tap_of_several_queues_is_refused(bench, claim):
    reasons = {"-net tap,queues=2": "Multiqueue tap cannot be used with hubs"}
    wrong = not_refused(attempts(bench, reasons), reasons)
    claim.sees(f"{len(reasons) - len(wrong)} of 1 refused")
    assert wrong == [], "; ".join(wrong)


@pytest.mark.claim("hubport/no-offload")
def test_a_hub_takes_offloads_away(plugged, claim):
    said = {}
    for place, end in {"at a tap": "bridge", "at a hub": HubPort(HUB)}.items():
        guest = plugged(end, "virtio-net-pci")
        assert seen_nic(guest, FOUND_SECONDS).driver == "virtio_net", f"no driver finds a NIC {place}"
        agreed = virtio_features(guest)
        said[place] = ", ".join(name for name, number in OFFLOADS.items() if number in agreed) or "none"
    claim.sees("; ".join(f"{place} {offloads}" for place, offloads in said.items()))
    assert claim.observed == claim.expected, f"a virtio NIC and its guest agree on offloads: {claim.observed}"
