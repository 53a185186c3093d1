"""Bridged guests are machines of the LAN: who reaches them there, and by which protocols."""

import secrets

import pytest

from qemunet_tests.guest.ssh import log_in
from qemunet_tests.observe.icmp import ping
from qemunet_tests.observe.lease import lease_of
from qemunet_tests.observe.raw_ip import (
    PROTOCOLS,
    WORD_BYTES,
    GuestListener,
    RawListener,
    send_from_guest,
    send_from_station,
)
from qemunet_tests.observe.reach import put_up, read_at

# On a host, until its operator has named a bridge, nothing of this mode is tried.
pytestmark = pytest.mark.usefixtures("named_bridge")

#: Nobody ever heard of a service there.
ANY_PORT = 34567


@pytest.mark.claim("bridge/reachable-ping")
def test_a_neighbour_pings_the_guest(leased_guest, target, claim):
    claim.expects(f"echo replies to {target.caller_address}")
    assert claim.sees(ping(target.caller, lease_of(leased_guest).address)).whole, "the guest does not answer"


@pytest.mark.claim("bridge/reachable-ssh")
def test_a_neighbour_logs_in_to_the_guest(leased_guest, target, ssh_key, claim):
    session = claim.sees(log_in(ssh_key, leased_guest, target.caller, lease_of(leased_guest).address, 22))
    assert session.in_the_guest, session.trouble


@pytest.mark.claim("bridge/reachable-tcp")
def test_a_neighbour_reaches_any_tcp_port_of_the_guest(leased_guest, target, claim):
    address = lease_of(leased_guest).address
    answer = read_at(put_up(leased_guest, ANY_PORT), target.caller, address, ANY_PORT)
    claim.sees(f"{address}:{ANY_PORT} {answer}")
    assert answer.right, answer.trouble


@pytest.mark.claim("bridge/icmp")
def test_ping_works_both_ways(leased_guest, target, claim):
    address = lease_of(leased_guest).address
    there, back = ping(leased_guest, target.caller_address), ping(target.caller, address)
    claim.sees(f"from the guest {there.received} of 3, to the guest {back.received} of 3 answered")
    assert (there.whole, back.whole) == (True, True), f"from the guest {there}, to the guest {back}"


@pytest.mark.claim("bridge/other-protocols-pass")
def test_other_protocols_pass_both_ways(leased_guest, target, claim):
    address = lease_of(leased_guest).address
    there, back = secrets.token_bytes(WORD_BYTES), secrets.token_bytes(WORD_BYTES)
    with RawListener(target.neighbour) as neighbour, GuestListener(leased_guest) as guest:
        send_from_guest(leased_guest, target.neighbour_echo.address, there)
        send_from_station(target.neighbour, address, back)
        passed = (neighbour.hears_all(there), guest.hears_all(back))
    claim.sees(f"{', '.join(PROTOCOLS)}: from the guest {passed[0]}, to the guest {passed[1]}")
    assert passed == (True, True)
