"""Bridged guests are machines of the LAN: who reaches them, whom they reach, by which protocol."""

import secrets

import pytest

from qemunet_tests.guest import ssh
from qemunet_tests.observe.icmp import ping
from qemunet_tests.observe.lease import lease
from qemunet_tests.observe.raw_ip import (
    PROTOCOLS,
    WORD_BYTES,
    GuestEar,
    RawListener,
    send_from_guest,
    send_from_station,
)
from qemunet_tests.observe.reach import echoes, put_up, read_at
from qemunet_tests.observe.tcp import bulk

# On a host, until its operator has named a bridge, nothing of this mode is tried.
pytestmark = pytest.mark.usefixtures("named_bridge")

NO_LEASE = "the guest got no lease"
#: Tells one guest from every other, and from the host.
BOOT_ID = "cat /proc/sys/kernel/random/boot_id"
BULK_BYTES = 1024 * 1024
#: Nobody ever heard of a service there.
ANY_PORT = 34567


@pytest.mark.claim("bridge/reachable-ping")
def test_a_neighbour_pings_the_guest(bridge_guest, target, claim):
    claim.expects(f"echo replies to {target.caller_address}")
    got = lease(bridge_guest)
    assert got, NO_LEASE
    assert claim.sees(ping(target.caller, got.address)).received == 3, "the guest does not answer"


@pytest.mark.claim("bridge/reachable-ssh")
def test_a_neighbour_logs_in_to_the_guest(bridge_guest, target, ssh_key, claim):
    got = lease(bridge_guest)
    assert got, NO_LEASE
    ssh_key.admit_to(bridge_guest)
    seconds = bridge_guest.pace.seconds(6)
    answer = ssh.ask(ssh_key, target.caller, got.address, 22, BOOT_ID, seconds)
    logged_in = answer.text == bridge_guest.check(BOOT_ID)
    claim.sees("a session in the guest" if logged_in else answer.complaint or "a session elsewhere")
    assert logged_in, answer.complaint


@pytest.mark.claim("bridge/reachable-tcp")
def test_a_neighbour_reaches_any_tcp_port_of_the_guest(bridge_guest, target, claim):
    got = lease(bridge_guest)
    assert got, NO_LEASE
    word = put_up(bridge_guest, ANY_PORT)
    answer = read_at(target.caller, got.address, ANY_PORT)
    claim.sees(f"{got.address}:{ANY_PORT} {answer}")
    assert answer.word == word, answer.trouble


@pytest.mark.claim("bridge/reach-lan")
def test_the_guest_reaches_a_neighbour(bridge_guest, target, claim):
    assert lease(bridge_guest), NO_LEASE
    service = target.neighbour_echo
    answered = tuple(protocol for protocol in service.protocols if echoes(bridge_guest, protocol, service))
    claim.sees(f"{service} answers by {' and '.join(answered) or 'none of them'}")
    assert answered == service.protocols


@pytest.mark.claim("bridge/reach-outside")
def test_the_guest_reaches_outside(bridge_guest, target, claim):
    assert lease(bridge_guest), NO_LEASE
    service = target.outside_echo
    answered = tuple(protocol for protocol in service.protocols if echoes(bridge_guest, protocol, service))
    claim.sees(f"{service} answers by {' and '.join(answered) or 'none of them'}")
    assert answered == service.protocols


@pytest.mark.claim("bridge/icmp")
def test_ping_works_both_ways(bridge_guest, target, claim):
    got = lease(bridge_guest)
    assert got, NO_LEASE
    there, back = ping(bridge_guest, target.caller_address), ping(target.caller, got.address)
    claim.sees(f"from the guest {there.received} of 3, to the guest {back.received} of 3 answered")
    assert (there.received, back.received) == (3, 3)


@pytest.mark.claim("bridge/other-protocols-pass")
def test_other_protocols_pass_both_ways(bridge_guest, target, claim):
    got = lease(bridge_guest)
    assert got, NO_LEASE
    there, back = secrets.token_bytes(WORD_BYTES), secrets.token_bytes(WORD_BYTES)
    with RawListener(target.neighbour) as neighbour, GuestEar(bridge_guest) as guest:
        send_from_guest(bridge_guest, target.neighbour_echo.address, there)
        send_from_station(target.neighbour, got.address, back)
        passed = (neighbour.hears_all(there), guest.hears_all(back))
    claim.sees(f"{', '.join(PROTOCOLS)}: from the guest {passed[0]}, to the guest {passed[1]}")
    assert passed == (True, True)


@pytest.mark.claim("bridge/bulk-both-ways")
def test_bulk_data_passes_both_ways(bridge_guest, target, claim):
    assert lease(bridge_guest), NO_LEASE
    transfer = claim.sees(bulk(bridge_guest, target.neighbour_echo, BULK_BYTES))
    assert transfer.intact, str(transfer)
