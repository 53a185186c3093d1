"""What the documentation promises of port forwarding, `hostfwd=[tcp|udp]:[hostaddr]:hostport-[guestaddr]:guestport`."""

import socket

import pytest

from qemunet_tests.guest import ssh
from qemunet_tests.host import ports
from qemunet_tests.modes.user import netdev
from qemunet_tests.observe.lease import lease
from qemunet_tests.observe.process import listening_sockets
from qemunet_tests.observe.reach import put_up, read_at

NO_LEASE = "the guest got no lease"
#: Tells one guest from every other, and from the host.
BOOT_ID = "cat /proc/sys/kernel/random/boot_id"
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
    assert lease(forwarding_guest), NO_LEASE
    ssh_key.admit_to(forwarding_guest)
    seconds = forwarding_guest.pace.seconds(6)
    answer = ssh.ask(ssh_key, target.host, "127.0.0.1", 2222, BOOT_ID, seconds)
    logged_in = answer.text == forwarding_guest.check(BOOT_ID)
    claim.sees("a session in the guest" if logged_in else answer.complaint or "a session elsewhere")
    assert logged_in, answer.complaint


@pytest.mark.claim("user/hostfwd-udp")
def test_a_datagram_passes_a_udp_forward(user_guest_with, target, claim):
    guest = user_guest_with("udp::2222-:7007")
    assert lease(guest), NO_LEASE
    word = put_up(guest, SERVICE, "UDP")
    answer = read_at(target.host, "127.0.0.1", 2222, "UDP")
    claim.sees(f"the guest {answer}")
    assert answer.word == word, answer.trouble


@pytest.mark.claim("user/hostfwd-any-address")
def test_without_an_address_the_whole_lan_gets_in(user_guest_with, target, claim):
    guest = user_guest_with("tcp::2222-:7007")
    assert lease(guest), NO_LEASE
    word = put_up(guest, SERVICE)
    host, lan = read_at(target.host, "127.0.0.1", 2222), read_at(target.caller, target.address, 2222)
    claim.sees(f"to the host: {host}; caution, to anybody on the LAN: {lan}")
    assert (host.word, lan.word) == (word, word), lan.trouble or host.trouble


@pytest.mark.claim("user/hostfwd-loopback-only")
def test_an_address_of_the_loopback_keeps_the_lan_out(user_guest_with, target, claim):
    guest = user_guest_with("tcp:127.0.0.1:2222-:7007")
    assert lease(guest), NO_LEASE
    word = put_up(guest, SERVICE)
    host, lan = read_at(target.host, "127.0.0.1", 2222), read_at(target.caller, target.address, 2222)
    claim.sees(f"to the host: {host}; to the LAN: {lan}")
    assert host.word == word, host.trouble
    assert not lan.word, "the LAN gets in as well"


@pytest.mark.claim("user/hostfwd-one-address")
def test_one_of_several_addresses_is_forwarded(user_guest_with, second_address, target, claim):
    guest = user_guest_with(f"tcp:{second_address}:2222-:7007")
    assert lease(guest), NO_LEASE
    word = put_up(guest, SERVICE)
    given = read_at(target.neighbour, second_address, 2222)
    others = [read_at(target.host, "127.0.0.1", 2222), read_at(target.neighbour, target.address, 2222)]
    claim.sees(f"{second_address}: {given}; 127.0.0.1: {others[0]}; {target.address}: {others[1]}")
    assert given.word == word, given.trouble
    assert not any(other.word for other in others), "other addresses are forwarded too"


@pytest.mark.claim("user/hostfwd-guest-default")
def test_without_a_guest_address_the_first_lease_is_meant(user_guest_with, target, claim):
    guest = user_guest_with("tcp::2222-:7007", "tcp::2223-10.0.2.77:7007", options=("dhcpstart=10.0.2.40",))
    got = lease(guest)
    assert got, NO_LEASE
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
    assert lease(guest), NO_LEASE
    guest.check("ip addr add 10.0.2.77/24 dev eth0")
    word = put_up(guest, SERVICE)
    answer = read_at(target.host, "127.0.0.1", 2222)
    claim.sees(f"the guest {answer}")
    assert answer.word == word, answer.trouble


@pytest.mark.claim("user/hostfwd-several")
def test_several_forwards_work_at_once(user_guest_with, target, claim):
    guest = user_guest_with("tcp::2222-:7007", "tcp::2223-:7008", "udp::2222-:7009")
    assert lease(guest), NO_LEASE
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
        found = ports.read(2222).obstacle()
    assert found, "the owner of the port is not found"
    claim.sees(f"refused: {found.reason}" if refused.status else "not refused")
    assert refused.status == 1, "QEMU starts although the port is taken"
    refusal = refused.complaints.refusal
    assert refusal.endswith(f"Could not set up host forwarding rule '{rule}'"), str(refused.complaints)
    assert found.remedy


@pytest.mark.claim("user/not-reachable-unforwarded")
def test_nothing_listens_for_a_guest_without_forwards(user_guest, target, claim):
    assert lease(user_guest), NO_LEASE
    listening = listening_sockets(user_guest, target.host)
    claim.sees(", ".join(listening) or "QEMU listens nowhere")
    assert listening == []
