"""UDP between a guest, played by a scapy peer, and sockets of the host, through QEMU: senders, errors, sizes."""

import contextlib
import random
import socket

import pytest

from qemunet_tests.deadline import Deadline
from qemunet_tests.errors import HarnessError
from qemunet_tests.observe.lease import offer
from qemunet_tests.observe.station_end import accepted, closed_udp_port, datagram, serving

HOST, LOOPBACK, EVERYBODY = "10.0.2.2", "127.0.0.1", "255.255.255.255"
PORT_UNREACHABLE = (3, 3)
#: linux/in.h; Python does not name it.
IP_RECVTTL = 12
#: By which signal a program ends that reads where there is no memory: it depends on the register.
ENDINGS = ("killed by SIGBUS", "killed by SIGSEGV")
#: Of this many frames, so many are different.
FRAMES, DIFFERENT = 20_000, 1000


def bytes_of(size):
    """No part of them is like another, which could take its place."""
    return random.randbytes(size)


@pytest.mark.claim("user/udp-any-answers")
def test_everybody_may_answer(user_stack, target, claim):
    port, address = user_stack.open_udp(), target.neighbour_echo.address
    with (
        serving(target.neighbour, address, "UDP") as first,
        serving(target.neighbour, address, "UDP") as second,
        serving(target.host, target.address, "UDP") as third,
    ):
        seen = []
        for each in (first, second):
            port.send(b"a question", *each.getsockname())
            seen.append(datagram(each))
        wanted = []
        for each, answer in ((second, b"of the second"), (first, b"of the first"), (third, b"of a third")):
            each.sendto(answer, seen[0][1])
            wanted.append((*each.getsockname(), answer))
            port.receive(len(wanted))
    got = [(*each.sender, each.data) for each in port.received]
    ports = {sender for _, sender in seen}
    answers = "both answer, and so does a third that was not asked" if got == wanted else f"there came {got}"
    claim.sees(f"{'one port' if len(ports) == 1 else ports} for two destinations; {answers}")
    assert claim.observed == claim.expected, f"{claim.observed}, of {wanted}"


@pytest.mark.claim("user/peer-sees-host")
def test_who_is_called_sees_the_host(user_stack, target, claim):
    low, high = map(int, target.host.sysctl("net.ipv4.ip_local_port_range").split())
    address, own = target.neighbour_echo.address, 1234
    with serving(target.neighbour, address) as tcp, serving(target.neighbour, address, "UDP") as udp:
        connection = user_stack.dial(*tcp.getsockname(), own_port=own)
        connection.wait_opened()
        user_stack.open_udp(own).send(b"a word", *udp.getsockname())
        with accepted(tcp) as end:
            caller = end.getpeername()
        callers = {"TCP": caller, "UDP": datagram(udp)[1]}
    said = []
    for protocol, (host, port) in callers.items():
        shown = "the host's address" if host == target.address else host
        which = "a port of its own" if low <= port <= high and port != own else f"port {port}"
        said.append(f"by {protocol}: {shown}, {which}")
    claim.sees("; ".join(said))
    assert claim.observed == claim.expected, f"a machine of the LAN sees, {claim.observed}"


@pytest.mark.claim("user/udp-broadcast")
def test_a_broadcast_reaches_the_host(user_stack, target, claim):
    port = user_stack.open_udp()
    with serving(target.host, LOOPBACK, "UDP") as service:
        port.send(b"a question", EVERYBODY, service.getsockname()[1])
        question, sender = datagram(service)
        service.sendto(b"an answer", sender)
        answers = port.receive()
    came = ", ".join(f"{each.data!r} from {each.source}" for each in answers) or "nothing"
    claim.sees(f"the host gets {question!r}; back comes {came}")
    assert (question, [each.data for each in answers]) == (b"a question", [b"an answer"]), claim.observed
    if answers[0].source == HOST:
        claim.sees(claim.expected)
    else:
        assert answers[0].source == LOOPBACK, claim.observed
        claim.deviates()


def reported(stack, port, address, number):
    """What ICMP says of a datagram to a closed port."""
    port.send(b"is anybody there?", address, number)
    stack.until(lambda: stack.errors, 5.0)
    return [
        (error.source, (error.type, error.code), error.target, error.protocol, error.ports) for error in stack.errors
    ]


