"""Promises of user networking that are about frames: asked by a scapy peer, which needs no guest to boot."""

import pytest

from qemunet_tests.observe.icmp import echo_reply
from qemunet_tests.observe.lease import offer


@pytest.mark.claim("user/address")
def test_the_offer_has_the_documented_address(user_peer, claim):
    offered = offer(user_peer)
    assert offered, "nobody answers a DISCOVER"
    assert claim.sees(offered.interface) == claim.expected


@pytest.mark.claim("user/gateway")
def test_the_offer_names_the_gateway(user_peer, claim):
    offered = offer(user_peer)
    assert offered, "nobody answers a DISCOVER"
    assert claim.sees(offered.gateway) == claim.expected


@pytest.mark.claim("user/dns-offered")
def test_the_offer_names_the_resolver(user_peer, claim):
    offered = offer(user_peer)
    assert offered, "nobody answers a DISCOVER"
    assert claim.sees(" ".join(offered.resolvers)) == claim.expected


@pytest.mark.claim("user/icmp-gateway")
@pytest.mark.parametrize("address", ["10.0.2.2", "10.0.2.3"])
def test_gateway_and_resolver_answer_an_echo_request(user_peer, claim, address):
    answered = echo_reply(user_peer, address)
    claim.sees(f"{address} {'answers' if answered else 'is silent'}")
    assert answered
