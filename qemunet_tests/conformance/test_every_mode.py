"""What every mode promises: an address, a network, a way out. Each row is the promise of one mode, and bears its claim.

What the network of a mode is like is asked of the mode (`network`): in user mode it is the same on every host.
"""

import pytest

from qemunet_tests.conformance.promises import promise
from qemunet_tests.observe.lease import lease_of
from qemunet_tests.observe.nic import driver
from qemunet_tests.observe.reach import echoes
from qemunet_tests.observe.tcp import bulk


@pytest.mark.parametrize("told", [promise("user/address", "interface"), promise("bridge/lease-address", "address")])
def test_dhcp_gives_an_address_of_the_network(guest, network, claim, told):
    claim.expects(network.pool)
    given = claim.sees(getattr(lease_of(guest), told))
    assert network.leases(given), f"{given} is no address that the network gives"


@pytest.mark.parametrize(
    "who",
    [
        promise("user/gateway", "gateway"),
        promise("user/dns-offered", "resolver"),
        promise("bridge/lease-gateway", "gateway"),
        promise("bridge/lease-dns", "resolver"),
        promise("bridge/lease-server", "server"),
    ],
)
def test_the_lease_names_who_serves_the_network(guest, network, claim, who):
    claim.expects(getattr(network, who))
    assert claim.sees(getattr(lease_of(guest), who)) == claim.expected


@pytest.mark.parametrize("nic_model", ["e1000"])
@pytest.mark.parametrize("told", [promise("user/e1000", "interface"), promise("bridge/e1000", "address")])
def test_the_documented_nic_works(guest, network, claim, nic_model, told):
    claim.expects(f"{nic_model} {network.pool}")
    address = getattr(lease_of(guest), told)
    claim.sees(f"{driver(guest)} {address}")
    assert driver(guest) == nic_model
    assert network.leases(address), f"{address} is no address that the network gives"


@pytest.mark.parametrize(
    ("place", "protocols"),
    [
        promise("user/reach-lan-tcp", "neighbour_echo", ("TCP",)),
        promise("user/reach-lan-udp", "neighbour_echo", ("UDP",)),
        promise("user/reach-outside-tcp", "outside_echo", ("TCP",)),
        promise("user/reach-outside-udp", "outside_echo", ("UDP",)),
        promise("bridge/reach-lan", "neighbour_echo", None),
        promise("bridge/reach-outside", "outside_echo", None),
    ],
)
def test_the_guest_reaches_others(leased_guest, target, claim, place, protocols):
    """By these protocols; without any, by all that the service speaks."""
    service = getattr(target, place)
    asked = [protocol for protocol in protocols or service.protocols if service.by(protocol)]
    answered = [protocol for protocol in asked if echoes(leased_guest, protocol, service)]
    claim.sees(f"{service} {'answers' if answered else 'does not answer'} by {' and '.join(answered or asked)}")
    assert answered == asked


@pytest.mark.lengthy
@pytest.mark.parametrize(
    "size_bytes", [promise("user/bulk-both-ways", 10 * 1024 * 1024), promise("bridge/bulk-both-ways", 1024 * 1024)]
)
def test_bulk_data_passes_both_ways(leased_guest, target, claim, size_bytes):
    transfer = claim.sees(bulk(leased_guest, target.neighbour_echo.by("TCP"), size_bytes))
    assert transfer.intact, str(transfer)
