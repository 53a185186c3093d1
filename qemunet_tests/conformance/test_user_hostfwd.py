"""What the documentation promises of port forwarding, `hostfwd=[tcp|udp]:[hostaddr]:hostport-[guestaddr]:guestport`."""

import socket

import pytest

from qemunet_tests.conformance.promises import promise
from qemunet_tests.guest.ssh import log_in
from qemunet_tests.modes.user import netdev
from qemunet_tests.observe.lease import lease_of
from qemunet_tests.observe.process import listening_sockets
from qemunet_tests.observe.reach import put_up, read_at

SERVICE = 7007

#: Ways to write a rule wrong, and the reason QEMU gives.
WRONG = {
    "2222": "No : separators",
    "sctp::2222-:22": "Bad protocol name",
    "tcp:2222": "Missing : separator",
    "tcp:2222-:22": "Bad host address",
    "tcp:localhost:2222-:22": "Bad host address",
    "tcp:[::1]:2222-:22": "Bad host address",
    "tcp::2222:22": "Bad host port separator",
    "tcp::ssh-:22": "Bad host port",
    "tcp::2222-22": "Missing guest address",
    "tcp::2222-guest:22": "Bad guest address",
    "tcp::2222-:ssh": "Bad guest port",
}
#: Wrong rules of which some QEMU takes one, and how the claim calls that. Its table says which QEMU.
LENIENCE = {"tcp::-:22": "empty-host-port", "tcp::2222x-:22": "junk-after-port"}


@pytest.mark.claim("user/hostfwd-ssh-2222")
def test_ssh_through_the_documented_forward(forwarding_guest, target, ssh_key, claim):
    assert lease_of(forwarding_guest)
    session = claim.sees(log_in(ssh_key, forwarding_guest, target.host, "127.0.0.1", 2222))
    assert session.in_the_guest, session.trouble


def the_host(target):
    """The host itself, at its loopback address."""
    return target.host, "127.0.0.1"


def the_lan(target):
    """Somebody on the LAN, at the host's address there."""
    return target.caller, target.address


@pytest.mark.parametrize(
    ("rule", "gets_in", "kept_out"),
    [
        promise("user/hostfwd-udp", "udp::2222-:7007", {"the guest": the_host}, {}),
        promise(
            "user/hostfwd-any-address",
            "tcp::2222-:7007",
            {"to the host:": the_host, "caution, to anybody on the LAN:": the_lan},
            {},
        ),
        promise(
            "user/hostfwd-loopback-only",
            "tcp:127.0.0.1:2222-:7007",
            {"to the host:": the_host},
            {"to the LAN:": the_lan},
        ),
    ],
)
def test_whom_a_forward_lets_in(user_guest_with, target, claim, rule, gets_in, kept_out):
    guest, protocol = user_guest_with(rule), rule[:3].upper()
    assert lease_of(guest)
    word = put_up(guest, SERVICE, protocol)
    callers = {who: caller(target) for who, caller in (gets_in | kept_out).items()}
    said = {who: read_at(station, address, 2222, protocol) for who, (station, address) in callers.items()}
    claim.sees("; ".join(f"{who} {answer}" for who, answer in said.items()))
    for who in gets_in:
        assert said[who].word == word, said[who].trouble
    for who in kept_out:
        assert not said[who].word, f"{who} it answers as well"


@pytest.mark.claim("user/hostfwd-one-address")
def test_one_of_several_addresses_is_forwarded(user_guest_with, second_address, target, claim):
    guest = user_guest_with(f"tcp:{second_address}:2222-:7007")
    assert lease_of(guest)
    word = put_up(guest, SERVICE)
    given = read_at(target.neighbour, second_address, 2222)
    others = [read_at(target.host, "127.0.0.1", 2222), read_at(target.neighbour, target.address, 2222)]
    claim.sees(f"{second_address}: {given}; 127.0.0.1: {others[0]}; {target.address}: {others[1]}")
    assert given.word == word, given.trouble
    assert not any(other.word for other in others), "other addresses are forwarded too"


