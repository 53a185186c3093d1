"""Forwards whose guest is a scapy peer: every syntax, at run time, who is seen at either end, and what ends them."""

import os
import select
import signal
import socket

import pytest

from qemunet_tests.conformance.promises import promise
from qemunet_tests.errors import ControlFailed, Unavailable
from qemunet_tests.modes.user import netdev
from qemunet_tests.observe.arp import asked_for
from qemunet_tests.observe.forwarding import FORWARD, forwards, monitor_says, usernet, words_over, words_through
from qemunet_tests.observe.station_end import answer_at, received, require_lingering, serving, taken_to_end

GUEST, SERVICE = "10.0.2.15", 7007
#: A free port of the host's loopback to the guest's service.
FREE = "tcp:127.0.0.1:0-:7007"
LOW_PORT = 23
#: For how long libslirp keeps a UDP flow of which nothing is heard (SO_EXPIRE), and what is left of it in any case.
EXPIRES_SECONDS, MINUTES_SECONDS = 240, 120


def the_forward(peer):
    """The only one that there is."""
    listed = forwards(peer)
    assert len(listed) == 1, f"of one forward, info usernet lists {', '.join(map(str, listed)) or 'none'}"
    return listed[0]


def by_udp(rule):
    return rule.replace("tcp", "udp")


@pytest.mark.parametrize(
    "rule",
    [
        promise("user/hostfwd-default-protocol", ":127.0.0.1:0-:7007"),
        promise("user/hostfwd-hex", f"{FREE[:16]}:0x1b5f"),
    ],
)
def test_a_rule_is_taken_as_it_is_meant(attach_stack, target, claim, rule):
    stack = attach_stack(rule)
    forward = the_forward(stack.peer)
    crossed = words_through(stack, target.host, forward.source, SERVICE)
    claim.sees(f"{forward.protocol} forward to {':'.join(map(str, forward.target))}: {crossed}")
    assert claim.observed == claim.expected, f"{rule} is a {claim.observed}"


@pytest.mark.claim("user/hostfwd-port-zero")
def test_port_zero_is_a_free_port(attach_stack, target, claim):
    stack = attach_stack(FREE, by_udp(FREE))
    listed = forwards(stack.peer)
    said = [
        f"by {each.protocol}: {words_through(stack, target.host, each.source, SERVICE, each.protocol)}"
        for each in listed
    ]
    claim.sees(f"a free port {'; '.join(said) or 'is not listed'}")
    assert 0 not in [each.source[1] for each in listed], "the monitor lists port 0"
    assert claim.observed == claim.expected, f"of hostfwd={FREE} and its like by UDP, {claim.observed}"


@pytest.mark.claim("user/hostfwd-add")
def test_a_forward_is_added_at_run_time(user_stack, target, claim):
    user_stack.peer.qemu.monitor.execute("netdev_add", type="user", id="net1")
    answers = [monitor_says(user_stack.peer, f"hostfwd_add {rule}") for rule in (FREE, "net1 tcp:127.0.0.1:0-:7008")]
    listed = {each.netdev: each for each in forwards(user_stack.peer)}
    crossed = (
        words_through(user_stack, target.host, listed["net0"].source, SERVICE) if "net0" in listed else "not listed"
    )
    there = "listed there" if "net1" in listed and listed["net1"].target == (GUEST, 7008) else "not listed"
    claim.sees(f"net0: {crossed}; net1: {there}")
    assert (answers, claim.observed) == (["", ""], claim.expected), f"hostfwd_add: {answers}; {claim.observed}"


@pytest.mark.claim("user/hostfwd-add-refused")
def test_a_wrong_forward_is_not_added(attach_stack, claim):
    stack = attach_stack(FREE)
    forward = the_forward(stack.peer)
    taken = f"tcp:127.0.0.1:{forward.source[1]}-:7008"
    wrong = {
        "tcp:127.0.0.1:x-:7008": "Invalid host forwarding rule 'tcp:127.0.0.1:x-:7008' (Bad host port)",
        taken: f"Could not set up host forwarding rule '{taken}'",
        f"nobody {FREE}": "unrecognized netdev id 'nobody'",
    }
    said = {rule: monitor_says(stack.peer, f"hostfwd_add {rule}") for rule in wrong}
    refused = sum(said[rule] == reason for rule, reason in wrong.items())
    claim.sees(f"{refused} of {len(wrong)} are refused")
    assert said == wrong, f"hostfwd_add says {said}"
    assert forwards(stack.peer) == [forward], "a forward was added all the same"


