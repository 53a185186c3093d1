"""What passt promises a guest: asked by peers of one that was started by hand and that QEMU calls. No guest boots."""

import contextlib
import random
import re

import pytest

from qemunet_tests.deadline import Deadline
from qemunet_tests.errors import HarnessError
from qemunet_tests.guest.peer_tcp import MSS
from qemunet_tests.host import credentials
from qemunet_tests.isolation.processes import stop
from qemunet_tests.modes.passt import PasstEnded
from qemunet_tests.network import lab_addresses
from qemunet_tests.observe.arp import who_has
from qemunet_tests.observe.backends import said_of
from qemunet_tests.observe.dhcp_client import ask_dhcp
from qemunet_tests.observe.host_process import isolation_of, listening_at
from qemunet_tests.observe.network_services import answering, datagrams_in
from qemunet_tests.observe.peer_dns import ask_by_peer, ask_by_station, dns_in_words, question
from qemunet_tests.observe.station_end import accepted, serving, taken_to_end
from qemunet_tests.qemu.command_line import SANDBOX
from qemunet_tests.qemu.netdev import SpelledNetdev

LOOPBACK = "127.0.0.1"
#: What a guest says before it ends its side, and what is sent to it after that: more than it has room for.
QUESTION, MUCH = b"a question?", random.randbytes(200_000)
#: Of what comes again: less than any segment of it, all of which but the last are full.
SHORT = 100
ENDINGS = {"end": "an end", "reset": "a reset", "silence": "no end"}
#: All that a network has for a guest whose host may not ping.
ALL = ("ARP", "DHCP", "DHCPv6", "NDP", "RA", "TCP", "UDP")
#: Where nobody of the LAN is.
NOBODYS = "192.168.1.77"
#: The second host, whose users may ping, and what is sent and returned of bulk data.
OPEN_HOST, BULK_BYTES = "192.168.1.3", 256 * 1024


def offered_in_time(peer, within_seconds=20.0):
    """The address that is offered, once anybody offers one."""
    deadline = Deadline(within_seconds, "an offer")
    while not deadline.passed:
        with contextlib.suppress(HarnessError):
            if offer := ask_dhcp(peer, "discover"):
                return offer.address
    return "none"


@pytest.mark.usefixtures("ipv6_lab")
@pytest.mark.claim("passt/stream")
def test_a_passt_is_called_at_its_socket(attach_passt, stack_of, target, claim):
    claim.sees(", ".join(sorted(answering(stack_of(attach_passt()), target.neighbour_echo, ALL))))
    assert claim.observed == claim.expected, f"behind the socket of passt there answer {claim.observed or 'none'}"


@pytest.mark.claim("passt/dns-forward")
def test_an_address_answers_for_the_hosts_resolver(attach_passt, stack_of, resolv_conf, target, claim):
    resolv_conf(f"nameserver {lab_addresses.ROUTER}\n")
    right = ask_by_station(target.host, lab_addresses.ROUTER, question("www.example"))
    stack = stack_of(attach_passt("--dns-forward", NOBODYS))
    told = ask_by_peer(stack, NOBODYS, question("www.example"))
    claim.sees(f"{NOBODYS}: {dns_in_words(told)}")
    assert claim.observed == claim.expected, f"asked for www.example, {claim.observed}"
    assert told == right, "the resolver itself answers otherwise"


