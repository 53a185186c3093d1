"""How far user networking reaches by IPv6: the host, others, and what must not pass."""

import secrets

import pytest

from qemunet_tests.guest.icmp_error import IcmpError
from qemunet_tests.guest.peer_udp import PeerDatagram
from qemunet_tests.network import lab_addresses
from qemunet_tests.network.long_answers import answer_of
from qemunet_tests.observe import dhcpv6
from qemunet_tests.observe.neighbour_discovery import answers_before_router, neighbour
from qemunet_tests.observe.peer_dns import ask_by_peer, ask_by_station, dns_in_words, question
from qemunet_tests.observe.peer_ping import PingAnswer, ask_echo, ping_in_words
from qemunet_tests.observe.peer_stream import Refused, ask_stream
from qemunet_tests.timeouts import turns

HOST, RESOLVER, ROUTER = "fec0::2", "fec0::3", "fe80::2"
OUTSIDE, ECHO_PORT, LOOPBACK_PORT = lab_addresses.OUTSIDE_IPV6, lab_addresses.ECHO_PORT, lab_addresses.LOOPBACK_PORT
#: RFC 863: nobody of the lab serves it.
CLOSED_PORT = 9
#: RFC 1350: a read request.
TFTP_PORT, READ_FILE = 69, b"\0\1file\0octet\0"
#: RFC 4443: types of errors, and codes of "unreachable".
UNREACHABLE, TIME_EXCEEDED, NO_ROUTE, CLOSED = 1, 3, 0, 4
MTU_BYTES, HEADERS_BYTES = 1500, 48


def echoed(stack, address, port):
    """What becomes of a few bytes by TCP, and of a packet full of them by UDP."""
    few, full = secrets.token_bytes(40), secrets.token_bytes(MTU_BYTES - HEADERS_BYTES)
    by_tcp = ask_stream(stack, address, port, few, lambda got: len(got) >= len(few))
    by_udp = stack.ask_datagram(address, port, full)
    whole = PeerDatagram(address, port, full, (MTU_BYTES,))
    return {"TCP": "whole" if by_tcp == few else by_tcp, "UDP": "whole" if by_udp == whole else by_udp}


def outcomes_in_words(outcomes):
    """For people."""
    return "; ".join(f"{which}: {'no answer' if outcome is None else outcome}" for which, outcome in outcomes.items())


@pytest.mark.claim("user/ip6-gateway-is-host-loopback")
@pytest.mark.usefixtures("ipv6_lab")
def test_the_host_is_its_loopback(user_stack, claim):
    inside = echoed(user_stack, HOST, LOOPBACK_PORT)
    # What listens at the LAN's address only is not there.
    beside = echoed(user_stack, HOST, ECHO_PORT)
    seen = claim.sees(f"::1: {outcomes_in_words(inside)}; LAN address only: {outcomes_in_words(beside)}")
    assert inside == {"TCP": "whole", "UDP": "whole"}, seen
    assert beside["TCP"] == Refused(), seen
    assert isinstance(beside["UDP"], IcmpError), seen


@pytest.mark.claim("user/ip6-whole-prefix-is-host")
@pytest.mark.usefixtures("ipv6_lab")
def test_no_other_address_of_the_prefix_is_the_host(user_stack, claim):
    other = "fec0::77"
    assert echoed(user_stack, HOST, LOOPBACK_PORT) == {"TCP": "whole", "UDP": "whole"}, "not even the host is reached"
    assert neighbour(user_stack.peer, other) is None, f"a neighbour has {other}"
    outcome = echoed(user_stack, other, LOOPBACK_PORT)
    seen = claim.sees(f"{other}: {outcomes_in_words(outcome)}")
    if set(map(type, outcome.values())) != {IcmpError}:
        assert outcome == {"TCP": "whole", "UDP": "whole"}, seen
        claim.deviates(name="all-of-it")


@pytest.mark.claim("user/ip6-dns")
def test_names_are_resolved_by_ipv6(attach_stack, resolv_conf, ipv6_lab, claim):
    resolv_conf(f"nameserver {lab_addresses.ROUTER}\nnameserver {lab_addresses.NEIGHBOUR_IPV6}\n")
    stack, answers = attach_stack(), {}
    for name in ("www.example", lab_addresses.UNKNOWN_NAME):
        for protocol in ("UDP", "TCP"):
            asked = question(name)
            answers[name, protocol] = ask_by_peer(stack, RESOLVER, asked, protocol)
            right = ask_by_station(ipv6_lab.host, lab_addresses.NEIGHBOUR_IPV6, asked, protocol)
            assert right, "the resolver gives the host itself no answer"
            assert answers[name, protocol] == right, f"{name} by {protocol}: {dns_in_words(answers[name, protocol])}"
    claim.sees(
        "; ".join(f"{name} by {protocol}: {dns_in_words(answer)}" for (name, protocol), answer in answers.items())
    )


