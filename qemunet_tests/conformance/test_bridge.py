"""What the documentation promises of bridged networking through qemu-bridge-helper, `-netdev bridge`."""

import os
from pathlib import Path

import pytest

from qemunet_tests.modes.bridge import netdev
from qemunet_tests.observe.bridge import bridge_of, helper_answer
from qemunet_tests.observe.lease import known_to_server, lease
from qemunet_tests.observe.nic import driver
from qemunet_tests.observe.process import backends, privileges, tap_of

# On a host, until its operator has named a bridge, nothing of this mode is tried.
pytestmark = pytest.mark.usefixtures("named_bridge")

NO_LEASE = "the guest got no lease"


@pytest.mark.claim("bridge/helper-found")
def test_this_qemu_finds_its_helper(bench, claim):
    helper = Path(bench.qemu.helper_path)
    claim.expects(f"{helper}, executable")
    executable = helper.is_file() and os.access(helper, os.X_OK)
    claim.sees(f"{helper}, {'executable' if executable else 'missing or not executable'}")
    assert executable


@pytest.mark.claim("bridge/setuid-works")
@pytest.mark.usefixtures("setuid_helper")
def test_the_setuid_bit_serves_an_ordinary_user(boot_bridged, target, claim):
    guest = boot_bridged(netdev(target.bridge, unaided=True))
    held = privileges(guest)
    bridge = bridge_of(target.host, tap_of(guest) or "")
    claim.sees(f"{held}, its tap is in {bridge or 'no bridge'}")
    assert (held.ordinary, bridge) == (True, target.bridge)


@pytest.mark.claim("bridge/setuid-missing")
@pytest.mark.usefixtures("plain_helper")
def test_without_the_setuid_bit_an_ordinary_user_gets_no_tap(bench, target, claim):
    attempt = bench.attempt(netdevs=[netdev(target.bridge, unaided=True)])
    assert claim.sees(helper_answer(attempt)) == claim.expected


@pytest.mark.claim("bridge/backend-is-tap-in-bridge")
def test_the_backend_is_a_tap_in_the_bridge(bridge_guest, target, claim):
    claim.expects(f"a tap in {target.bridge}")
    (backend,) = backends(bridge_guest)
    tap = tap_of(bridge_guest)
    bridge = tap and bridge_of(target.host, tap)
    claim.sees(f"a {backend.kind} in {bridge or 'no bridge'}")
    assert (backend.kind, bridge) == ("tap", target.bridge)


@pytest.mark.claim("bridge/e1000")
def test_the_documented_nic_works(e1000_bridge_guest, target, claim):
    claim.expects(f"e1000 {target.lan.pool}")
    got = lease(e1000_bridge_guest)
    assert got, NO_LEASE
    claim.sees(f"{driver(e1000_bridge_guest)} {got.address}")
    assert driver(e1000_bridge_guest) == "e1000"
    assert target.lan.leases(got.address)


@pytest.mark.claim("bridge/lease-address")
def test_the_lan_leases_an_address(bridge_guest, target, claim):
    claim.expects(target.lan.pool)
    got = lease(bridge_guest)
    assert got, NO_LEASE
    assert target.lan.leases(claim.sees(got.address))


@pytest.mark.claim("bridge/lease-gateway")
def test_the_lease_names_the_lans_router(bridge_guest, target, claim):
    claim.expects(target.lan.gateway)
    got = lease(bridge_guest)
    assert got, NO_LEASE
    assert claim.sees(got.gateway) == target.lan.gateway


@pytest.mark.claim("bridge/lease-dns")
def test_the_lease_names_the_lans_resolver(bridge_guest, target, claim):
    claim.expects(target.lan.resolver)
    got = lease(bridge_guest)
    assert got, NO_LEASE
    assert claim.sees(" ".join(got.resolvers)) == target.lan.resolver


@pytest.mark.claim("bridge/lease-known-to-server")
def test_the_lans_server_knows_the_lease(bridge_guest, target, claim):
    got = lease(bridge_guest)
    assert got, NO_LEASE
    assert claim.sees(known_to_server(target, bridge_guest.macs[0])) == claim.expects(got.address)
