"""What the documentation promises of `-netdev bridge` beyond what every mode does: its helper, and the tap it makes."""

import os
from pathlib import Path

import pytest

from qemunet_tests.modes.bridge import netdev
from qemunet_tests.observe.bridge import bridge_of, helper_answer
from qemunet_tests.observe.lease import known_to_server, lease_of
from qemunet_tests.observe.process import backends, privileges, tap_of

# On a host, until its operator has named a bridge, nothing of this mode is tried.
pytestmark = pytest.mark.usefixtures("named_bridge")


@pytest.mark.claim("bridge/helper-found")
def test_this_qemu_finds_its_helper(bench, claim):
    helper = Path(bench.qemu.helper_path)
    claim.expects(f"{helper}, executable")
    executable = helper.is_file() and os.access(helper, os.X_OK)
    claim.sees(f"{helper}, {'executable' if executable else 'missing or not executable'}")
    assert executable


@pytest.mark.claim("bridge/setuid-works")
@pytest.mark.usefixtures("setuid_helper")
def test_the_setuid_bit_serves_an_ordinary_user(bridge_guest_with, target, claim):
    guest = bridge_guest_with(netdev(target.bridge, unaided=True))
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
def test_the_backend_is_a_tap_in_the_bridge(guest, bench, target, claim):
    claim.expects(f"a tap in {target.bridge}, gone with QEMU")
    (backend,) = backends(guest)
    tap = tap_of(guest)
    bridge = tap and bridge_of(target.host, tap)
    claim.sees(f"a {backend.kind} in {bridge or 'no bridge'}")
    assert (backend.kind, bridge) == ("tap", target.bridge)
    bench.discard(guest)
    gone = target.host.index(tap) is None
    claim.sees(f"a tap in {bridge}, {'gone with QEMU' if gone else 'there without QEMU'}")
    assert gone, f"{tap} is still there, and QEMU has ended"


@pytest.mark.claim("bridge/lease-known-to-server")
def test_the_lans_server_knows_the_lease(leased_guest, target, claim):
    address = lease_of(leased_guest).address
    assert claim.sees(known_to_server(target, leased_guest.macs[0])) == claim.expects(address)
