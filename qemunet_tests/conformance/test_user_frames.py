"""Promises of user networking that are about frames: asked by a scapy peer, which needs no guest to boot.

On a peer's wire there is nobody but QEMU: what is wrong there is QEMU's own.
"""

import pytest

from qemunet_tests.conformance.promises import promise
from qemunet_tests.observe.lease import offer
from qemunet_tests.observe.peer_ping import PingAnswer, ask_echo, ping_in_words


@pytest.mark.parametrize(
    "told",
    [promise("user/address", "interface"), promise("user/gateway", "gateway"), promise("user/dns-offered", "resolver")],
)
def test_what_dhcp_offers_is_documented(user_peer, claim, told):
    for which in ("a DISCOVER", "a second one"):
        offered = offer(user_peer)
        assert offered, f"QEMU's user network offers nothing, though {which} was sent to it"
        seen = claim.sees(getattr(offered, told))
        wrong = f"QEMU's user network offers {seen or 'none'}, though {claim.expected} is documented"
        assert seen == claim.expected, wrong


@pytest.mark.claim("user/icmp-gateway")
@pytest.mark.parametrize("address", ["10.0.2.2", "10.0.2.3"])
def test_gateway_and_resolver_answer_an_echo_request(user_stack, claim, address):
    seen = ask_echo(user_stack, address)
    claim.sees(f"asked for {address}: {ping_in_words(seen)}")
    assert seen == PingAnswer(address, code=0, same=True), f"of QEMU's user network, on its own wire, {claim.observed}"
