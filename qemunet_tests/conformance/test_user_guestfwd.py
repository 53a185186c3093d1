"""What the documentation promises of guest forwards, `guestfwd=tcp:SERVER:PORT-DEVICE` and `-cmd:COMMAND`."""

import signal

import pytest

from qemunet_tests.conformance.promises import promise
from qemunet_tests.deadline import Deadline
from qemunet_tests.errors import HarnessError
from qemunet_tests.modes.user import netdev
from qemunet_tests.observe.process import zombies_of
from qemunet_tests.observe.station_end import accepted, received, serving, unserved

SERVER, PORT = "10.0.2.100", 80
#: A command answers within one, and so does the kernel.
SPAWN_SECONDS = 2.0
#: More than QEMU has room for on the way to the guest, so that its buffer begins anew.
MUCH = bytes(range(250)) * 600
CAPITALS = f"guestfwd=tcp:{SERVER}:{PORT}-cmd:tr a-z A-Z"


def in_capitals(stack, server=SERVER):
    """What comes back of a word that a guest forward is to put in capitals."""
    connection = stack.connect(server, PORT)
    connection.send(b"qemu")
    connection.finish()
    got = connection.read_to_end()
    return f"qemu becomes {got.decode(errors='replace') or 'nothing'}, then {connection.wait_over()}"


def tried(bench, *rules):
    return bench.attempt(netdevs=[netdev(options=tuple(f"guestfwd={rule}" for rule in rules))])


@pytest.mark.claim("user/guestfwd-command")
def test_a_command_is_a_service(attach_stack, claim):
    assert claim.sees(in_capitals(attach_stack(options=(CAPITALS,)))) == claim.expected, claim.observed


@pytest.mark.claim("user/guestfwd-command-each")
def test_every_connection_has_its_own_command(attach_stack, claim):
    stack = attach_stack(options=(f"guestfwd=tcp:{SERVER}:{PORT}-cmd:sh -c 'echo $$; exec cat'",))
    connections = [stack.connect(SERVER, PORT) for _ in range(3)]
    for number, connection in enumerate(connections):
        stack.until(lambda connection=connection: b"\n" in connection.received, 5.0)
        connection.send(b"word %d" % number)
    said = []
    for connection in connections:
        stack.until(lambda connection=connection: b"word" in connection.received, 5.0)
        stack.settle()
        said.append(bytes(connection.received).partition(b"\n"))
    own = [rest for _, _, rest in said] == [b"word %d" % number for number in range(3)]
    processes = {process for process, _, _ in said if process.isdigit()}
    words = "every word at its own" if own else "words astray"
    claim.sees(f"{len(connections)} connections, {len(processes)} processes, {words}")
    assert claim.observed == claim.expected, f"{claim.observed}: {said}"
    for connection in connections:
        connection.finish()
        connection.read_to_end()
    gone = Deadline(SPAWN_SECONDS, "QEMU to wait for them").sees(lambda: not zombies_of(stack.peer.qemu))
    assert gone, f"of {len(connections)} commands that have ended {zombies_of(stack.peer.qemu)} are still zombies"


@pytest.mark.claim("user/guestfwd-command-bad")
def test_a_command_that_cannot_be_started(attach_stack, claim):
    stack = attach_stack(options=(f"guestfwd=tcp:{SERVER}:{PORT}-cmd:/no/such/command",))
    connection = stack.connect(SERVER, PORT)
    ending = connection.wait_over()
    stack.settle()
    claim.sees(f"{len(connection.received)} bytes, then {ending}; 10.0.2.2 answers afterwards")
    assert connection.opened, "the connection does not open"
    assert claim.observed == claim.expected, claim.observed


@pytest.mark.claim("user/guestfwd-device")
def test_a_device_is_there_for_qemus_lifetime(attach_stack, target, claim):
    with serving(target.host, "127.0.0.1") as listening:
        device = f"tcp:127.0.0.1:{listening.getsockname()[1]}"
        stack = attach_stack(options=(f"guestfwd=tcp:{SERVER}:{PORT}-{device}",))
        # Before any frame has been sent.
        with accepted(listening) as end:
            turns = []
            for there, back in ((b"first there", b"first back"), (b"second there", b"second back")):
                connection = stack.connect(SERVER, PORT)
                connection.send(there)
                got = stack.meanwhile(lambda there=there: received(end, len(there)))
                end.sendall(back)
                turns.append((got, connection.read(len(back))) == (there, back))
                connection.abort()
                stack.settle()
            connection = stack.connect(SERVER, PORT)
            connection.send(MUCH)
            there = stack.meanwhile(lambda: received(end, len(MUCH)))
            stack.meanwhile(lambda: end.sendall(MUCH))
            whole = (there, connection.read(len(MUCH))) == (MUCH, MUCH)
            ways = ", ".join("both ways" if turn else "no" for turn in [*turns, whole])
            claim.sees(f"one connection for QEMU's lifetime: {ways} with {len(MUCH)} bytes")
    assert claim.observed == claim.expected, claim.observed


@pytest.mark.claim("user/guestfwd-device-shared")
def test_connections_share_a_device(attach_stack, target, claim):
    with serving(target.host, "127.0.0.1") as listening:
        device = f"tcp:127.0.0.1:{listening.getsockname()[1]}"
        stack = attach_stack(options=(f"guestfwd=tcp:{SERVER}:{PORT}-{device}",))
        with accepted(listening) as end:
            connections = [stack.connect(SERVER, PORT) for _ in range(2)]
            came = []
            for connection in connections:
                connection.send(b"there")
                came.append(stack.meanwhile(lambda: received(end, 5)) == b"there")
            end.sendall(b"back")
            stack.until(lambda: any(len(each.received) == 4 for each in connections), 5.0)
            stack.settle()
            heard = [bytes(each.received) for each in connections]
    claim.sees(f"{sum(came)} of 2 write to it, {heard.count(b'back')} of 2 read what it says")
    assert claim.observed == claim.expected, f"of two connections to one device, {claim.observed}"


