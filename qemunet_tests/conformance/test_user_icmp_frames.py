"""What libslirp makes of a single echo request: asked by a scapy peer, whole message for whole message."""

import pytest

from qemunet_tests.guest.icmp_error import IcmpError
from qemunet_tests.network import lab_addresses
from qemunet_tests.observe.arp import who_has
from qemunet_tests.observe.icmp import require_errors_told
from qemunet_tests.observe.peer_ping import PingAnswer, ask_echo, ping_in_words

GATEWAY, RESOLVER, SHARE = "10.0.2.2", "10.0.2.3", "10.0.2.4"
OUTSIDE = lab_addresses.OUTSIDE
#: Documentation addresses, RFC 5737: nobody has one, and the lab's router says so.
NOBODY, NOBODYS_NETWORK = "198.51.100.1", "198.51.100.0/24"
#: RFC 792: types of errors, and a code of "unreachable".
UNREACHABLE, TIME_EXCEEDED, NETWORK = 3, 11, 0


@pytest.mark.claim("user/icmp-resolver")
def test_the_resolver_answers_ping(user_stack, claim):
    answer = ask_echo(user_stack, RESOLVER)
    seen = claim.sees(ping_in_words(answer))
    assert answer == PingAnswer(RESOLVER, code=0, same=True), seen


@pytest.mark.claim("user/icmp-no-route")
def test_a_guest_is_told_where_the_host_has_no_way(user_stack, lab, claim):
    lab.host.netlink.route("add", dst=NOBODYS_NETWORK, type="unreachable")
    try:
        answer = ask_echo(user_stack, NOBODY)
    finally:
        lab.host.netlink.route("del", dst=NOBODYS_NETWORK, type="unreachable")
    seen = claim.sees(ping_in_words(answer))
    assert answer == IcmpError(GATEWAY, UNREACHABLE, NETWORK), seen


@pytest.mark.claim("user/icmp-raw-dead-host")
def test_nobody_answers_for_the_dead(bench, host_of_raw_sockets, attach_stack, claim):
    with bench.varied(station=host_of_raw_sockets):
        stack = attach_stack(capabilities=("net_raw",))
    assert ask_echo(stack, OUTSIDE) == PingAnswer(OUTSIDE, code=0, same=True), "not even the living answer"
    answer = ask_echo(stack, NOBODY)
    seen = claim.sees(ping_in_words(answer))
    if not answer:
        require_errors_told(host_of_raw_sockets, NOBODY)
    elif answer != IcmpError(lab_addresses.ROUTER, UNREACHABLE, NETWORK):
        assert answer == PingAnswer(NOBODY, code=0, same=False), seen
        claim.deviates(name="error-as-reply")


@pytest.mark.claim("user/icmp-ttl")
def test_a_request_with_a_hop_to_live_ends_at_the_gateway(bench, host_with_open_gate, attach_stack, claim):
    with bench.varied(station=host_with_open_gate):
        stack = attach_stack()
    assert ask_echo(stack, OUTSIDE) == PingAnswer(OUTSIDE, code=0, same=True), "not even one with many hops is answered"
    answer = ask_echo(stack, OUTSIDE, ttl=1)
    seen = claim.sees(ping_in_words(answer))
    if answer != IcmpError(GATEWAY, TIME_EXCEEDED, 0):
        assert answer == PingAnswer(OUTSIDE, code=0, same=True), seen
        claim.deviates(name="goes-on")


@pytest.mark.claim("user/icmp-share")
@pytest.mark.usefixtures("lab")
def test_the_share_answers_ping(attach_stack, shared_folder, claim):
    stack = attach_stack(options=(f"smb={shared_folder}",))
    assert who_has(stack.peer, SHARE), "nobody answers for the share"
    answer = ask_echo(stack, SHARE)
    seen = claim.sees(ping_in_words(answer))
    if answer != PingAnswer(SHARE, code=0, same=True):
        assert answer == IcmpError(lab_addresses.ROUTER, UNREACHABLE, NETWORK), seen
        claim.deviates(name="asked-outside")