@pytest.mark.claim("user/hostfwd-remove")
def test_a_removed_forward_leaves_its_connections(attach_stack, target, claim):
    stack = attach_stack(FREE, by_udp(FREE))
    both = {each.protocol: each for each in forwards(stack.peer)}
    forward, datagrams = both["TCP"], f"udp:127.0.0.1:{both['UDP'].source[1]}"
    by_name = monitor_says(stack.peer, f"hostfwd_remove {datagrams}")
    assert by_name == f"host forwarding rule for {datagrams} removed", f"hostfwd_remove {datagrams} says: {by_name}"
    left = forwards(stack.peer)
    assert left == [forward], f"once {datagrams} is removed there are {', '.join(map(str, left)) or 'none'}"
    with target.host.connect(*forward.source) as calling:
        first = words_over(stack, calling, SERVICE)
        assert first.whole, f"before the forward was removed, {first}"
        answer = monitor_says(stack.peer, f"hostfwd_remove tcp:127.0.0.1:{forward.source[1]}")
        fresh = answer_at(target.host, forward.source)
        calling.sendall(b"still there")
        in_ = stack.connections[0].read(len(b"still there") + 16)[16:]
        stack.connections[0].send(b"and back")
        out = stack.meanwhile(lambda: received(calling, len(b"and back")))
    ways = "both ways" if (in_, out) == (b"still there", b"and back") else f"{in_!r} and {out!r}"
    claim.sees(f"{answer.rpartition(' ')[2]}; a new caller: {fresh}; the old connection: {ways}")
    assert answer == f"host forwarding rule for tcp:127.0.0.1:{forward.source[1]} removed", (
        f"the monitor says: {answer}"
    )
    assert claim.observed == claim.expected, claim.observed


@pytest.mark.claim("user/hostfwd-remove-exact")
def test_what_was_not_forwarded_is_not_removed(attach_stack, target, claim):
    stack = attach_stack(FREE)
    forward = the_forward(stack.peer)
    port = forward.source[1]
    others = {
        f"tcp::{port}": f"host forwarding rule for tcp::{port} not found",
        f"udp:127.0.0.1:{port}": f"host forwarding rule for udp:127.0.0.1:{port} not found",
        f"tcp:127.0.0.1:{port}-:7007": "invalid format",
    }
    said = {rule: monitor_says(stack.peer, f"hostfwd_remove {rule}") for rule in others}
    words = ", ".join(" ".join(answer.split()[-2:]) for answer in said.values())
    claim.sees(f"{words}; the forward: {words_through(stack, target.host, forward.source, SERVICE)}")
    assert said == others, f"hostfwd_remove says {said}"
    assert claim.observed == claim.expected, claim.observed


@pytest.mark.parametrize(
    ("rule", "whose"),
    [
        promise("user/hostfwd-from-loopback", FREE, "10.0.2.2"),
        promise("user/hostfwd-from-lan", "tcp::0-:7007", "the caller's address"),
    ],
)
def test_whom_the_guest_sees(attach_stack, target, claim, rule, whose):
    local = whose == "10.0.2.2"
    station, called = (target.host, "127.0.0.1") if local else (target.caller, target.address)
    shown = "10.0.2.2" if local else target.caller_address
    stack = attach_stack(rule, by_udp(rule))
    said, wrong = [], []
    for forward in sorted(forwards(stack.peer), key=lambda each: each.protocol):
        crossed = words_through(stack, station, (called, forward.source[1]), SERVICE, forward.protocol)
        right = crossed.whole and crossed.own and crossed.caller == (shown, crossed.own[1])
        said.append(f"by {forward.protocol}: {f'{whose} and the caller{chr(39)}s port' if right else crossed.caller}")
        wrong += [] if right else [f"{forward.protocol} from {crossed.own}: {crossed}, the guest sees {crossed.caller}"]
    claim.sees("; ".join(said))
    assert (len(said), wrong) == (2, []), "; ".join(wrong)
    if local:
        # All of 127.0.0.0/8 is the host's own.
        service = next(each.source for each in forwards(stack.peer) if each.protocol == "TCP")
        crossed = words_through(stack, station, service, SERVICE, own_address="127.0.0.2")
        right = crossed.whole and crossed.own and crossed.caller == (shown, crossed.own[1])
        assert right, f"TCP from 127.0.0.2: {crossed}, the guest sees {crossed.caller}"


@pytest.mark.claim("user/hostfwd-connect-proves-nothing")
def test_a_forward_is_open_without_any_guest(attach_peer, target, claim):
    peer = attach_peer(netdev((FREE,)))
    forward = the_forward(peer)
    with target.host.connect(*forward.source) as calling:
        asked = asked_for(peer, GUEST)
        calling.setblocking(False)
        with pytest.raises(BlockingIOError):
            calling.recv(1)
    claim.sees(f"connected, and {f'nobody is at {GUEST}' if asked else 'QEMU looks for nobody'}")
    assert asked, f"QEMU does not ask on the wire for {GUEST}"