@pytest.mark.claim("user/guestfwd-device-absent")
def test_a_device_that_cannot_be_opened(bench, target, claim):
    with unserved(target.host, "127.0.0.1") as port:
        device = f"tcp:127.0.0.1:{port}"
        attempt = tried(bench, f"tcp:{SERVER}:{PORT}-{device}")
    said = attempt.message.splitlines()
    claim.sees("started" if attempt.started else f"refused: {said[0].rpartition(': ')[2]}")
    assert attempt.status == 1, "QEMU starts without its device"
    assert said[0].endswith(f"Failed to connect to '127.0.0.1:{port}': Connection refused"), attempt.message
    assert said[1].endswith(f"Could not open guest forwarding device 'guestfwd.tcp.{PORT}'"), attempt.message


@pytest.mark.parametrize(
    "rule",
    [
        promise("user/guestfwd-bad-address", f"tcp:10.0.3.100:{PORT}-cmd:cat"),
        promise("user/guestfwd-tcp-only", f"udp:{SERVER}:{PORT}-cmd:cat"),
        promise("user/guestfwd-bad-port", f"tcp:{SERVER}:http-cmd:cat"),
    ],
)
def test_a_guest_forward_that_is_written_wrong(bench, claim, rule):
    attempt = tried(bench, rule)
    reason = attempt.complaints.refusal.partition(" '")[0].rpartition(": ")[2] if not attempt.started else ""
    claim.sees(f"refused: {reason}" if reason else "started")
    assert attempt.status == 1, f"QEMU starts with the wrong rule {rule}"
    assert claim.observed == claim.expected, str(attempt.complaints)
    assert attempt.complaints.refusal.endswith(f"{reason} '{rule}'"), str(attempt.complaints)


@pytest.mark.claim("user/guestfwd-gateway")
def test_a_guest_forward_at_the_gateway(bench, claim):
    rule = f"tcp:10.0.2.2:{PORT}-cmd:cat"
    attempt = tried(bench, rule)
    claim.sees("started" if attempt.started else "refused")
    if not attempt.started:
        conflict = f"Conflicting/invalid host:port in guest forwarding rule '{rule}'"
        assert attempt.complaints.refusal.endswith(conflict), str(attempt.complaints)
        claim.deviates()


@pytest.mark.claim("user/guestfwd-twice")
def test_contradicting_guest_forwards(bench, claim):
    rule = f"tcp:{SERVER}:{PORT}-cmd:cat"
    once, attempt = tried(bench, rule), tried(bench, rule, rule)
    claim.sees("started" if attempt.started else "refused")
    assert once.started, f"one such rule is refused already: {once.complaints}"
    if attempt.started:
        claim.deviates()
    else:
        conflict = f"Conflicting/invalid host:port in guest forwarding rule '{rule}'"
        assert attempt.complaints.refusal.endswith(conflict), str(attempt.complaints)


@pytest.mark.claim("user/guestfwd-two-servers")
def test_two_servers_with_one_port(bench, attach_stack, claim):
    servers = (SERVER, "10.0.2.101")
    kinds = {"commands": "cmd:cat", "devices": "null"}
    said = {kind: tried(bench, *(f"tcp:{each}:{PORT}-{what}" for each in servers)) for kind, what in kinds.items()}
    claim.sees("; ".join(f"with {kind}: {'started' if each.started else 'refused'}" for kind, each in said.items()))
    assert said["commands"].started, f"with commands: {said['commands'].complaints}"
    ways = dict(zip(servers, ("cmd:tr a-z A-Z", "cmd:cat"), strict=True))
    stack = attach_stack(options=tuple(f"guestfwd=tcp:{each}:{PORT}-{what}" for each, what in ways.items()))
    answers = [in_capitals(stack, each) for each in servers]
    assert answers == ["qemu becomes QEMU, then end", "qemu becomes qemu, then end"], f"of two servers {answers}"
    if not said["devices"].started:
        refusal = said["devices"].message.splitlines()[-1]
        assert refusal.endswith(f"Could not open guest forwarding device 'guestfwd.tcp.{PORT}'"), refusal
        claim.deviates()


@pytest.mark.claim("user/guestfwd-loopback-down")
def test_a_command_where_the_loopback_is_down(bench, host_without_loopback, attach_stack, claim):
    with bench.varied(station=host_without_loopback):
        seen = claim.sees(in_capitals(attach_stack(options=(CAPITALS,))))
    if seen != claim.expected:
        assert seen == "qemu becomes nothing, then end", seen
        claim.deviates()


@pytest.mark.claim("user/sandbox-spawn")
def test_a_command_that_may_not_be_started(attach_peer, claim):
    from qemunet_tests.guest.peer_stack import PeerStack

    peer = attach_peer(netdev(options=("guestfwd=tcp:10.0.2.100:80-cmd:cat",)), "-sandbox", "on,spawn=deny")
    connection = PeerStack(peer).connect("10.0.2.100", 80)
    try:
        connection.send(b"word")
        came = connection.read(4, SPAWN_SECONDS)
    except HarnessError:  # QEMU takes no frames any more
        came = b""
    ended = Deadline(SPAWN_SECONDS, "QEMU to end").sees(lambda: peer.qemu.process.poll() is not None)
    claim.sees(f"QEMU ends with status {peer.qemu.process.poll()}" if ended else "QEMU lives")
    assert not came, f"in the sandbox a command was started, and says {came!r}"
    if ended:
        assert peer.qemu.process.poll() == -signal.SIGSYS, claim.observed
        claim.deviates()
