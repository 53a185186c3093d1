"""What a guest makes of its NIC, which is plugged into it while it runs, and the NIC of what the guest does."""

import pytest

from qemunet_tests.conformance.promises import promise
from qemunet_tests.deadline import Deadline
from qemunet_tests.errors import ControlFailed
from qemunet_tests.guest.peer_frames import frame_of
from qemunet_tests.guest.plugging import MAC, plug_in, unplugged
from qemunet_tests.modes import user
from qemunet_tests.network import lab_addresses
from qemunet_tests.network.target import Endpoint
from qemunet_tests.observe.arp import owners
from qemunet_tests.observe.bridge import link_says
from qemunet_tests.observe.capture import whole_capture
from qemunet_tests.observe.frame_sockets import frames_at
from qemunet_tests.observe.icmp import answered_once
from qemunet_tests.observe.lease import known_to_server, lease, lease_of
from qemunet_tests.observe.nic import carrier, interfaces, seen_nic, setting, virtio_features
from qemunet_tests.observe.tcp import bulk
from qemunet_tests.qemu.netdev import Nic

VIRTIO, GATEWAY, OTHER_MAC = "virtio-net-pci", "10.0.2.2", "52:54:00:72:00:03"
SIZE_BYTES = 64 * 1024
TIMES = 10
#: VIRTIO 1.2, 5.1.3: features by the properties that switch them.
SWITCHED = {"csum": 0, "guest_csum": 1, "host_tso4": 11, "mrg_rxbuf": 15, "ctrl_vlan": 19}
MODELS_WITH_LINK = (VIRTIO, "e1000", "rtl8139", "vmxnet3", "pcnet")
#: RFC 2365 and RFC 1112, 6.4: a group that nobody forwards, and the address of its frames.
GROUP, GROUP_MAC = "239.192.0.7", "01:00:5e:40:00:07"
FRAMES = 100
#: Nothing, a frame and one byte more, some fragments, and the most that IPv4 has.
SIZES = (0, 1472, 1473, 9000, 65507)
#: Of a machine that is not slowed down.
FOUND_SECONDS = 2.0
#: VIRTIO 1.2, 5.1.3 and 6: features by their numbers.
FEATURES = {34: "VIRTIO_F_RING_PACKED", 60: "VIRTIO_NET_F_RSS"}


def found(plugged, mode="user", **properties):
    """A guest that drives a virtio NIC with these properties."""
    guest = plugged(mode, VIRTIO, **properties)
    assert seen_nic(guest, FOUND_SECONDS).driver == "virtio_net", f"no driver finds a NIC with {properties}"
    return guest


def there_and_back(guest, service):
    """What becomes of data, once the guest has its lease."""
    guest.check(guest.tools.network_up)
    lease_of(guest)
    transfer = bulk(guest, service, SIZE_BYTES)
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
    claim.sees(
        f"{', '.join(agreed) or 'nothing'}, {there_and_back(guest, Endpoint(GATEWAY, target.loopback_echo.port))}"
    )
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


def cables(plugged, model):
    """What a guest sees of a cable that is in, out, and in again."""
    guest = plugged("user", model)
    assert seen_nic(guest, FOUND_SECONDS).driver, f"no driver finds a {model}"
    guest.check("ip link set eth0 up")
    said = [_cable(guest, True)]
    for up in (False, True):
        guest.monitor.execute("set_link", name="card", up=up)
        said.append(_cable(guest, up))
    return f"{model}: {', '.join(said)}"


@pytest.mark.claim("nic/status-off")
def test_a_cable_is_taken_out_and_put_in(plugged, claim):
    claim.sees("; ".join(cables(plugged, model) for model in MODELS_WITH_LINK))
    assert claim.observed == claim.expected, f"the guest sees cables so: {claim.observed}"


@pytest.mark.claim("nic/status-off-e1000e")
def test_the_cable_of_an_e1000e_is_taken_out_and_put_in(plugged, claim):
    claim.sees(cables(plugged, "e1000e"))
    if claim.observed != claim.expected:
        assert claim.observed == "e1000e: in, in, in", f"the guest sees cables so: {claim.observed}"
        claim.deviates(name="not-told")


def _cable(guest, wanted):
    """Where the guest sees the cable, once it is as it is wanted or enough time is over."""
    Deadline(guest.pace.seconds(FOUND_SECONDS), "the guest to see its cable").sees(
        lambda: carrier(guest) is wanted, 0.5
    )
    return "in" if carrier(guest) else "out"


@pytest.mark.claim("nic/no-backend")
def test_a_nic_without_a_backend_has_a_carrier(plugged, claim):
    guest = found(plugged, netdev=None)
    guest.check("ip link set eth0 up")
    claim.sees("a carrier" if _cable(guest, True) == "in" else "no carrier")
    assert claim.observed == claim.expected, f"a NIC without a backend has {claim.observed}"


