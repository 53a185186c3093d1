"""What the documentation promises of port forwarding, `hostfwd=[tcp|udp]:[hostaddr]:hostport-[guestaddr]:guestport`."""

import socket

import pytest

from qemunet_tests.conformance.promises import promise
from qemunet_tests.guest.ssh import log_in
from qemunet_tests.isolation.station import SOCKETS
from qemunet_tests.modes.user import netdev
from qemunet_tests.observe.capture import GuestCapture
from qemunet_tests.observe.forwarding import forwards
from qemunet_tests.observe.host_names import known_to_programs
from qemunet_tests.observe.lease import lease_of
from qemunet_tests.observe.process import listening_sockets
from qemunet_tests.observe.reach import put_up, read_at

SERVICE = 7007
#: How often the host calls once more where it is neither answered nor seen as its loopback address alone.
ROUNDS = 3
#: What QEMU keeps of a rule, net/slirp.c.
LONGEST_RULE = 1023

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
    # As ssh(1) does, which tries all that the name stands for.
    named = known_to_programs(target.host, "localhost", "ahosts")
    address = next((each for each in named if ":" not in each), named[0] if named else "127.0.0.1")
    session = claim.sees(log_in(ssh_key, forwarding_guest, target.host, address, 2222))
    assert session.in_the_guest, f"{address}: {session.trouble}"


def the_host(target):
    """The host itself, at its loopback address."""
    return target.host, "127.0.0.1"


def the_lan(target):
    """Somebody on the LAN, at the host's address there."""
    return target.caller, target.address


@pytest.mark.claim("user/hostfwd-udp")
def test_datagrams_pass_a_udp_forward(user_guest_with, target, claim):
    guest = user_guest_with("udp::2222-:7007")
    got, service = lease_of(guest), put_up(guest, SERVICE, "UDP")

    def called_by(caller, wait_seconds=10.0):
        station, address = caller(target)
        return read_at(service, station, address, 2222, wait_seconds)

    host, lan = called_by(the_host), called_by(the_lan)
    for _ in range(ROUNDS):
        wire = GuestCapture(guest)
        # Silence is what is known of some, and waited for no longer than it takes to be told from slowness.
        again = called_by(the_host, wait_seconds=2.0)
        came = {packet.source for packet in wire.packets() if packet.target == got.address and packet.second == SERVICE}
        # That one datagram of several was lost says nothing: not even that it was the forward that lost it.
        if again.right or came == {"127.0.0.1"} or not (host.right and lan.right):
            break
    claim.sees(f"to the host: {host}; to the LAN: {lan}; to the host after that: {again}")
    assert host.right, host.trouble
    assert lan.right, lan.trouble
    if not again.right:
        assert came == {"127.0.0.1"}, f"{again.trouble}, {ROUNDS} times, to {' and '.join(sorted(came)) or 'nobody'}"
        claim.deviates(name="loopback-shown-after-the-lan")


