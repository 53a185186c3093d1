"""Bridged guests through what happens on a LAN: other guests, the host, links that go and come, other addresses."""

import contextlib
import secrets

import pytest

from qemunet_tests.deadline import Deadline
from qemunet_tests.errors import ControlFailed
from qemunet_tests.guest.peer_frames import frame_of
from qemunet_tests.modes.bridge import netdev
from qemunet_tests.network import lab_addresses
from qemunet_tests.network.lab_links import set_master
from qemunet_tests.network.target import Endpoint
from qemunet_tests.observe.bridge import link_says
from qemunet_tests.observe.capture import UDP, GuestCapture
from qemunet_tests.observe.carried_frames import BROADCAST, STRANGER
from qemunet_tests.observe.dhcp import CLIENT_PORT, SERVER_PORT, dhcp_messages
from qemunet_tests.observe.frame_sockets import frames_at
from qemunet_tests.observe.icmp import ping
from qemunet_tests.observe.ipv6 import address_of_mac, made_addresses
from qemunet_tests.observe.lease import ENOUGH_QUESTIONS, known_to_server, lease_of
from qemunet_tests.observe.nic import carrier
from qemunet_tests.observe.reach import echoes, put_up, read_at
from qemunet_tests.observe.station_end import received

# On a host, until its operator has named a bridge, nothing of this mode is tried.
pytestmark = pytest.mark.usefixtures("named_bridge")

#: Nobody ever heard of a service there.
ANY_PORT = 34567
#: Nobody has it before.
OTHER_MAC = "52:54:00:70:65:c1"
#: A connection over which nothing came for some seconds is tried again after some more.
RESUMING_SECONDS = 60.0
RENEWING_SECONDS, RENEWALS = 10.0, 3
#: For as many questions as tell that nobody answers, one a second.
ASKING_SECONDS = 60.0


@pytest.mark.claim("bridge/two-guests")
@pytest.mark.usefixtures("lab")
def test_two_guests_reach_each_other(bridge_guest_with, target, claim):
    guests = [bridge_guest_with(netdev(target.bridge)) for _ in range(2)]
    addresses = [lease_of(guest).address for guest in guests]
    pairs = list(zip(guests, reversed(addresses), strict=True))
    for guest in guests:
        guest.check(f"setsid {guest.tools.echo.format(port=ANY_PORT)} >/dev/null 2>&1 </dev/null &")
    ways = {
        "ping": all(ping(guest, other).whole for guest, other in pairs),
        "TCP": all(echoes(guest, "TCP", Endpoint(other, ANY_PORT)) for guest, other in pairs),
    }
    claim.sees(f"by {' and by '.join(way for way, did in ways.items() if did) or 'nothing'}, each the other")
    assert claim.observed == claim.expected, f"two guests reach {claim.observed}"


@pytest.mark.claim("bridge/host-reaches-guest")
def test_the_host_and_the_guest_reach_each_other(leased_guest, target, claim):
    # A real host is its own caller, and says so where it has no address on that bridge.
    host = target.caller if target.kind == "host" else target.host
    address = lease_of(leased_guest).address
    there, back = ping(leased_guest, target.address), ping(host, address)
    answer = read_at(put_up(leased_guest, ANY_PORT), host, address, ANY_PORT)
    claim.sees(
        f"from the guest {there.received} of 3, to the guest {back.received} of 3 answered, "
        f"and {'by TCP' if answer.right else answer.trouble}"
    )
    assert (there.whole, back.whole, answer.right) == (True, True, True), f"host and guest: {claim.observed}"


@pytest.mark.claim("bridge/nic-removed")
def test_an_uplink_goes_and_comes_back(leased_guest, lab, claim):
    uplink = lab.host.index(lab_addresses.UPLINK)
    with_it = ping(leased_guest, lab_addresses.NEIGHBOUR)
    lab.host.netlink.link("set", index=uplink, master=0)
    try:
        without = ping(leased_guest, lab_addresses.NEIGHBOUR, count=1, wait_seconds=1)
    finally:
        set_master(lab.host, lab_addresses.UPLINK, lab_addresses.BRIDGE)
    again = ping(leased_guest, lab_addresses.NEIGHBOUR)
    said = ["answered" if each.received else "not answered" for each in (with_it, without, again)]
    claim.sees("with its uplink {}, without {}, with it again {}".format(*said))
    assert claim.observed == claim.expected, f"a ping to the neighbour is {claim.observed}"


@pytest.mark.claim("bridge/promiscuous")
def test_a_promiscuous_guest_sees_what_is_flooded(leased_guest, lab, claim):
    sender = link_says(lab.neighbour, "eth0", "address")
    seen = []
    for mode in ("off", "on"):
        leased_guest.check(f"ip link set eth0 promisc {mode}")
        frames = {"for all": frame_of(sender, BROADCAST, 200), "for a stranger": frame_of(sender, STRANGER, 200)}
        with frames_at(lab.neighbour, "eth0") as neighbour:
            seen.append(heard_by(leased_guest, neighbour, frames))
    claim.sees("{}; promiscuous: {}".format(*(" and ".join(each) or "nothing" for each in seen)))
    assert claim.observed == claim.expected, f"the guest sees what is {claim.observed}"