@pytest.mark.usefixtures("ipv6_lab")
@pytest.mark.claim("passt/udp-both-ways")
def test_datagrams_pass_both_ways(attach_passt, stack_of, claim):
    stack = stack_of(attach_passt())
    stack.mtu_bytes = 65520
    passed = {}
    for place in (lab_addresses.NEIGHBOUR, lab_addresses.NEIGHBOUR_IPV6):
        sent = {size: bytes(range(250)) * (size // 250) for size in (250, 1250, 9000, 60000)}
        answers = {size: stack.ask_datagram(place, lab_addresses.ECHO_PORT, data) for size, data in sent.items()}
        passed[place] = [str(size) for size, data in sent.items() if getattr(answers[size], "data", None) == data]
    claim.sees("; ".join(f"{place}: {', '.join(sizes) or 'no'} bytes" for place, sizes in passed.items()))
    assert claim.observed == claim.expected, f"datagrams come back of {claim.observed}"


@pytest.mark.usefixtures("ipv6_lab")
@pytest.mark.claim("passt/gateway-is-host-loopback")
def test_the_gateway_is_the_hosts_loopback(attach_passt, stack_of, target, claim):
    stack, port, reached = stack_of(attach_passt()), target.loopback_echo.port, []
    for place in (lab_addresses.ROUTER, lab_addresses.ROUTER_IPV6):
        connection = stack.connect(place, port)
        connection.send(b"loopback")
        came = connection.opened and connection.read(8) == b"loopback"
        datagram = stack.ask_datagram(place, port, b"loopback")
        reached += [f"{place} by TCP"] * came + [f"{place} by UDP"] * (getattr(datagram, "data", b"") == b"loopback")
    claim.sees(", ".join(reached) or "nothing")
    if claim.observed != claim.expected:
        sources = {source for source, content in datagrams_in(stack.frames, port) if content == b"loopback"}
        instead = [source for source in sources if source.startswith("fe80:")]
        assert reached == claim.expected.split(", ")[:3], f"the host's loopback is reached at {claim.observed}"
        assert instead, "of datagrams by IPv6 nothing comes back"
        claim.deviates(name="from-link-address")


@pytest.mark.claim("passt/map-guest-addr")
def test_an_address_is_the_hosts_own(attach_passt, stack_of, target, claim):
    stack = stack_of(attach_passt("--map-guest-addr", NOBODYS))
    connection = stack.connect(NOBODYS, lab_addresses.ECHO_PORT)
    connection.send(b"own")
    came = connection.opened and connection.read(3) == b"own"
    caller = [each.address for each in target.lab.echo.callers if each.station == target.host.name][-1:] if came else []
    claim.sees(f"{NOBODYS}: {'the host answers' if came else 'nobody answers'} {''.join(caller)}".strip())
    assert claim.observed == claim.expected, f"at the mapped address: {claim.observed}"


@pytest.mark.claim("passt/no-forward-by-default")
def test_nothing_is_forwarded_unless_asked_for(start_passt, target, claim):
    before, found = listening_at(target.host), {}
    for options in ((), ("--tcp-ports", "2299")):
        passt = start_passt(*options)
        found[" ".join(options) or "no option"] = listening_at(target.host, before)
        stop(passt.process)
    claim.sees("; ".join(f"{options}: {', '.join(places) or 'nothing'}" for options, places in found.items()))
    assert claim.observed == claim.expected, f"passt listens at, {claim.observed}"


@pytest.mark.claim("passt/port-taken")
def test_a_port_that_is_taken_is_refused(start_passt, target, claim):
    port = target.loopback_echo.port
    try:
        start_passt("--tcp-ports", f"{port}:22")
    except PasstEnded as ended:
        why = next((line for line in reversed(ended.said.splitlines()) if f"{port}" in line), "names no port")
        claim.sees(f"status {ended.status}, {'names it' if re.search('(?i)failed', why) else why}")
    assert claim.observed == claim.expected, f"asked for a port that is taken, passt: {claim.observed or 'starts'}"


@pytest.mark.claim("passt/sandboxed")
def test_passt_shuts_itself_in(start_passt, claim):
    claim.sees(isolation_of(start_passt().process.pid))
    assert claim.observed == claim.expected, f"passt shuts itself in by {claim.observed}"


@pytest.mark.claim("passt/dead-host-reset")
def test_a_host_that_is_not_there_is_refused(attach_passt, stack_of, claim):
    connection = stack_of(attach_passt()).connect(NOBODYS, 7, within_seconds=20.0)
    said = "refused" if connection.refused else "opened" if connection.opened else "no answer"
    claim.sees(said)
    assert claim.observed == claim.expected, f"a connection to a host that is not there: {said}"


@pytest.mark.claim("passt/no-privilege")
def test_neither_qemu_nor_passt_has_a_privilege(start_passt, attach_peer, stack_of, target, claim):
    passt = start_passt()
    peer = attach_peer(passt.netdev)
    answering(stack_of(peer), target.neighbour_echo, {"TCP"})
    held = {"QEMU": credentials.read(pid=peer.qemu.process.pid), "passt": credentials.read(pid=passt.process.pid)}
    claim.sees(", ".join(f"{who} {'without' if each.ordinary else 'with some'}" for who, each in held.items()))
    assert claim.observed == claim.expected, f"of capabilities: {claim.observed}"


@pytest.mark.claim("passt/icmp")
def test_pings_pass_where_the_host_lets_its_users_ping(attach_passt, stack_of, target, host_with_open_gate, claim):
    found = {}
    for who, station, address in (
        ("closed", target.host, lab_addresses.HOST),
        ("open", host_with_open_gate, OPEN_HOST),
    ):
        stack = stack_of(attach_passt(station=station), address)
        found[who] = "ping" in answering(stack, target.neighbour_echo, {"ping", "UDP"} if who == "open" else {"UDP"})
    claim.sees(", ".join(f"{who}: {'a reply' if came else 'silence'}" for who, came in found.items()))
    assert claim.observed == claim.expected, f"by net.ipv4.ping_group_range: {claim.observed}"


@pytest.mark.claim("passt/traceroute")
def test_routers_are_named(attach_passt, stack_of, claim):
    stack = stack_of(attach_passt())
    errors = [stack.ask_datagram(lab_addresses.OUTSIDE, 33434 + ttl, b"where?", ttl=ttl) for ttl in (1, 2)]
    claim.sees(" ".join(getattr(error, "source", "nobody") for error in errors))
    assert claim.observed == claim.expected, f"on the way to {lab_addresses.OUTSIDE} there are {claim.observed}"


@pytest.mark.claim("passt/reconnect-stream")
def test_a_passt_that_was_started_again_is_found(start_passt, attach_peer, claim):
    first = start_passt()
    words = ("server=off", "addr.type=unix", f"addr.path={first.socket}", "reconnect-ms=200")
    peer = attach_peer(SpelledNetdev("stream", words))
    before = offered_in_time(peer)
    stop(first.process)
    start_passt(instead_of=first)
    claim.sees(f"{before}, again {offered_in_time(peer)}")
    assert claim.observed == claim.expected, f"from one passt and the next a guest has {claim.observed}"


@pytest.mark.claim("passt/two-guests")
def test_two_guests_reach_each_other_by_a_forward(attach_passt, stack_of, claim):
    near, far = (stack_of(attach_passt(*options)) for options in ((), ("--tcp-ports", "2401")))
    far.settle()
    listener = far.listen(2401)
    calling = near.dial(lab_addresses.ROUTER, 2401)
    calling.wait_opened()
    # passt acknowledges the other guest's answer with the first data: it says nothing before there are any.
    calling.send(b"to the other")
    called = listener.accept()
    came = called is not None and called.read(12) == b"to the other"
    if called:
        called.send(b"and back")
    back = calling.read(8) == b"and back"
    claim.sees("both ways" if came and back else "one way" if came else "no way")
    assert claim.observed == claim.expected, f"from guest to guest words pass {claim.observed}"


@pytest.mark.usefixtures("ipv6_lab")
@pytest.mark.claim("passt/tcp-both-ways")
def test_bulk_data_passes_both_ways(attach_passt, stack_of, claim):
    stack, data, came = stack_of(attach_passt()), random.randbytes(BULK_BYTES), {}
    for place in (lab_addresses.NEIGHBOUR, lab_addresses.NEIGHBOUR_IPV6):
        connection = stack.connect(place, lab_addresses.ECHO_PORT)
        connection.again_seconds = 0.2
        connection.send(data)
        came[place] = connection.read(len(data), within_seconds=60.0)
        if came[place] and not connection.over and data.startswith(came[place]) and len(came[place]) < len(data):
            raise HarnessError(f"only {len(came[place])} of {len(data)} bytes came back from {place} in time")
        connection.abort()
    claim.sees("; ".join(f"{place}: {len(back)} bytes{'' if back == data else ', not the same'}"
                         for place, back in came.items()))  # fmt: skip
    assert claim.observed == claim.expected, f"of {BULK_BYTES} bytes there come back from {claim.observed}"


@pytest.mark.claim("passt/tcp-half-close")
def test_the_guest_ends_first(attach_passt, stack_of, target, claim):
    stack = stack_of(attach_passt())
    with serving(target.host, LOOPBACK) as listening:
        connection = stack.connect(lab_addresses.ROUTER, listening.getsockname()[1])
        with accepted(listening) as end:
            connection.send(QUESTION)
            connection.finish()
            there = stack.meanwhile(lambda: taken_to_end(end))
            told = claim.sees(f"{len(there.data)} bytes and {ENDINGS[there.ending]} there")
            assert (there.data, there.ending) == (QUESTION, "end"), f"of what the guest says and its end, {told}"
            stack.meanwhile(lambda: end.sendall(MUCH))
        # What comes again and again has no end.
        back = connection.read(len(MUCH) + 1)
    ending = "end" if connection.ended else "reset" if connection.reset else "silence"
    claim.sees(f"{told}, {len(back)} bytes and {ENDINGS[ending]} back")
    if ending == "silence" and len(back) != len(MUCH):
        differs = (at for at, (sent, came) in enumerate(zip(MUCH, back, strict=False)) if sent != came)
        first = next(differs, min(len(back), len(MUCH)))
        assert first >= MSS, f"after the guest's end, {claim.observed}, and not what there was room for"
        assert back[first:][:SHORT] in MUCH, f"after the guest's end, {claim.observed}, and among them what nobody sent"
        claim.deviates(name="not-followed")
    else:
        assert (back, ending) == (MUCH, "end"), f"after the guest's end, {claim.observed}"


@pytest.mark.claim("passt/named")
def test_the_monitor_names_the_socket(attach_passt, claim):
    claim.sees(re.sub(r"unix:/.*", "unix:<asked>", said_of(attach_passt(), "net0") or "nothing"))
    assert claim.observed == claim.expected, f"the monitor says of it {claim.observed}"


@pytest.mark.claim("passt/link-down")
def test_the_link_to_passt_is_taken_down_and_up(attach_passt, claim):
    peer, said = attach_passt(), []
    for up in (False, True):
        peer.qemu.monitor.execute("set_link", name="net0", up=up)
        answered = who_has(peer, lab_addresses.ROUTER)
        said.append(f"{'up' if up else 'down'}: {'the gateway answers' if answered else 'silence'}")
    claim.sees("; ".join(said))
    assert claim.observed == claim.expected, f"by a link that is {claim.observed}"


@pytest.mark.usefixtures("ipv6_lab")
@pytest.mark.claim("passt/two-backends")
def test_two_passts_are_two_networks(start_passt, bench_peers, claim):
    words = "--address 10.0.{0}.15 --netmask 24 --gateway 10.0.{0}.2"
    passts = [start_passt(*words.format(number).split()) for number in (3, 4)]
    peers = bench_peers([passt.netdev for passt in passts])
    addresses = [offered_in_time(peer) for peer in peers]
    claim.sees("; ".join(f"{which} offers {each}" for which, each in zip(("first", "second"), addresses, strict=True)))
    assert claim.observed == claim.expected, f"of two passts the {claim.observed}"


@pytest.mark.usefixtures("ipv6_lab")
@pytest.mark.claim("passt/sandbox")
def test_the_sandbox_takes_nothing_away(attach_passt, stack_of, target, claim):
    stack = stack_of(attach_passt(words=SANDBOX))
    claim.sees(", ".join(sorted(answering(stack, target.neighbour_echo, ALL))))
    assert claim.observed == claim.expected, f"in the sandbox there answer {claim.observed or 'none'}"
