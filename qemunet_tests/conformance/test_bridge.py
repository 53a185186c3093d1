"""What the documentation promises of bridged networking through qemu-bridge-helper, `-netdev bridge`."""

import os
from pathlib import Path

import pytest

from qemunet_tests.harness import ssh
from qemunet_tests.harness.netdev import Bridge
from qemunet_tests.observe.backend import backends, bridge_of, tap_of
from qemunet_tests.observe.lease import lease
from qemunet_tests.observe.reach import bulk, ping

NO_LEASE = "the guest got no lease"
#: Tells one guest from every other, and from the host.
BOOT_ID = "cat /proc/sys/kernel/random/boot_id"
BULK_BYTES = 200 * 1024


@pytest.mark.claim("bridge/helper-found")
def test_this_qemu_finds_its_helper(bench, claim):
    helper = Path(bench.qemu.helper_path)
    claim.expects(f"{helper}, executable")
    executable = helper.is_file() and os.access(helper, os.X_OK)
    claim.sees(f"{helper}, {'executable' if executable else 'missing or not executable'}")
    assert executable


@pytest.mark.claim("bridge/acl-allow")
def test_an_allowed_bridge_may_be_used(bench, target, claim):
    attempt = bench.attempt(netdevs=[Bridge(target.bridge)])
    claim.sees("QEMU starts" if attempt.started else attempt.message)
    assert attempt.started


@pytest.mark.claim("bridge/acl-not-listed")
def test_a_bridge_that_is_not_listed_may_not_be_used(bench, claim):
    attempt = bench.attempt(netdevs=[Bridge("br-unlisted")])
    claim.sees("QEMU starts" if attempt.started else attempt.message.splitlines()[0])
    assert (attempt.status, attempt.message.splitlines()[0]) == (1, "access denied by acl file")


@pytest.mark.claim("bridge/backend-is-tap-in-bridge")
def test_the_backend_is_a_tap_in_the_bridge(bridge_guest, target, claim):
    claim.expects(f"a tap in {target.bridge}")
    (backend,) = backends(bridge_guest)
    tap = tap_of(bridge_guest)
    bridge = tap and bridge_of(target.host, tap)
    claim.sees(f"a {backend.kind} in {bridge or 'no bridge'}")
    assert (backend.kind, bridge) == ("tap", target.bridge)


@pytest.mark.claim("bridge/lease-address")
def test_the_lan_leases_an_address(bridge_guest, target, claim):
    claim.expects(f"{target.lan.first_lease} to {target.lan.last_lease}")
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
    known = {entry.mac: entry.address for entry in target.leases_known_to_server()}
    assert claim.sees(known.get(bridge_guest.macs[0])) == claim.expects(got.address)


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


@pytest.mark.claim("bridge/bulk-both-ways")
def test_bulk_data_passes_both_ways(bridge_guest, target, claim):
    assert lease(bridge_guest), NO_LEASE
    transfer = claim.sees(bulk(bridge_guest, target.neighbour_echo, BULK_BYTES))
    assert transfer.intact
