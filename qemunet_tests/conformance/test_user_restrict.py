"""What `restrict=on` cuts off, and what still passes: a peer at the wire of a QEMU that isolates its guest."""

import secrets

import pytest

from qemunet_tests.errors import ControlFailed
from qemunet_tests.network.services import DNS_QUESTION
from qemunet_tests.observe.dhcp_client import offered
from qemunet_tests.observe.forwarding import words_through
from qemunet_tests.observe.peer_stream import exchange
from qemunet_tests.observe.silence import answer_or_silence
from qemunet_tests.observe.tftp import DATA, TftpClient, tftp_in_words
from qemunet_tests.timeouts import turns

GATEWAY, RESOLVER = "10.0.2.2", "10.0.2.3"
RESTRICT = "restrict=on"


def services_of(target):
    """What a guest reaches that is not restricted: on the host, on its LAN, outside, and the resolver."""
    echoes = (target.neighbour_echo, target.outside_echo)
    return [(GATEWAY, target.loopback_echo.port), *((each.address, each.port) for each in echoes), (RESOLVER, 53)]


@pytest.mark.claim("user/restrict-lease")
def test_an_isolated_guest_has_a_lease_without_a_way_out(attach_user_peer, claim):
    offer = offered(attach_user_peer(RESTRICT))
    assert claim.sees(str(offer)) == claim.expected, f"an isolated guest is offered: {offer}"


@pytest.mark.claim("user/restrict-tcp")
def test_an_isolated_guest_is_refused_by_tcp(attach_stack, target, claim):
    services, free, isolated = services_of(target), attach_stack(), attach_stack(options=(RESTRICT,))
    if any(exchange(free, *service).outcome != "opened" for service in services):
        raise ControlFailed("without restrict=on, too, one of the services does not answer by TCP")
    outcomes = {service: exchange(isolated, *service).outcome for service in services}
    wrong = [f"{address}:{port}" for (address, port), outcome in outcomes.items() if outcome != "refused"]
    claim.sees(f"{len(services) - len(wrong)} of {len(services)} refused")
    assert not wrong, f"an isolated guest is not refused by TCP at {', '.join(wrong)}"


@pytest.mark.claim("user/restrict-udp")
def test_an_isolated_guest_is_not_heard_by_udp(attach_stack, target, claim):
    services, free, isolated = services_of(target), attach_stack(), attach_stack(options=(RESTRICT,))
    # Each from a port of its own: libslirp takes whoever was asked last from a port for the sender of all that comes.
    asked = {stack: {service: stack.open_udp() for service in services} for stack in (isolated, free)}
    for patience_seconds in turns(2.0):
        for ports in asked.values():
            for service, port in ports.items():
                port.send(DNS_QUESTION, *service)
        if free.until(lambda: len(answering(asked[free])) == len(services), patience_seconds):
            break
    # Who was asked later has answered: what was to come for the first to ask has come.
    else:
        raise ControlFailed("without restrict=on, too, one of the services does not answer by UDP")
    isolated.settle()
    heard = [f"{address}:{port}" for address, port in answering(asked[isolated])]
    claim.sees(f"{len(services) - len(heard)} of {len(services)} silent")
    assert not heard, f"an isolated guest is answered by UDP by {', '.join(heard)}"


def answering(asked):
    """Those that have answered where they were asked from."""
    return [service for service, port in asked.items() if any(each.sender == service for each in port.received)]


@pytest.mark.claim("user/restrict-ping")
def test_an_isolated_guest_pings_nobody(attach_user_peer, target, claim):
    peer = attach_user_peer(RESTRICT)
    answered = {address: answers_ping(peer, address) for address in (GATEWAY, RESOLVER)}
    claim.sees("; ".join(f"{address} {'answers' if said else 'is silent'}" for address, said in answered.items()))
    outside = target.outside_echo.address
    # Of what it may not send as a ping QEMU would say at once that it ends there.
    assert told_of_ping(peer, outside, b"", ttl=1) is None, f"with restrict=on a ping to {outside} is answered"
    if all(answered.values()):
        claim.deviates()
    else:
        assert not any(answered.values()), f"with restrict=on {claim.observed}"


