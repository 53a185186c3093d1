"""The DHCP server of user networking, asked by a scapy peer for every field of what it says."""

import pytest

from qemunet_tests.conformance.promises import promise
from qemunet_tests.observe.dhcp_client import ask_dhcp

PLAIN_OPTIONS = (53, 54, 1, 3, 6, 51)


def offered(peer, *options, **how):
    """The offer to a DISCOVER; a peer without any is told nothing."""
    offer = ask_dhcp(peer, "discover", *options, **how)
    assert offer, "QEMU's DHCP server does not answer a DISCOVER"
    return offer


@pytest.mark.claim("user/dhcp-server-is-gateway")
def test_the_gateway_leases(user_peer, claim):
    offer = offered(user_peer)
    claim.sees(f"from {offer.source}, option 54: {offer.option(54) or 'none'}, siaddr: {offer.server}")
    assert claim.observed == claim.expected, f"the offer comes {claim.observed}"


@pytest.mark.claim("user/dhcp-options-exact")
def test_an_offer_has_these_options_and_no_other(user_peer, claim):
    offer = offered(user_peer)
    assert claim.sees(str(offer)) == claim.expected, f"the offer has other options: {offer}"


@pytest.mark.parametrize(
    ("option", "number", "value"),
    [promise("user/hostname", "hostname", 12, "vm.example")],
)
def test_an_option_of_qemu_is_an_option_of_dhcp(attach_user_peer, claim, option, number, value):
    told = offered(attach_user_peer(f"{option}={value}"))
    plain = offered(attach_user_peer())
    claim.sees(f"option {number}: {told.option(number) or 'none'}; without {option}=: {plain.option(number) or 'none'}")
    assert claim.observed == claim.expected, f"with {option}={value}: {claim.observed}"
    others = [each for each in told.options if each[0] != number]
    assert others == list(plain.options), f"with {option}={value} other options differ: {told}"
