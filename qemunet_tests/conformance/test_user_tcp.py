"""TCP between a guest, played by a scapy peer, and sockets of the host, through QEMU: opening, ending, limits."""

import os
import select
import socket
from pathlib import Path
from typing import Any

import pytest

from qemunet_tests.errors import HarnessError
from qemunet_tests.observe.forwarding import forwards
from qemunet_tests.observe.station_end import (
    PATIENCE_SECONDS,
    abort,
    accepted,
    received,
    serving,
    taken_to_end,
    unserved,
)
from qemunet_tests.observe.stray_segment import answers_to_stray

HOST, RESOLVER = "10.0.2.2", "10.0.2.3"
LOOPBACK = "127.0.0.1"
#: More than fits into any window or buffer on the way.
MUCH = bytes(range(250)) * 800
QUESTION = b"a question?"
AT_A_TIME = 50
NETWORK_UNREACHABLE = (3, 0)


def how_it_went(connection):
    """What a SYN was answered by."""
    if connection.opened:
        return "connected"
    if connection.unreachable:
        error = connection.unreachable
        unreachable = (error.type, error.code) == NETWORK_UNREACHABLE
        return f"{'network unreachable' if unreachable else error}, by {error.source}"
    return "refused" if connection.refused else "no answer"


def descriptors(peer):
    """The numbers of the descriptors that QEMU has open."""
    return {int(each.name) for each in os.scandir(f"/proc/{peer.qemu.process.pid}/fd")}


def allow_descriptors(bench, peer, count):
    """From now on QEMU may open so many descriptors, as its own user says: nobody else needs a privilege for it."""
    status = Path(f"/proc/{peer.qemu.process.pid}/status").read_text()
    own_pid = status.partition("NSpid:")[2].splitlines()[0].split()[-1]
    done = bench.station.ask([*bench.identity.prefix(()), "prlimit", f"--pid={own_pid}", f"--nofile={count}:"])
    if not done.succeeded:
        raise HarnessError(f"QEMU's limits cannot be set: {done.complaint}")


def urgent_byte(end):
    """The urgent byte that has come to a socket; empty where none has."""
    end.setblocking(False)
    try:
        return end.recv(1, socket.MSG_OOB)
    except OSError:
        return b""


@pytest.mark.claim("user/tcp-refused")
def test_a_closed_port_refuses(user_stack, target, claim):
    with unserved(target.host, LOOPBACK) as own, unserved(target.neighbour, target.neighbour_echo.address) as far:
        near = user_stack.connect(HOST, own)
        there = user_stack.connect(target.neighbour_echo.address, far)
    claim.sees(f"{HOST}: {how_it_went(near)}; the LAN: {how_it_went(there)}")
    assert claim.observed == claim.expected, f"of a closed port, {claim.observed}"


@pytest.mark.claim("user/tcp-stray")
def test_a_segment_of_no_connection_is_reset(user_stack, claim):
    claim.sees("; ".join(answers_to_stray(user_stack, HOST, 9)) or "nothing")
    assert claim.observed == claim.expected, f"to a segment of no connection comes {claim.observed}"


@pytest.mark.claim("user/tcp-no-route")
def test_where_the_host_has_no_route(user_stack, unroutable, claim):
    connection = user_stack.connect(unroutable, 7)
    assert claim.sees(how_it_went(connection)) == claim.expected, f"of an address without route, {claim.observed}"


@pytest.mark.claim("user/tcp-dead-host")
def test_an_address_of_the_lan_that_nobody_has(user_stack, unowned_address, claim):
    connection = user_stack.dial(unowned_address, 7)
    user_stack.until(lambda: connection.stray or connection.unreachable or connection.refused, 10.0)
    claim.sees(f"{how_it_went(connection)}{', FIN' if connection.stray else ''}")
    if connection.stray:
        assert (connection.stray[0], how_it_went(connection)) == ("FA", "no answer"), f"first comes {connection.stray}"
        claim.deviates()
    else:
        assert connection.refused or connection.unreachable, f"of a dead host, {claim.observed}"


@pytest.mark.claim("user/tcp-half-close-out")
def test_the_guest_ends_first(user_stack, target, claim):
    with serving(target.host, LOOPBACK) as listening:
        connection = user_stack.connect(HOST, listening.getsockname()[1])
        with accepted(listening) as end:
            connection.send(QUESTION)
            connection.finish()
            there = user_stack.meanwhile(lambda: taken_to_end(end))
            user_stack.meanwhile(lambda: end.sendall(MUCH))
        back, acknowledged = connection.read_to_end(), connection.wait_sent()
    claim.sees(
        f"{len(there.data)} bytes and an {there.ending} there, {len(back)} bytes and an {connection.wait_over()} back"
    )
    assert acknowledged, "the guest's end is never acknowledged"
    assert (there.data, back) == (QUESTION, MUCH), f"of the guest's end and what came after it, {claim.observed}"
    assert claim.observed == claim.expected, claim.observed