@pytest.mark.parametrize(
    ("rule", "gets_in", "kept_out"),
    [
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
    guest = user_guest_with(rule)
    assert lease_of(guest)
    service = put_up(guest, SERVICE)
    callers = {who: caller(target) for who, caller in (gets_in | kept_out).items()}
    said = {who: read_at(service, station, address, 2222) for who, (station, address) in callers.items()}
    claim.sees("; ".join(f"{who} {answer}" for who, answer in said.items()))
    for who in gets_in:
        assert said[who].right, said[who].trouble
    for who in kept_out:
        assert not said[who].answered, f"{who} {said[who]}"


@pytest.mark.claim("user/hostfwd-one-address")
def test_one_of_several_addresses_is_forwarded(user_guest_with, second_address, target, claim):
    guest = user_guest_with(f"tcp:{second_address}:2222-:7007")
    assert lease_of(guest)
    service = put_up(guest, SERVICE)
    given = read_at(service, target.neighbour, second_address, 2222)
    others = [
        read_at(service, target.host, "127.0.0.1", 2222),
        read_at(service, target.neighbour, target.address, 2222),
    ]
    claim.sees(f"{second_address}: {given}; 127.0.0.1: {others[0]}; {target.address}: {others[1]}")
    assert given.right, given.trouble
    assert not any(other.answered for other in others), "other addresses are forwarded too"


@pytest.mark.claim("user/hostfwd-guest-default")
def test_without_a_guest_address_the_first_lease_is_meant(user_guest_with, target, claim):
    guest = user_guest_with("tcp::2222-:7007", "tcp::2223-10.0.2.77:7007", options=("dhcpstart=10.0.2.40",))
    got, service = lease_of(guest), put_up(guest, SERVICE)
    leased = claim.sees(read_at(service, target.host, "127.0.0.1", 2222))
    assert (got.address, leased.trouble) == ("10.0.2.40", ""), leased.trouble
    guest.check("ip addr flush dev eth0 && ip addr add 10.0.2.77/24 dev eth0")
    moved, there = (read_at(service, target.host, "127.0.0.1", port, wait_seconds=2.0) for port in (2222, 2223))
    claim.sees(f"with {got.address}: {leased}; with 10.0.2.77: {moved}")
    # Whoever looks for a cause is not to find what was moved here.
    guest.check(f"ip addr add {got.interface} dev eth0")
    assert there.right, f"the guest answers nowhere any more: {there.trouble}"
    assert moved.trouble == "no answer", "the forward followed the guest"


@pytest.mark.claim("user/hostfwd-guest-given")
def test_a_guest_address_can_be_given(user_guest_with, target, claim):
    guest = user_guest_with("tcp::2222-10.0.2.77:7007")
    assert lease_of(guest)
    # The leased address goes: a forward that led there would find the guest as well.
    guest.check("ip addr flush dev eth0 && ip addr add 10.0.2.77/24 dev eth0")
    answer = read_at(put_up(guest, SERVICE), target.host, "127.0.0.1", 2222)
    claim.sees(f"the guest {answer}")
    assert answer.right, answer.trouble


@pytest.mark.claim("user/hostfwd-several")
def test_several_forwards_work_at_once(user_guest_with, target, claim):
    guest = user_guest_with("tcp::2222-:7007", "tcp::2223-:7008", "udp::2222-:7009")
    assert lease_of(guest)
    services = {
        ("TCP", 2222): put_up(guest, 7007),
        ("TCP", 2223): put_up(guest, 7008),
        ("UDP", 2222): put_up(guest, 7009, "UDP"),
    }
    said = {way: read_at(service, target.host, "127.0.0.1", way[1]) for way, service in services.items()}
    wrong = "; ".join(f"{protocol} {port}: {answer}" for (protocol, port), answer in said.items() if not answer.right)
    claim.sees(f"{sum(answer.right for answer in said.values())} of 3 lead to the guest{wrong and f' ({wrong})'}")
    assert not wrong, wrong


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


@pytest.mark.claim("user/hostfwd-name")
def test_a_name_is_no_address(bench, claim):
    rules = {"tcp:localhost:2222-:22": "Bad host address", "tcp::2222-localhost:22": "Bad guest address"}
    said = {rule: bench.attempt(netdevs=[netdev(hostfwd=(rule,))]) for rule in rules}
    claim.sees(f"{sum(not each.started for each in said.values())} of {len(said)} are refused")
    for rule, reason in rules.items():
        assert said[rule].status == 1, f"QEMU starts with the name in {rule}"
        assert said[rule].complaints.refusal.endswith(f"({reason})"), str(said[rule].complaints)


@pytest.mark.claim("user/hostfwd-long-rule")
def test_a_rule_of_a_thousand_bytes(bench, attach_stack, claim):
    head = "tcp:127.0.0.1:2222-10.0.2.15:"
    # Octal: 7 up to the byte at which it is cut, 63 with the one after that.
    rule = f"{head}{'0' * (LONGEST_RULE - len(head) - 1)}77"
    if not bench.attempt(netdevs=[netdev(hostfwd=(rule,))]).started:
        claim.sees("refused")
        return
    ports = [each.target[1] for each in forwards(attach_stack(rule).peer)]
    claim.sees(f"taken, to port {' '.join(map(str, ports)) or 'none'} and not 63")
    assert ports == [7], f"of a rule of {len(rule)} bytes, {claim.observed}"
    claim.deviates()


@pytest.mark.claim("user/hostfwd-port-taken")
@pytest.mark.parametrize("protocol", ["TCP", "UDP"])
def test_a_taken_port_is_refused(bench, target, claim, protocol):
    rule = f"{protocol.lower()}::2222-:22"
    with target.host.open_socket(SOCKETS[protocol]) as owner:
        if protocol == "TCP":
            # Connections of earlier tests may linger there.
            owner.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        owner.bind(("", 2222))
        if protocol == "TCP":
            owner.listen()
        refused = bench.attempt(netdevs=[netdev(hostfwd=(rule,))])
    refusal = refused.complaints.refusal
    claim.sees(f"refused: {refusal.rpartition(': ')[2]}" if refused.status else "not refused")
    assert refused.status == 1, "QEMU starts although the port is taken"
    assert refusal.endswith(f"Could not set up host forwarding rule '{rule}'"), str(refused.complaints)


@pytest.mark.claim("user/not-reachable-unforwarded")
def test_nothing_listens_for_a_guest_without_forwards(leased_guest, target, claim):
    listening = listening_sockets(leased_guest, target.host)
    claim.sees(", ".join(listening) or "QEMU listens nowhere")
    assert listening == []