def answers_ping(peer, address):
    """Whether an address of QEMU's own answers an echo request as it should."""
    word = secrets.token_bytes(16)
    answer = told_of_ping(peer, address, word)
    return answer is not None and (answer["IP"].src, bytes(answer["ICMP"])[:1], bytes(answer["ICMP"])[8:24]) == (
        address, bytes(1), word,
    )  # fmt: skip


def told_of_ping(peer, address, word, ttl=64):
    """What QEMU says by ICMP to an echo request; None where it says nothing."""
    from scapy.layers.inet import ICMP, IP
    from scapy.layers.l2 import Ether

    request = IP(src="10.0.2.15", dst=address, ttl=ttl) / ICMP(id=7, seq=1) / word
    return answer_or_silence(peer, Ether(src=peer.mac, dst=mac_of(GATEWAY)) / request, lambda each: ICMP in each)


def mac_of(address):
    """libslirp's, of an address of its own: 52:55 and the address."""
    return ":".join(["52", "55", *(f"{int(octet):02x}" for octet in address.split("."))])


@pytest.mark.claim("user/restrict-tftp")
def test_an_isolated_guest_gets_no_file(served_folder, attach_user_peer, claim):
    content = secrets.token_bytes(100)
    (served_folder / "there").write_bytes(content)
    (served_folder / "there").chmod(0o644)
    answer = TftpClient(attach_user_peer(RESTRICT, f"tftp={served_folder}"), GATEWAY).read("there")
    claim.sees("served" if answer and (answer.kind, answer.content) == (DATA, content) else tftp_in_words(answer))
    if claim.observed == "served":
        claim.deviates()
    else:
        assert not answer or answer.kind != DATA, f"with restrict=on a request is answered: {tftp_in_words(answer)}"


@pytest.mark.claim("user/restrict-hostfwd")
def test_forwards_lead_to_an_isolated_guest(attach_stack, target, claim):
    forwards = ("tcp:127.0.0.1:2222-10.0.2.15:22", "udp:127.0.0.1:2223-10.0.2.15:23")
    stack = attach_stack(*forwards, options=(RESTRICT,))
    stack.settle()
    by_tcp = words_through(stack, target.host, ("127.0.0.1", 2222), 22)
    by_udp = words_through(stack, target.host, ("127.0.0.1", 2223), 23, "UDP")
    claim.sees(f"TCP: {by_tcp}; UDP: {by_udp}")
    if claim.observed == "TCP: both ways; UDP: only in":
        claim.deviates()
    else:
        assert claim.observed == claim.expected, f"through forwards to an isolated guest: {claim.observed}"


@pytest.mark.claim("user/restrict-guestfwd")
def test_guest_forwards_serve_an_isolated_guest(attach_stack, target, claim):
    service, elsewhere = target.loopback_echo, target.neighbour_echo
    to_socket, to_program = f"tcp:{service.address}:{service.port}", "cmd:cat"
    # The second at a port at which somebody else serves as well.
    rules = (f"guestfwd=tcp:10.0.2.100:80-{to_socket}", f"guestfwd=tcp:10.0.2.101:{elsewhere.port}-{to_program}")
    stack, word = attach_stack(options=(RESTRICT, *rules)), secrets.token_bytes(16)
    ways = {"a socket": ("10.0.2.100", 80), "a program": ("10.0.2.101", elsewhere.port)}
    became = {name: exchange(stack, *way, word, len(word)) for name, way in ways.items()}
    said = [f"{name}: {passed(each, word)}" for name, each in became.items()]
    said.append(f"that port elsewhere: {exchange(stack, elsewhere.address, elsewhere.port).outcome}")
    claim.sees("; ".join(said))
    assert claim.observed == claim.expected, f"guest forwards of an isolated guest lead to {claim.observed}"


def passed(became, word):
    """What became of a word to a service that sends back what it gets."""
    if became.outcome != "opened":
        return became.outcome
    return "both ways" if became.received == word else "the word does not come back"