@pytest.mark.claim("user/tcp-half-close-in")
def test_the_other_side_ends_first(user_stack, target, claim):
    with serving(target.host, LOOPBACK) as listening:
        connection = user_stack.connect(HOST, listening.getsockname()[1])
        with accepted(listening) as end:
            end.sendall(QUESTION)
            end.shutdown(socket.SHUT_WR)
            here, ending = connection.read_to_end(), connection.wait_over()
            connection.send(MUCH)
            connection.finish()
            there = user_stack.meanwhile(lambda: taken_to_end(end))
    claim.sees(f"{len(here)} bytes and an {ending} here, {len(there.data)} bytes and an {there.ending} there")
    assert (here, there.data) == (QUESTION, MUCH), f"of the other side's end and what came after it, {claim.observed}"
    assert claim.observed == claim.expected, claim.observed


@pytest.mark.claim("user/tcp-reset")
def test_resets_pass(user_stack, target, claim):
    with serving(target.host, LOOPBACK) as listening:
        port = listening.getsockname()[1]
        connection = user_stack.connect(HOST, port)
        end = accepted(listening)
        end.sendall(QUESTION)
        came = connection.read(len(QUESTION))
        abort(end)
        hosts = connection.wait_over()
        other = user_stack.connect(HOST, port)
        with accepted(listening) as end:
            other.send(QUESTION)
            there = user_stack.meanwhile(lambda: received(end, len(QUESTION)))
            other.abort()
            guests = user_stack.meanwhile(lambda: taken_to_end(end)).ending
    claim.sees(f"the host's: {hosts}; the guest's: {guests}")
    assert (came, there) == (QUESTION, QUESTION), f"before the resets, {came!r} and {there!r}"
    assert hosts == "reset", f"the host's reset comes to the guest as {hosts}"
    if guests != "reset":
        assert guests == "end", f"the guest's reset comes to the host as {guests}"
        claim.deviates()


@pytest.mark.claim("user/tcp-connected-means-connected")
def test_open_only_when_the_other_side_is(user_stack, target, claim):
    with serving(target.host, LOOPBACK, queue=0) as listening, target.host.open_socket() as late:
        service = listening.getsockname()
        with target.host.connect(*service):
            late.setblocking(False)
            late.connect_ex(service)
            full = not select.select([], [late], [], 0)[1]
            late.close()
            connection = user_stack.dial(HOST, service[1])
            user_stack.settle()
            before = how_it_went(connection)
            accepted(listening).close()
            connection.wait_opened(10.0)
    claim.sees(f"as long as the service is full: {before}; after that: {how_it_went(connection)}")
    assert full, "the service that is to be full takes another caller"
    assert claim.observed == claim.expected, claim.observed


def all_become(stack, connections, state):
    """Whether all come into a state. As long as some more do it is waited for: how fast is up to the machine."""
    there = 0
    while not stack.until(lambda: all(map(state, connections)), 15.0):
        before, there = there, sum(map(state, connections))
        if there == before:
            return False
    return True


@pytest.mark.claim("user/tcp-500-at-once")
@pytest.mark.lengthy
def test_500_connections_at_once(user_stack, target, claim):
    before, count = descriptors(user_stack.peer), 500
    connections = list[Any]()
    # Some at a time: a peer that is slower than QEMU's patience would get everything twice.
    while len(connections) < count:
        latest = [user_stack.dial(HOST, target.loopback_echo.port) for _ in range(AT_A_TIME)]
        connections += latest
        # Where some do not open, no more will.
        if not all_become(user_stack, latest, lambda each: each.opened):
            break
    for first in range(0, len(connections), AT_A_TIME):
        asked = connections[first : first + AT_A_TIME]
        for number, each in enumerate(asked, first):
            each.send(b"word %03d" % number)
        all_become(user_stack, [each for each in asked if each.opened], lambda each: len(each.received) == 8)
    right = sum(bytes(each.received) == b"word %03d" % number for number, each in enumerate(connections))
    for each in connections:
        each.abort()
    user_stack.settle()
    user_stack.until(lambda: len(descriptors(user_stack.peer)) <= len(before), 30.0)
    left = len(descriptors(user_stack.peer)) - len(before)
    opened = sum(each.opened for each in connections)
    claim.sees(f"{opened} of {count} open, {right} of {count} words came back; {left} descriptors are left")
    assert claim.observed == claim.expected, claim.observed