@pytest.mark.claim("user/udp-closed-port")
def test_a_closed_port_of_another_machine(user_stack, target, claim):
    port, address = user_stack.open_udp(), target.neighbour_echo.address
    number = closed_udp_port(target.neighbour, address)
    said = reported(user_stack, port, address, number)
    right = (address, PORT_UNREACHABLE, address, "UDP", (port.port, number))
    claim.sees("port unreachable, by the machine itself" if said == [right] else said or "nothing")
    assert said == [right], f"of a closed port of {address}, ICMP says {said or 'nothing'}"


@pytest.mark.claim("user/udp-closed-port-gateway")
def test_a_closed_port_of_the_host(user_stack, target, claim):
    port, number = user_stack.open_udp(), closed_udp_port(target.host, LOOPBACK)
    said = reported(user_stack, port, HOST, number)
    by = said[0][0] if said else "nobody"
    claim.sees(f"port unreachable, by {by}")
    assert said == [(by, PORT_UNREACHABLE, HOST, "UDP", (port.port, number))], f"ICMP says {said or 'nothing'}"
    if by != HOST:
        assert by == LOOPBACK, f"a closed port of the host is reported by {by}"
        claim.deviates()


@pytest.mark.claim("user/udp-fragments")
def test_datagrams_larger_than_a_packet(user_stack, target, claim):
    port, became = user_stack.open_udp(), []
    with serving(target.host, LOOPBACK, "UDP") as service:
        # The first just fits into a packet.
        for size in (1472, 3000, 60000):
            there, back = bytes_of(size), bytes_of(size)
            port.send(there, HOST, service.getsockname()[1])
            got, sender = user_stack.meanwhile(lambda: datagram(service))
            before = len(port.received)
            service.sendto(back, sender)
            came = port.receive(before + 1)[before:]
            whole = [
                "whole" if one == other else "spoilt" for one, other in ((got, there), (came and came[0].data, back))
            ]
            packets = came[0].sizes if came else ()
            became.append(f"{size} bytes: {whole[0]} there, {whole[1]} back in {len(packets)} packets")
            assert max(packets, default=0) <= 1500, f"an answer comes in packets of {packets} bytes"
    assert claim.sees("; ".join(became)) == claim.expected, claim.observed


@pytest.mark.claim("user/udp-fragments-astray")
@pytest.mark.parametrize(
    ("how", "count", "order"),
    [
        ("each twice", 1, lambda mine: [piece for piece in mine for _ in range(2)]),
        ("between another's", 2, lambda *both: [piece for pair in zip(*both, strict=True) for piece in pair]),
    ],
)
def test_pieces_in_another_order(user_stack, target, claim, how, count, order):
    data = [bytes_of(4000) for _ in range(count)]
    with serving(target.host, LOOPBACK, "UDP") as service:
        for piece in order(*(user_stack.pieces(HOST, service.getsockname()[1], each) for each in data)):
            user_stack.transmit(piece)
        came = [user_stack.meanwhile(lambda: datagram(service))[0] for _ in data]
    whole = sum(each in came for each in data)
    claim.sees("all of them whole" if whole == count else f"{how}: {whole} of {count} whole")
    assert claim.observed == claim.expected, f"of datagrams whose pieces come {claim.observed}"


@pytest.mark.claim("user/udp-fragments-backwards")
def test_pieces_that_come_backwards(user_stack, target, claim):
    data, qemu = bytes_of(4000), user_stack.peer.qemu
    # What QEMU does not take any more is told by what becomes of it.
    with serving(target.host, LOOPBACK, "UDP") as service, contextlib.suppress(HarnessError):
        for piece in reversed(user_stack.pieces(HOST, service.getsockname()[1], data)):
            user_stack.transmit(piece)
        user_stack.settle()
        got, _ = user_stack.meanwhile(lambda: datagram(service))
        claim.sees("whole" if got == data else "spoilt")
    if Deadline(0.5, "QEMU to end").sees(lambda: qemu.process.poll() is not None):
        ended = qemu.how_it_ended()
        claim.sees(f"QEMU ends: {ended}")
        assert ended in ENDINGS, claim.observed
        claim.deviates()
    else:
        assert claim.observed == claim.expected, (
            f"a datagram whose last piece comes first is {claim.observed or 'lost'}"
        )