@pytest.mark.claim("user/ip6-resolver-other-port")
@pytest.mark.usefixtures("ipv6_lab")
def test_the_resolver_has_one_port(attach_stack, resolv_conf, claim):
    resolv_conf(f"nameserver {lab_addresses.NEIGHBOUR_IPV6}\n")
    stack = attach_stack()
    assert isinstance(ask_by_peer(stack, RESOLVER, question("www.example")), bytes), "the resolver answers no question"
    # There the machine that is the host's resolver answers by both.
    outcomes = echoed(stack, RESOLVER, ECHO_PORT)
    seen = claim.sees(outcomes_in_words(outcomes))
    assert outcomes == dict.fromkeys(("TCP", "UDP"), IcmpError(ROUTER, UNREACHABLE, NO_ROUTE)), seen


@pytest.mark.claim("user/ip6-tcp-out")
def test_tcp_reaches_others(user_stack, ipv6_lab, claim):
    outcomes = {}
    for address in (lab_addresses.NEIGHBOUR_IPV6, OUTSIDE):
        outcomes[address] = echoed(user_stack, address, ECHO_PORT)["TCP"]
    outcomes["a closed port"] = ask_stream(user_stack, OUTSIDE, CLOSED_PORT, b"?", bool)
    seen = claim.sees(outcomes_in_words(outcomes))
    assert outcomes == {lab_addresses.NEIGHBOUR_IPV6: "whole", OUTSIDE: "whole", "a closed port": Refused()}, seen
    told = user_stack.connect(OUTSIDE, ECHO_PORT).answer
    assert told and told.options == [("MSS", MTU_BYTES - 60)], (
        f"by IPv6 a connection is told of {told and told.options}"
    )
    callers = {(each.station, each.address) for each in ipv6_lab.echo.callers if ":" in each.address}
    for station in ("neighbour", "outside"):
        assert (station, lab_addresses.HOST_IPV6) in callers, f"another than the host has called the {station}"


@pytest.mark.claim("user/ip6-udp-out")
@pytest.mark.usefixtures("ipv6_lab")
def test_udp_reaches_others(user_stack, claim):
    outcomes = {}
    for address in (lab_addresses.NEIGHBOUR_IPV6, OUTSIDE):
        outcomes[address] = echoed(user_stack, address, ECHO_PORT)["UDP"]
    outcomes["a closed port"] = user_stack.ask_datagram(OUTSIDE, CLOSED_PORT, b"?")
    seen = claim.sees(outcomes_in_words(outcomes))
    closed = IcmpError(OUTSIDE, UNREACHABLE, CLOSED)
    assert outcomes == {lab_addresses.NEIGHBOUR_IPV6: "whole", OUTSIDE: "whole", "a closed port": closed}, seen
    port = user_stack.open_udp()
    # The port that writes by IPv4 is another one by IPv6. Twice, since QEMU looks first at what it has found last.
    for address in (lab_addresses.OUTSIDE, lab_addresses.OUTSIDE, OUTSIDE):
        assert answers_to(user_stack, port, address), f"{address} does not answer the port that writes by both families"


def answers_to(stack, port, address):
    """Whether a service of the lab answers a port, which asks again where nothing comes."""
    for patience_seconds in turns(2.0):
        port.send(b"?", address, ECHO_PORT)
        if stack.until(lambda: any(each.source == address for each in port.received), patience_seconds):
            return True
    return False


@pytest.mark.claim("user/ip6-big-answer")
def test_a_big_datagram_comes_in_fragments(user_stack, long_answers, claim):
    length = 3000
    small = user_stack.ask_datagram(long_answers.address, long_answers.port, b"1000")
    assert isinstance(small, PeerDatagram), "not even a small answer arrives"
    assert small.data == answer_of(1000), "a small answer arrives altered"
    large = user_stack.ask_datagram(long_answers.address, long_answers.port, str(length).encode())
    assert isinstance(large, PeerDatagram), f"the large answer does not arrive, but {claim.sees(str(large))}"
    claim.sees(f"{len(large.data)} bytes in packets of {large.sizes}")
    assert large.data == answer_of(length), "the large answer arrives altered"
    if max(large.sizes) > MTU_BYTES:
        assert large.sizes == (HEADERS_BYTES + length,), f"it comes in packets of {large.sizes}"
        claim.deviates(name="one-frame")


@pytest.mark.claim("user/ip6-fragments")
def test_fragments_of_the_guest_are_put_together(user_stack, long_answers, claim):
    large, small = answer_of(3000), b"10"
    user_stack.open_udp().send(large, OUTSIDE, long_answers.port)
    # Frames are dealt with as they come.
    assert user_stack.ask_datagram(OUTSIDE, long_answers.port, small), "not even what is no fragment arrives"
    arrived = list(dict.fromkeys(long_answers.questions))
    seen = claim.sees(f"of datagrams of {len(large)} and {len(small)} bytes arrived: {[len(each) for each in arrived]}")
    if arrived != [large, small]:
        assert arrived == [small], seen
        claim.deviates(name="dropped")


