"""Bridged guests are machines of the LAN: who reaches them, whom they reach, by which protocol."""

import pytest

from qemunet_tests.harness import ssh
from qemunet_tests.observe.arrivals import arrives_at_guest, arrives_at_station, echoed, serve_echo
from qemunet_tests.observe.lease import lease
from qemunet_tests.observe.reach import bulk, echoes, ping

NO_LEASE = "the guest got no lease"
#: Tells one guest from every other, and from the host.
BOOT_ID = "cat /proc/sys/kernel/random/boot_id"
BULK_BYTES = 200 * 1024
#: Nobody ever heard of a service there.
ANY_PORT = 34567
#: RFC 3692 sets it aside for experiments.
ANY_PROTOCOL = 253


@pytest.mark.claim("bridge/reachable-ping")
def test_a_neighbour_pings_the_guest(bridge_guest, target, claim):
    got = lease(bridge_guest)
    assert got, NO_LEASE
    assert claim.sees(ping(target.neighbour, got.address)).received == 3, "the guest does not answer"


@pytest.mark.claim("bridge/reachable-ssh")
def test_a_neighbour_logs_in_to_the_guest(bridge_guest, target, ssh_key, claim):
    got = lease(bridge_guest)
    assert got, NO_LEASE
    ssh_key.admit_to(bridge_guest)
    seconds = bridge_guest.pace.seconds(6)
    answer = ssh.ask(ssh_key, target.neighbour, got.address, 22, BOOT_ID, seconds)
    logged_in = answer.text == bridge_guest.check(BOOT_ID)
    claim.sees("a session in the guest" if logged_in else answer.complaint or "a session elsewhere")
    assert logged_in, answer.complaint


@pytest.mark.claim("bridge/reachable-tcp")
def test_a_neighbour_reaches_any_tcp_port_of_the_guest(bridge_guest, target, claim):
    got = lease(bridge_guest)
    assert got, NO_LEASE
    serve_echo(bridge_guest, ANY_PORT)
    answered = echoed(target.neighbour, got.address, ANY_PORT)
    claim.sees(f"{got.address}:{ANY_PORT} {'answers' if answered else 'does not answer'}")
    assert answered, f"the neighbour gets no answer from port {ANY_PORT} of the guest"


@pytest.mark.claim("bridge/reach-lan")
@pytest.mark.parametrize("protocol", ["TCP", "UDP"])
def test_the_guest_reaches_a_neighbour(bridge_guest, target, protocol, claim):
    assert lease(bridge_guest), NO_LEASE
    answered = echoes(bridge_guest, protocol, target.neighbour_echo)
    claim.sees(f"{target.neighbour_echo} {'answers' if answered else 'does not answer'} by {protocol}")
    assert answered


@pytest.mark.claim("bridge/reach-outside")
@pytest.mark.parametrize("protocol", ["TCP", "UDP"])
def test_the_guest_reaches_outside(bridge_guest, target, protocol, claim):
    assert lease(bridge_guest), NO_LEASE
    answered = echoes(bridge_guest, protocol, target.outside_echo)
    claim.sees(f"{target.outside_echo} {'answers' if answered else 'does not answer'} by {protocol}")
    assert answered


@pytest.mark.claim("bridge/icmp")
def test_ping_works_both_ways(bridge_guest, target, claim):
    got = lease(bridge_guest)
    assert got, NO_LEASE
    there, back = ping(bridge_guest, target.neighbour_echo.address), ping(target.neighbour, got.address)
    claim.sees(f"from the guest {there.received} of 3, to the guest {back.received} of 3 answered")
    assert (there.received, back.received) == (3, 3)


@pytest.mark.claim("bridge/other-protocols-pass")
def test_any_ip_protocol_passes_both_ways(bridge_guest, target, claim):
    got = lease(bridge_guest)
    assert got, NO_LEASE
    there = arrives_at_station(bridge_guest, target.neighbour, target.neighbour_echo.address, ANY_PROTOCOL)
    back = arrives_at_guest(target.neighbour, bridge_guest, got.address, ANY_PROTOCOL)
    arrived = {(True, True): "both ways", (True, False): "from the guest only", (False, True): "to the guest only"}
    claim.sees(f"IP protocol {ANY_PROTOCOL} passes {arrived.get((there, back), 'not at all')}")
    assert there and back


@pytest.mark.claim("bridge/bulk-both-ways")
def test_bulk_data_passes_both_ways(bridge_guest, target, claim):
    assert lease(bridge_guest), NO_LEASE
    transfer = claim.sees(bulk(bridge_guest, target.neighbour_echo, BULK_BYTES))
    assert transfer.intact