@pytest.mark.claim("user/tcp-descriptors-exhausted")
def test_when_descriptors_run_out(bench, user_stack, target, claim):
    port, before = target.loopback_echo.port, descriptors(user_stack.peer)
    limit = max(max(before) + 1, len(before) + 5)
    room = limit - len(before)
    allow_descriptors(bench, user_stack.peer, str(limit))
    tried = [user_stack.dial(HOST, port) for _ in range(room + 5)]
    user_stack.until(lambda: all(how_it_went(each) != "no answer" for each in tried), 5.0)
    opened = [each for each in tried if each.opened]
    for each in opened:
        each.send(QUESTION)
    carry = all(each.read(len(QUESTION)) == QUESTION for each in opened)
    others = {how_it_went(each) for each in tried if not each.opened}
    allow_descriptors(bench, user_stack.peer, "1024")
    afterwards = how_it_went(user_stack.connect(HOST, port))
    which = "as many open as there are descriptors" if len(opened) == room else f"{len(opened)} open, of {room}"
    claim.sees(
        f"{which}, they {'carry words' if carry else 'are dead'}; others: {', '.join(others)}; then: {afterwards}"
    )
    assert claim.observed == claim.expected, claim.observed


@pytest.mark.claim("user/tcp-syn-options")
def test_the_options_of_an_answer(user_stack, target, claim):
    offered = [("MSS", 1400), ("SAckOK", b""), ("Timestamp", (7, 0)), ("NOP", None), ("WScale", 7)]
    connection = user_stack.dial(HOST, target.loopback_echo.port, options=offered)
    assert connection.wait_opened(), f"a service of the host's loopback: {how_it_went(connection)}"
    options = ", ".join(f"{name} {value}" for name, value in connection.answer.options)
    assert claim.sees(f"options {options}; window {connection.answer.window}") == claim.expected, claim.observed


@pytest.mark.claim("user/resolver-other-port")
def test_the_resolver_has_one_port(user_stack, claim):
    claim.sees(f"port 80: {how_it_went(user_stack.connect(RESOLVER, 80))}")
    assert claim.observed == claim.expected, f"of {RESOLVER}, {claim.observed}"


@pytest.mark.claim("user/empty-addresses")
def test_an_address_that_nobody_has(user_stack, address_in_the_guests_network, target, claim):
    address = address_in_the_guests_network
    answers_arp = user_stack.who_has(address)
    user_stack.neighbours[address] = user_stack.neighbours["10.0.2.2"]
    with serving(target.host, address) as listening:
        connection = user_stack.connect(address, listening.getsockname()[1])
        ours = connection.opened and accepted(listening)
        if ours:
            ours.close()
    claim.sees(f"{address}: {'ARP' if answers_arp else 'no ARP'}, {'TCP' if connection.opened else 'no TCP'}")
    assert not answers_arp, f"somebody says that he is {address}"
    if connection.opened:
        assert ours, "the connection leads somewhere else"
        claim.deviates()


@pytest.mark.claim("user/tcp-urgent")
def test_an_urgent_byte_arrives_as_one(attach_stack, target, claim):
    stack = attach_stack("tcp:127.0.0.1:0-:7007")
    listener, (forward,) = stack.listen(7007), forwards(stack.peer)
    with serving(target.host, LOOPBACK) as listening, target.host.open_socket() as calling:
        connection = stack.connect(HOST, listening.getsockname()[1])
        with accepted(listening) as end:
            out = claim.sees(urgent_among_plain(stack, connection, end))
        calling.settimeout(PATIENCE_SECONDS)
        calling.connect(forward.source)
        called = listener.accept()
        assert called, "the guest is not called through the forward"
        in_ = urgent_among_plain(stack, called, calling)
    claim.sees(f"{out}; through a forward {'the same' if in_ == out else in_}")
    assert claim.observed == claim.expected, f"of an urgent byte, {claim.observed}"


def urgent_among_plain(stack, connection, end):
    """What becomes of an urgent byte either way, with others before it, and behind it to the end at the host."""
    end.sendall(b"in plain")
    connection.read(8)
    end.send(b"!", socket.MSG_OOB)
    connection.read(9)
    connection.send(b"in plain")
    stack.meanwhile(lambda: received(end, 8))
    connection.send(b"?", urgent=True)
    stack.meanwhile(lambda: select.select([], [], [end], PATIENCE_SECONDS))
    there = urgent_byte(end)
    connection.send(b"and plain")
    end.settimeout(PATIENCE_SECONDS)
    behind = stack.meanwhile(lambda: received(end, 9))
    return f"there: {there!r} and {behind!r}; back: {bytes(connection.received[8:])!r} at {connection.urgent}"