@pytest.mark.claim("user/hostfwd-guest-default")
def test_without_a_guest_address_the_first_lease_is_meant(user_guest_with, target, claim):
    guest = user_guest_with("tcp::2222-:7007", "tcp::2223-10.0.2.77:7007", options=("dhcpstart=10.0.2.40",))
    got = lease_of(guest)
    word = put_up(guest, SERVICE)
    leased = read_at(target.host, "127.0.0.1", 2222)
    guest.check("ip addr flush dev eth0 && ip addr add 10.0.2.77/24 dev eth0")
    moved = read_at(target.host, "127.0.0.1", 2222, wait_seconds=2.0)
    claim.sees(f"with {got.address}: {leased}; with 10.0.2.77: {moved}")
    assert (got.address, leased.word) == ("10.0.2.40", word), leased.trouble
    assert read_at(target.host, "127.0.0.1", 2223).word == word, "the guest answers nowhere any more"
    assert moved.trouble == "no answer", "the forward followed the guest"


@pytest.mark.claim("user/hostfwd-guest-given")
def test_a_guest_address_can_be_given(user_guest_with, target, claim):
    guest = user_guest_with("tcp::2222-10.0.2.77:7007")
    assert lease_of(guest)
    guest.check("ip addr add 10.0.2.77/24 dev eth0")
    word = put_up(guest, SERVICE)
    answer = read_at(target.host, "127.0.0.1", 2222)
    claim.sees(f"the guest {answer}")
    assert answer.word == word, answer.trouble


@pytest.mark.claim("user/hostfwd-several")
def test_several_forwards_work_at_once(user_guest_with, target, claim):
    guest = user_guest_with("tcp::2222-:7007", "tcp::2223-:7008", "udp::2222-:7009")
    assert lease_of(guest)
    words = [put_up(guest, 7007), put_up(guest, 7008), put_up(guest, 7009, "UDP")]
    ways = (("TCP", 2222), ("TCP", 2223), ("UDP", 2222))
    answers = [read_at(target.host, "127.0.0.1", port, protocol) for protocol, port in ways]
    claim.sees(f"{sum(bool(answer.word) for answer in answers)} of 3 lead to the guest")
    assert [answer.word for answer in answers] == words, "; ".join(answer.trouble for answer in answers)


@pytest.mark.claim("user/hostfwd-bad-syntax")
def test_a_rule_that_is_written_wrong_is_refused(bench, claim):
    wrong = {**WRONG, **dict.fromkeys(LENIENCE, "Bad host port")}
    said = {rule: bench.attempt(netdevs=[netdev(hostfwd=(rule,))]) for rule in wrong}
    claim.sees(f"{sum(not each.started for each in said.values())} of {len(said)} are refused")
    taken = next((rule for rule in LENIENCE if said[rule].started), None)
    for rule, reason in wrong.items():
        if rule == taken:
            continue
        assert said[rule].status == 1, f"QEMU starts with the wrong rule {rule}"
        refusal = said[rule].complaints.refusal
        assert refusal.endswith(f"Invalid host forwarding rule '{rule}' ({reason})"), str(said[rule].complaints)
    if taken:
        claim.deviates(name=LENIENCE[taken])


@pytest.mark.claim("user/hostfwd-port-taken")
def test_a_taken_port_is_refused(bench, target, claim):
    rule = "tcp::2222-:22"
    with target.host.open_socket() as owner:
        # Connections of earlier tests may linger there.
        owner.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        owner.bind(("", 2222))
        owner.listen()
        refused = bench.attempt(netdevs=[netdev(hostfwd=(rule,))])
    refusal = refused.complaints.refusal
    claim.sees(f"refused: {refusal}" if refused.status else "not refused")
    assert refused.status == 1, "QEMU starts although the port is taken"
    assert refusal.endswith(f"Could not set up host forwarding rule '{rule}'"), str(refused.complaints)


@pytest.mark.claim("user/not-reachable-unforwarded")
def test_nothing_listens_for_a_guest_without_forwards(leased_guest, target, claim):
    listening = listening_sockets(leased_guest, target.host)
    claim.sees(", ".join(listening) or "QEMU listens nowhere")
    assert listening == []