def heard_by(guest, wire, frames):
    """Which of these frames a guest's packet socket has. What is for all is sent last, until it is there."""
    file = f"/tmp/{secrets.token_hex(8)}"
    guest.check(f"setsid socat -u INTERFACE:eth0,type=3 CREATE:{file} >/dev/null 2>&1 </dev/null &")
    for _ in range(40):
        for frame in reversed(frames.values()):
            wire.put(frame)
        guest.check("usleep 100000")
        content = bytes.fromhex(guest.check(f"hexdump -v -e '1/1 \"%02x\"' {file} 2>/dev/null || true"))
        heard = [kind for kind, frame in frames.items() if frame[14:] in content]
        if "for all" in heard:
            return heard
    raise ControlFailed("the guest does not hear what is for all")


@pytest.mark.claim("bridge/lease-survives-link")
def test_a_lease_survives_its_link(leased_guest, lab, claim):
    address = lease_of(leased_guest).address
    leased_guest.check(f"setsid {leased_guest.tools.echo.format(port=ANY_PORT)} >/dev/null 2>&1 </dev/null &")
    leased_guest.check(f"until grep -q ':{ANY_PORT:04X} .* 0A ' /proc/net/tcp*; do usleep 20000; done")
    with lab.neighbour.connect(address, ANY_PORT) as connection:
        connection.settimeout(RESUMING_SECONDS)
        words = [secrets.token_bytes(16) for _ in range(2)]
        connection.sendall(words[0])
        if received(connection, 16) != words[0]:
            raise ControlFailed("the connection carries nothing before its link goes")
        leased_guest.unplug()
        if carrier(leased_guest):
            raise ControlFailed("the guest does not see that its link is down")
        connection.sendall(words[1])
        leased_guest.monitor.execute("set_link", name="net0", up=True)
        goes_on = received(connection, 16) == words[1]
    shown = leased_guest.check("ip -4 addr show dev eth0")
    claim.sees(f"{'the same address' if f'inet {address}/' in shown else 'no such address'}, and the connection "
               f"{'goes on' if goes_on else 'is dead'}")  # fmt: skip
    assert claim.observed == claim.expected, f"after its link was down: {claim.observed}"


@pytest.mark.claim("bridge/renewal")
@pytest.mark.usefixtures("lab")
def test_a_lease_is_renewed_by_its_server(leased_guest, claim):
    before = lease_of(leased_guest)
    promised = [(before.address, before.server), (before.server, before.address)]
    # A server that has no time answers too late, and its client asks everybody then.
    as_promised = any(renewed(leased_guest) == promised for _ in range(RENEWALS))
    asked = "one question to its own server and one answer" if as_promised else "asking everybody"
    claim.sees(f"{asked}, {'the same address' if lease_of(leased_guest) == before else 'another lease'}")
    assert claim.observed == claim.expected, f"a lease is renewed by {claim.observed}"


def renewed(guest):
    """From whom to whom DHCP goes when a guest's client does at once what it does at half of a lease's time."""
    with contextlib.closing(GuestCapture(guest)) as capture:
        guest.check("read -r client < /run/qemunet/udhcpc.eth0.pid; kill -USR1 $client")
        answer = Deadline(RENEWING_SECONDS, "a lease to be renewed")
        answer.sees(lambda: SERVER_PORT in [each.first for each in dhcp_packets(capture)], interval_seconds=0.1)
        return [(each.source, each.target) for each in dhcp_packets(capture)]


def dhcp_packets(capture):
    """Those of its packets that are DHCP's."""
    ports = {SERVER_PORT, CLIENT_PORT}
    return [each for each in capture.packets() if each.kind == UDP and {each.first, each.second} == ports]


@pytest.mark.claim("bridge/mac-change")
@pytest.mark.usefixtures("lab")
def test_another_mac_gets_a_lease_of_its_own(leased_guest, target, claim):
    tools, mac, address = leased_guest.tools, leased_guest.macs[0], lease_of(leased_guest).address
    if known_to_server(target, mac) != address:
        raise ControlFailed("the LAN's server does not know the guest by its first MAC address")
    leased_guest.check(f"{tools.network_down}; rm -f /run/qemunet/lease.*; ip link set eth0 down")
    before = len(dhcp_messages(leased_guest))
    leased_guest.check(f"ip link set eth0 address {OTHER_MAC}; {tools.network_up}")
    asked = Deadline(ASKING_SECONDS, "an answer to a DHCP client")
    if not asked.sees(lambda: is_answered_or_knows_better(dhcp_messages(leased_guest)[before:]), interval_seconds=0.2):
        raise ControlFailed("the guest has hardly asked for a second lease")
    assert "ack" in dhcp_messages(leased_guest)[before:], "nobody gives the guest a lease for its other MAC address"
    other = lease_of(leased_guest).address
    known = {each: known_to_server(target, each) for each in (mac, OTHER_MAC)}
    kept = "two leases" if known == {mac: address, OTHER_MAC: other} else str(known)
    claim.sees(f"{kept}, {'each with an address of its own' if other != address else f'both with {address}'}")
    assert claim.observed == claim.expected, f"of {mac} and {OTHER_MAC}: {claim.observed}"


def is_answered_or_knows_better(messages):
    """Whether a client has got a lease, or has asked so often that nobody will give it any."""
    return "ack" in messages or messages.count("discover") >= ENOUGH_QUESTIONS


@pytest.mark.claim("bridge/ipv6-autoconf")
def test_a_guest_makes_itself_an_address(bridge_guest_with, advertised_bridge, claim):
    bridge, prefix = advertised_bridge
    guest = bridge_guest_with(netdev(bridge))
    made = made_addresses(guest, wait_seconds=12)
    claim.expects(address_of_mac(prefix, guest.macs[0]))
    claim.sees(", ".join(made) or "no address")
    assert claim.observed == claim.expected, f"of {prefix} the guest makes itself {claim.observed}"