@pytest.mark.lengthy
@pytest.mark.claim("nic/hotplug-unplug")
def test_a_nic_comes_and_goes_ten_times(plugged, claim):
    guest, leases, gone = found(plugged), 0, 0
    for _ in range(TIMES):
        guest.check(guest.tools.network_up)
        leases += lease(guest) is not None
        guest.check(guest.tools.network_down)
        if not unplugged(guest, VIRTIO):
            break
        gone += interfaces(guest) == []
        plug_in(guest, Nic(user.netdev(), VIRTIO), MAC)
        assert seen_nic(guest, FOUND_SECONDS).driver, f"no driver finds the NIC after {gone} times"
    claim.sees(f"{leases} leases, {gone} times gone")
    assert claim.observed == claim.expected, f"of a NIC that is plugged in {TIMES} times: {claim.observed}"


@pytest.mark.claim("nic/offloads-switched")
def test_what_is_switched_off_is_not_agreed_on(plugged, target, claim):
    offered = virtio_features(found(plugged, mode="bridge"))
    wrong = [f"{name} is never agreed on" for name, number in SWITCHED.items() if number not in offered]
    wrong += [
        f"{name}=off is agreed on all the same"
        for name, number in SWITCHED.items()
        if number in virtio_features(found(plugged, mode="bridge", **{name: False}))
    ]
    guest = found(plugged, mode="bridge", **dict.fromkeys(SWITCHED, False))
    passed = there_and_back(guest, target.neighbour_echo.by("TCP"))
    claim.sees(f"{', '.join(SWITCHED)}: agreed on, and not when off; {passed}" if not wrong else "; ".join(wrong))
    assert claim.observed == claim.expected, f"of what is offered to the guest: {claim.observed}"


def of_a_group(guest, lab):
    """How many of the frames for a group that the neighbour sends come to a guest, in words."""
    counted = "cat /sys/class/net/eth0/statistics/rx_packets"
    before, mac = int(guest.check(counted)), link_says(lab.neighbour, "eth0", "address")
    with frames_at(lab.neighbour, "eth0") as neighbour:
        for _ in range(FRAMES):
            neighbour.put(frame_of(mac, GROUP_MAC, 60))
    # Whose answer has come behind them; the guest has no address from which others would be asked.
    if not owners(guest, lab_addresses.NEIGHBOUR):
        raise ControlFailed("the neighbour does not answer the guest")
    came = int(guest.check(counted)) - before
    # Others on the LAN send something now and then.
    return "all" if came >= FRAMES else "none" if came < FRAMES / 2 else f"{came} of {FRAMES}"


def join(guest):
    """Have a guest join the group, and wait until its kernel says that it has."""
    guest.check(f"socat -u UDP4-RECV:7300,ip-add-membership={GROUP}:eth0 /dev/null >/dev/null 2>&1 &")
    joined = f"grep -q {GROUP_MAC.replace(':', '')} /proc/net/dev_mcast"
    Deadline(guest.pace.seconds(FOUND_SECONDS), "the guest to join").wait_until(lambda: guest.run(joined).succeeded)


@pytest.mark.claim("nic/multicast-filter")
def test_a_guest_gets_the_groups_that_it_has_joined(plugged, lab, claim):
    said = []
    for model in (VIRTIO, "e1000"):
        guest = plugged("bridge", model)
        assert seen_nic(guest, FOUND_SECONDS).driver, f"no driver finds a {model}"
        guest.check("ip link set eth0 up")
        # Some take half a second to see it, and get nothing before.
        assert _cable(guest, True) == "in", f"by {model}, the guest sees no cable"
        before = of_a_group(guest, lab)
        join(guest)
        # The NIC is told a little later.
        after = next((each for _ in range(3) if (each := of_a_group(guest, lab)) == "all"), "not all")
        guest.check("killall socat")
        said.append(f"{model}: {before}, then {after}")
    claim.sees("; ".join(said))
    assert claim.observed == claim.expected, f"of frames for a group a guest gets, by {claim.observed}"


@pytest.mark.lengthy
@pytest.mark.claim("nic/ping-sizes")
def test_pings_of_every_size_pass(plugged, target, claim):
    said = []
    for model in (VIRTIO, "e1000", "rtl8139"):
        guest = plugged("bridge", model)
        assert seen_nic(guest, FOUND_SECONDS).driver, f"no driver finds a {model}"
        guest.check(guest.tools.network_up)
        lease_of(guest)
        address = target.neighbour_echo.address
        # A fragment may be lost, and with it the whole.
        passed = [size for size in SIZES if any(answered_once(guest, address, size_bytes=size) for _ in range(3))]
        guest.check(guest.tools.network_down)
        said.append(f"{model}: {', '.join(map(str, passed)) or 'no'} bytes")
    claim.sees("; ".join(said))
    assert claim.observed == claim.expected, f"pings pass, by {claim.observed}"