@pytest.mark.claim("user/hostfwd-guest-refuses")
def test_a_guest_that_refuses_ends_the_call(attach_stack, target, claim):
    stack = attach_stack(FREE)
    forward = the_forward(stack.peer)
    with target.host.connect(*forward.source) as calling:
        taken = claim.sees(stack.meanwhile(lambda: taken_to_end(calling)))
    assert str(taken) == claim.expected, f"the caller gets {taken}"


@pytest.mark.claim("user/hostfwd-burst")
def test_a_burst_of_callers(attach_stack, target, claim):
    stack, callers = attach_stack(FREE), [target.host.open_socket() for _ in range(50)]
    forward = the_forward(stack.peer)
    os.kill(stack.peer.qemu.process.pid, signal.SIGSTOP)
    try:
        for caller in callers:
            caller.setblocking(False)
            caller.connect_ex(forward.source)
        # On the loopback a connection that finds room is there as soon as it was asked for.
        connected = len(select.select([], callers, [], 0)[1])
    finally:
        os.kill(stack.peer.qemu.process.pid, signal.SIGCONT)
        for caller in callers:
            caller.close()
    claim.sees(f"{connected} of {len(callers)} connected")
    if connected != len(callers):
        assert connected == 2, f"{connected} callers at once find room"
        claim.deviates()


@pytest.mark.claim("user/hostfwd-low-port")
def test_a_privileged_port_is_refused(bench, target, claim):
    first = int(target.host.sysctl("net.ipv4.ip_unprivileged_port_start"))
    rules = {number: f"tcp:127.0.0.1:{number}-:{LOW_PORT}" for number in (LOW_PORT, 0)}
    if target.kind == "host" and first <= LOW_PORT:
        raise Unavailable(f"on this host everybody may have the ports from {first} on", "another host")
    tried = {number: bench.attempt(netdevs=[netdev((rule,))]) for number, rule in rules.items()}
    claim.sees(
        "; ".join(f"port {number}: {'started' if each.started else 'refused'}" for number, each in tried.items())
    )
    assert tried[0].started, f"a port that is free is refused: {tried[0].complaints}"
    assert tried[LOW_PORT].status == 1, f"an ordinary user's QEMU has port {LOW_PORT}"
    said = tried[LOW_PORT].complaints
    assert said.refusal.endswith(f"Could not set up host forwarding rule '{rules[LOW_PORT]}'"), str(said)


@pytest.mark.claim("user/hostfwd-ends-with-qemu")
def test_a_forward_ends_with_its_qemu(attach_peer, target, claim):
    became = {}
    for ending in ("quit", "SIGKILL"):
        peer = attach_peer(netdev((FREE,)))
        forward = the_forward(peer)
        before = answer_at(target.host, forward.source)
        assert before == "answers", f"a forward of a QEMU that lives: {before}"
        if ending == "quit":
            peer.qemu.quit()
        else:
            peer.qemu.kill()
        became[ending] = answer_at(target.host, forward.source)
        if became[ending] == "Connection refused":
            with target.host.open_socket() as heir:
                # The calls above linger; a program that wants the port says so.
                heir.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                heir.bind(forward.source)
                heir.listen()
            became[ending] = "free"
    claim.sees("; ".join(f"after {ending}: {what}" for ending, what in became.items()))
    assert claim.observed == claim.expected, f"QEMU's port, {claim.observed}"


@pytest.mark.claim("user/hostfwd-again")
def test_a_forward_is_had_again_at_once(attach_peer, bench, target, claim):
    peer = attach_peer(netdev((FREE,)))
    address, port = the_forward(peer).source
    with target.host.connect(address, port) as calling:
        # A caller that QEMU has not taken yet would be reset, and leave nothing behind.
        if not asked_for(peer, GUEST):
            raise ControlFailed("QEMU does not take the call, by its wire")
        peer.qemu.kill()
        taken_to_end(calling)
    require_lingering(target.host, port)
    again = bench.attempt(netdevs=[netdev((FREE.replace(":0-", f":{port}-"),))])
    claim.sees("had again" if again.started else f"refused: {again.complaints.refusal.rpartition(': ')[2]}")
    assert again.started, "a forward is refused as long as an old connection lingers at its port"