@pytest.mark.claim("user/ip6-ping-gateway")
@pytest.mark.parametrize("address", [HOST, RESOLVER, ROUTER, "fe80::3"])
def test_host_and_resolver_answer_ping(user_stack, claim, address):
    # As much as a packet carries.
    answer = ask_echo(user_stack, address, carried=secrets.token_bytes(MTU_BYTES - HEADERS_BYTES))
    seen = claim.sees(ping_in_words(answer))
    assert answer == PingAnswer(address, code=0, same=True), seen


@pytest.mark.claim("user/ip6-ping-outside-open")
@pytest.mark.usefixtures("ipv6_lab")
def test_ping_passes_where_the_gate_is_open(bench, host_with_open_gate, attach_stack, claim):
    with bench.varied(station=host_with_open_gate):
        stack = attach_stack()
    answer = ask_echo(stack, OUTSIDE)
    seen = claim.sees(ping_in_words(answer))
    assert answer == PingAnswer(OUTSIDE, code=0, same=True), seen


@pytest.mark.claim("user/ip6-ping-outside-raw")
@pytest.mark.usefixtures("ipv6_lab")
def test_ping_passes_by_raw_sockets(bench, host_of_raw_sockets, attach_stack, claim):
    with bench.varied(station=host_of_raw_sockets):
        stack = attach_stack(capabilities=("net_raw",))
    answer = ask_echo(stack, OUTSIDE)
    seen = claim.sees(ping_in_words(answer))
    if isinstance(answer, PingAnswer) and not answer.same:
        assert answer.source == OUTSIDE, seen
        claim.deviates(name="anything-as-reply")
    elif answer != PingAnswer(OUTSIDE, code=0, same=True):
        assert answer == IcmpError(ROUTER, UNREACHABLE, NO_ROUTE), seen
        assert stack.ask_datagram(OUTSIDE, ECHO_PORT, b"?"), "there is no way there at all"
        claim.deviates(name="no-route")


@pytest.mark.claim("user/ip6-traceroute")
@pytest.mark.usefixtures("ipv6_lab")
def test_the_routers_on_the_way_are_told(user_stack, claim):
    port = 33434
    hops = [user_stack.ask_datagram(OUTSIDE, port + hop, b"?", ttl=hop) for hop in (1, 2, 3)]
    claim.sees("; ".join(str(hop) if hop else "*" for hop in hops))
    assert hops == [
        IcmpError(ROUTER, TIME_EXCEEDED, 0),
        IcmpError(lab_addresses.ROUTER_IPV6, TIME_EXCEEDED, 0),
        IcmpError(OUTSIDE, UNREACHABLE, CLOSED),
    ], claim.observed


@pytest.mark.claim("user/ip6-hostfwd")
def test_a_forward_may_be_bound_to_an_ipv6_address(bench, claim):
    rule = "tcp:[::1]:2222-:22"
    alone = bench.attempt("-netdev", f"user,id=net0,hostfwd={rule}")
    claim.sees("QEMU starts" if alone.started else alone.complaints.refusal)
    if not alone.started:
        refusal = alone.complaints.refusal
        assert refusal.endswith(f"Invalid host forwarding rule '{rule}' (Bad host address)"), refusal
        claim.deviates(name="bad-address")


@pytest.mark.claim("user/ip6-tftp")
def test_tftp_is_served_by_ipv6(attach_stack, served_folder, claim):
    content = secrets.token_bytes(100)
    (served_folder / "file").write_bytes(content)
    answer = attach_stack(options=(f"tftp={served_folder}",)).ask_datagram(HOST, TFTP_PORT, READ_FILE)
    seen = claim.sees(str(answer or "no answer"))
    assert isinstance(answer, PeerDatagram), seen
    assert (*answer.sender, answer.data) == (HOST, TFTP_PORT, b"\0\3\0\1" + content), seen


@pytest.mark.claim("user/ip6-restrict")
def test_an_isolated_guest_reaches_nobody(attach_stack, served_folder, ipv6_lab, claim):
    (served_folder / "file").write_bytes(b"what is served")
    stack = attach_stack(options=("restrict=on", f"tftp={served_folder}"))
    refused = {
        "TCP to the host": ask_stream(stack, HOST, LOOPBACK_PORT, b"?", bool),
        "TCP outside": ask_stream(stack, OUTSIDE, ECHO_PORT, b"?", bool),
    }
    before = len(ipv6_lab.echo.callers)
    silent = [
        stack.question(HOST, LOOPBACK_PORT, b"?"),
        stack.question(OUTSIDE, ECHO_PORT, b"?"),
        stack.question(HOST, TFTP_PORT, READ_FILE),
        dhcpv6.information_question(stack.peer, dhcpv6.RESOLVERS),
    ]
    answers = [type(answer.lastlayer()).__name__ for answer in answers_before_router(stack.peer, silent)]
    called = ipv6_lab.echo.callers[before:]
    seen = claim.sees(f"{outcomes_in_words(refused)}; by UDP: {len(answers)} answers, {len(called)} calls")
    assert refused == dict.fromkeys(refused, Refused()), seen
    assert (answers, called) == ([], []), f"{seen}: {answers}"