@pytest.mark.claim("user/udp-empty")
def test_an_empty_datagram(user_stack, target, claim):
    port = user_stack.open_udp()
    with serving(target.host, LOOPBACK, "UDP") as service:
        port.send(b"", HOST, service.getsockname()[1])
        there, sender = datagram(service)
        service.sendto(b"", sender)
        back = port.receive()
    claim.sees(f"there: {len(there)} bytes; back: {f'{len(back[0].data)} bytes' if back else 'nothing'}")
    assert claim.observed == claim.expected, f"of an empty datagram, {claim.observed}"


@pytest.mark.claim("user/udp-many")
def test_many_answers_come_through_one_port(user_stack, target, claim):
    port, words = user_stack.open_udp(), [b"word %02d" % number for number in range(20)]
    with serving(target.host, LOOPBACK, "UDP") as service:
        for number, word in enumerate(words, 1):
            port.send(word, HOST, service.getsockname()[1])
            service.sendto(*datagram(service))
            if len(port.receive(number)) < number:
                break
    came = [each.data for each in port.received]
    claim.sees(f"{len(came)} of {len(words)} answered")
    assert came == words[: len(came)], f"other answers come: {came}"
    assert claim.observed == claim.expected, f"of questions through one port, {claim.observed}"


@pytest.mark.claim("user/udp-ttl")
def test_the_time_to_live_goes_on(user_stack, target, claim):
    port, said = user_stack.open_udp(), []
    with serving(target.host, LOOPBACK, "UDP") as service:
        service.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
        for ttl in (64, 9):
            port.send(b"how far?", HOST, service.getsockname()[1], ttl=ttl)
            _, told, _, _ = service.recvmsg(99, 99)
            arrived = [int.from_bytes(data[:1], "little") for level, _, data in told if level == socket.IPPROTO_IP]
            said.append(f"sent with {ttl}: arrived with {', '.join(map(str, arrived))}")
    assert claim.sees("; ".join(said)) == claim.expected, claim.observed


def malformed(choose, mac):
    """A frame that begins like one to the gateway, with some bytes of its headers altered, and perhaps cut off."""
    from scapy.layers.inet import ICMP, IP, TCP, UDP
    from scapy.layers.inet6 import ICMPv6ND_RS, IPv6
    from scapy.layers.l2 import ARP, Ether

    ether = Ether(src=mac, dst="52:55:0a:00:02:02")
    frame = bytearray(
        choose.choice(
            [
                bytes(ether / IP(src="10.0.2.15", dst=HOST) / TCP(sport=choose.randrange(65536), dport=1)),
                bytes(ether / IP(src="10.0.2.15", dst=HOST) / UDP(sport=choose.randrange(65536), dport=69) / b"\0\1x"),
                bytes(
                    ether / IP(src="10.0.2.15", dst=HOST, flags="MF", frag=choose.randrange(8191)) / ICMP() / b"part"
                ),
                bytes(ether / ARP(psrc="10.0.2.15", pdst=HOST)),
                bytes(ether / IPv6(src="fe80::15", dst="ff02::2") / ICMPv6ND_RS()),
            ]
        )
    )
    # Whoever it is for stays: no frame is to leave QEMU for anywhere else.
    places = [at for at in range(12, len(frame)) if not 30 <= at < 34]
    for at in choose.sample(places, 3):
        frame[at] = choose.randrange(256)
    return bytes(frame[: choose.randrange(14, len(frame) + 1)])


@pytest.mark.claim("user/flood-survived")
@pytest.mark.lengthy
@pytest.mark.usefixtures("lab")
def test_a_flood_of_malformed_frames(user_peer, claim):
    choose = random.Random(20260711)
    frames = [malformed(choose, user_peer.mac) for _ in range(DIFFERENT)]
    # What it does not take any more is told by what becomes of it.
    with contextlib.suppress(HarnessError):
        for number in range(FRAMES):
            user_peer.wire.put(frames[number % DIFFERENT])
        got = offer(user_peer, within_seconds=5.0)
        claim.sees(f"a lease of {got.interface} afterwards" if got else "no lease afterwards")
    ended = user_peer.qemu.how_it_ended()
    assert ended is None, f"QEMU ends of the frames that its guest sends: {ended}"
    assert claim.observed == claim.expected, claim.observed or "QEMU takes no frames any more"
