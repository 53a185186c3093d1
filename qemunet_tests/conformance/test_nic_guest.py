"""What a guest makes of its NIC, which is plugged into it while it runs, and the NIC of what the guest does."""

import pytest

from qemunet_tests.conformance.promises import promise
from qemunet_tests.deadline import Deadline
from qemunet_tests.network.target import Endpoint
from qemunet_tests.observe.capture import whole_capture
from qemunet_tests.observe.lease import known_to_server, lease_of
from qemunet_tests.observe.nic import interfaces, seen_nic, setting, virtio_features
from qemunet_tests.observe.tcp import bulk

VIRTIO, GATEWAY, OTHER_MAC = "virtio-net-pci", "10.0.2.2", "52:54:00:72:00:03"
SIZE_BYTES = 64 * 1024
#: Of a machine that is not slowed down.
FOUND_SECONDS = 2.0
#: VIRTIO 1.2, 5.1.3 and 6: features by their numbers.
FEATURES = {34: "VIRTIO_F_RING_PACKED", 60: "VIRTIO_NET_F_RSS"}


def found(plugged, mode="user", **properties):
    """A guest that drives a virtio NIC with these properties."""
    guest = plugged(mode, VIRTIO, **properties)
    assert seen_nic(guest, FOUND_SECONDS).driver == "virtio_net", f"no driver finds a NIC with {properties}"
    return guest


def there_and_back(guest, target):
    """What becomes of data, once the guest has its lease."""
    guest.check(guest.tools.network_up)
    lease_of(guest)
    transfer = bulk(guest, Endpoint(GATEWAY, target.loopback_echo.port), SIZE_BYTES)
    return "64 KiB there and back" if transfer.intact else str(transfer)


@pytest.mark.parametrize(
    ("names", "properties"),
    [
        promise("nic/host-mtu", ("mtu",), {"host_mtu": 1400}),
        promise("nic/speed-duplex", ("speed", "duplex"), {"speed": 10000, "duplex": "full"}),
    ],
)
def test_a_guest_sees_what_its_nic_is_told_to_be(plugged, claim, names, properties):
    said = []
    for told in (False, True):
        guest = found(plugged, **(properties if told else {}))
        guest.check("ip link set eth0 up")
        said.append(" ".join(setting(guest, name) for name in names))
    claim.sees(f"{said[0]} without, {said[1]} with")
    assert claim.observed == claim.expected, f"{' and '.join(names)}: {claim.observed}"


@pytest.mark.parametrize(
    "properties",
    [
        promise("nic/packed-ring", {"packed": True}),
        promise("nic/rss-hash", {"rss": True}),
    ],
)
def test_a_guest_takes_what_its_nic_offers(plugged, target, claim, properties):
    guest = found(plugged, **properties)
    agreed = [name for number, name in FEATURES.items() if number in virtio_features(guest)]
    claim.sees(f"{', '.join(agreed) or 'nothing'}, {there_and_back(guest, target)}")
    assert claim.observed == claim.expected, f"with {', '.join(properties)}: {claim.observed}"


@pytest.mark.claim("nic/driver-reload")
def test_a_driver_lets_go_and_takes_again(plugged, claim):
    guest = found(plugged)
    guest.check(guest.tools.network_up)
    before = lease_of(guest)
    guest.check(guest.tools.network_down)
    device = guest.check("basename $(readlink /sys/class/net/eth0/device)")
    guest.check(f"echo {device} > /sys/bus/virtio/drivers/virtio_net/unbind")
    between = "there" if interfaces(guest) else "gone"
    guest.check(f"echo {device} > /sys/bus/virtio/drivers/virtio_net/bind")
    after = "there again" if interfaces(guest) else "gone for good"
    assert after == "there again", f"of a NIC whose driver let go: {between}, {after}"
    guest.check(guest.tools.network_up)
    again = lease_of(guest)
    claim.sees(f"{between}, {after}, {'the same lease' if again == before else f'another lease, {again}'}")
    assert claim.observed == claim.expected, f"of a NIC whose driver let go: {claim.observed}"


@pytest.mark.claim("nic/mac-changed-in-guest")
def test_a_guest_gives_its_nic_another_address(plugged, target, claim):
    guest = found(plugged, mode="bridge")
    guest.check(f"ip link set eth0 address {OTHER_MAC}; {guest.tools.network_up}")
    leased = known_to_server(target, OTHER_MAC) if lease_of(guest) else None
    told = guest.monitor.execute("query-rx-filter", name="card")[0]["main-mac"]
    claim.sees(f"{told} by query-rx-filter and {'by the lease' if leased else 'nobody leased it'}")
    assert claim.observed == claim.expected, f"the guest's NIC is {claim.observed}"


@pytest.mark.claim("nic/order-of-names")
def test_a_nic_has_the_index_that_it_is_given(plugged, claim):
    guest = found(plugged, **{"acpi-index": 7})
    claim.sees(guest.run("cat /sys/class/net/eth0/device/../acpi_index").text or "none")
    assert claim.observed == claim.expected, f"the kernel's index of the NIC is {claim.observed}"


def tags(guest):
    """The VLANs of the frames on the wire, by what stands behind the two MAC addresses; a virtio header goes before."""
    found_tags = (
        int.from_bytes(frame[at + 2 : at + 4]) & 0xFFF
        for frame in whole_capture(guest)
        if (at := frame.find(b"\x81\x00", 12, 32)) >= 0
    )
    return sorted(set(found_tags))


@pytest.mark.claim("nic/vlan-in-guest")
def test_a_guest_tags_its_frames(plugged, claim):
    guest = found(plugged)
    guest.check("ip link set eth0 up")
    made = [number for number in (1, 4094, 4095) if guest.run(f"modprobe 8021q; vconfig add eth0 {number}").succeeded]
    for number in made:
        guest.check(f"ip addr add 192.0.2.{number % 200}/32 dev eth0.{number}; ip link set eth0.{number} up")
        guest.run(f"arping -c 1 -w 1 -I eth0.{number} 198.51.100.1")
    Deadline(5.0, "the frames").sees(lambda: len(tags(guest)) == len(made), 0.1)
    refused = "4095 refused" if 4095 not in made else "4095 taken"
    claim.sees(f"{' and '.join(map(str, tags(guest))) or 'nothing'} on the wire, {refused}")
    assert claim.observed == claim.expected, f"of VLANs {claim.observed}"