@pytest.mark.claim("user/hostfwd-udp-callers")
def test_callers_by_udp_are_told_apart(attach_stack, target, claim):
    stack = attach_stack(by_udp(FREE))
    forward = the_forward(stack.peer)
    service, callers = stack.open_udp(SERVICE), [target.host.open_socket(socket.SOCK_DGRAM) for _ in range(3)]
    for number, caller in enumerate(callers):
        caller.bind(("127.0.0.1", 0))
        caller.sendto(b"caller %d" % number, forward.source)
        service.receive(number + 1)
    for asked in service.received:
        service.send(b"answer to " + asked.data, *asked.sender)
    stack.settle()
    got = [stack.meanwhile(lambda caller=caller: waiting_datagrams(caller)) for caller in callers]
    for caller in callers:
        caller.close()
    wanted = [[b"answer to caller %d" % number] for number in range(3)]
    right = sum(each == mine for each, mine in zip(got, wanted, strict=True))
    claim.sees(f"{right} of {len(callers)} callers got their own answer")
    assert got == wanted, f"three callers get {got}"


def waiting_datagrams(caller):
    """The first datagram that comes, and those that are there by then."""
    caller.settimeout(5.0)
    try:
        got = [caller.recv(99)]
        caller.setblocking(False)
        while True:
            got.append(caller.recv(99))
    except (TimeoutError, BlockingIOError):
        return got if "got" in locals() else []


@pytest.mark.claim("user/hostfwd-ipv4-off")
def test_a_forward_without_ipv4(bench, attach_stack, target, claim):
    tried = bench.attempt(netdevs=[netdev((FREE,), ("ipv4=off",))])
    if not tried.started:
        claim.sees("refused")
        return
    stack = attach_stack(FREE, options=("ipv4=off",))
    forward = the_forward(stack.peer)
    listener = stack.listen(SERVICE)
    with target.host.connect(*forward.source) as calling:
        # QEMU asks whose the address is, is told, and asks again.
        asked = stack.until(lambda: stack.asked_for(GUEST) > 1 or listener.called, 10.0)
        crossed = words_over(stack, calling, SERVICE) if listener.called else None
    claim.sees(crossed or f"connected; QEMU asks for {GUEST}{', and once more when it was told' if asked else ''}")
    if crossed is None:
        assert asked, f"QEMU does not ask for {GUEST} as if it had not been told"
        claim.deviates()
    else:
        assert crossed.whole, f"of a forward that is accepted, {crossed}"


@pytest.mark.claim("user/info-usernet")
def test_what_info_usernet_lists(attach_stack, target, claim):
    stack = attach_stack(FREE, by_udp(FREE))
    ways = {each.protocol: each for each in forwards(stack.peer)}
    service = (target.loopback_echo.address, target.loopback_echo.port)
    out, port = stack.connect("10.0.2.2", service[1]), stack.open_udp()
    assert out.opened, "a service of the host's loopback does not answer a peer"
    port.send(b"a word", "10.0.2.2", service[1])
    assert port.receive(), "a service of the host's loopback does not answer a peer by UDP"
    unanswered = stack.open_udp()
    with (
        serving(target.host, "127.0.0.1", "UDP") as silent,
        target.host.connect(*ways["TCP"].source) as calling,
    ):
        silent_port = silent.getsockname()[1]
        unanswered.send(b"a word", "10.0.2.2", silent_port)
        assert (crossed := words_over(stack, calling, SERVICE)).whole, f"of words through the forward, {crossed}"
        listed = {(each.protocol, state_of(each), each.source, each.target) for each in usernet(stack.peer)}
    wanted = {
        "out by TCP": ("TCP", "ESTABLISHED", out.local, out.far),
        "out by UDP": ("UDP", "minutes left", (GUEST, port.port), ("10.0.2.2", service[1])),
        "not answered": ("UDP", "minutes left", (GUEST, unanswered.port), ("10.0.2.2", silent_port)),
        "in by TCP": ("TCP", "ESTABLISHED", ways["TCP"].source, (GUEST, SERVICE)),
    }
    rules = {(protocol, FORWARD, each.source, (GUEST, SERVICE)) for protocol, each in ways.items()}
    said = [f"{which}: {'' if line in listed else 'not '}listed" for which, line in wanted.items()]
    claim.sees(f"{'both' if rules <= listed else 'not both'} forwards; {'; '.join(said)}")
    assert len(rules) == 2 and rules <= listed, f"info usernet lists {listed}"
    assert claim.observed == claim.expected, f"info usernet lists {claim.observed}"
    assert listed == rules | set(wanted.values()), f"info usernet lists {listed}"


def state_of(line):
    """A UDP flow has the seconds that are left of it, which is all that changes."""
    if not line.state.endswith(" sec"):
        return line.state
    return "minutes left" if MINUTES_SECONDS < int(line.state.split()[0]) <= EXPIRES_SECONDS else line.state
