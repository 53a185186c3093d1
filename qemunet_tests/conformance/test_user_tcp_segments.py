"""TCP's segments between a guest, played by a scapy peer, and sockets of the host: order, loss, windows, sizes."""

import random

import pytest

from qemunet_tests.guest.peer_tcp import IPV6_MSS, MSS, WINDOW
from qemunet_tests.observe.forwarding import forwards
from qemunet_tests.observe.station_end import accepted, received, serving

HOST, LOOPBACK = "10.0.2.2", "127.0.0.1"
QUESTION = b"a question?"
#: Some segments' worth, where a peer takes one after the other.
SOME = bytes(range(250)) * 120
#: Segments of 12000 bytes: sent twice, overlapping on either side, overtaken, within others, and a gap that ends last.
PIECES = (
    (0, 1000), (0, 1000), (700, 1500), (3000, 4000), (3000, 4000), (3500, 4800), (2000, 3200), (6000, 7000),
    (5000, 6400), (10000, 11000), (9000, 10000), (8000, 9000), (8200, 8300), (4800, 5000), (7000, 8400),
    (11000, 12000), (1200, 2100),
)  # fmt: skip
#: An initial timer is three seconds (RFC 6298), and QEMU's guest may be slow.
AGAIN_SECONDS = 30.0


def carried_bytes(frame, port=None):
    """How much data a segment carries, if it is for that port, where one is named."""
    from scapy.layers.inet import IP, TCP

    if TCP not in frame or port not in (None, frame[TCP].dport):
        return 0
    return frame[IP].len - 4 * (frame[IP].ihl + frame[TCP].dataofs)


@pytest.mark.claim("user/tcp-order")
def test_segments_in_another_order(user_stack, target, claim):
    data = random.randbytes(12000)
    with serving(target.host, LOOPBACK) as listening:
        connection = user_stack.connect(HOST, listening.getsockname()[1])
        # What gets lost here would be sent again, and in order.
        connection.again_seconds = 60.0
        with accepted(listening) as end:
            connection.send_pieces(data, PIECES)
            came = user_stack.meanwhile(lambda: received(end, len(data)))
    same = next((at for at, (one, other) in enumerate(zip(came, data, strict=False)) if one != other), len(came))
    claim.sees(f"{same} of {len(data)} bytes in order")
    assert claim.observed == claim.expected, f"of segments that overtake, come twice and overlap, {claim.observed}"


@pytest.mark.claim("user/tcp-sends-again")
def test_what_is_lost_comes_again(user_stack, target, claim):
    said = []
    for which, data, lost in (("the only one", QUESTION, [0]), ("one of many", SOME, [8])):
        with serving(target.host, LOOPBACK) as listening:
            connection = user_stack.connect(HOST, listening.getsockname()[1])
            connection.lost = lost
            with accepted(listening) as end:
                user_stack.meanwhile(lambda end=end, data=data: end.sendall(data))
                came = connection.read(len(data), AGAIN_SECONDS)
        said.append(f"{which}: {len(came) if came == data else f'{len(came)} wrong'} bytes")
    claim.sees("; ".join(said))
    assert claim.observed == claim.expected, f"when a segment is lost, {claim.observed}"


@pytest.mark.claim("user/tcp-window")
def test_no_more_comes_than_there_is_room_for(user_stack, target, claim):
    small = 700
    with serving(target.host, LOOPBACK) as listening:
        connection = user_stack.dial(HOST, listening.getsockname()[1], room=small)
        assert connection.wait_opened(), "a service of the host's loopback does not answer a peer"
        # From now on nothing is taken away of what comes: the window closes with it.
        connection.room = 0
        with accepted(listening) as end:
            end.sendall(SOME[: 10 * small])
            connection.read(small)
            # QEMU goes from one connection to the next: what comes to a later one, it would have sent to this one, too.
            other = user_stack.connect(HOST, listening.getsockname()[1])
            with accepted(listening) as later:
                later.sendall(QUESTION)
                other.read(len(QUESTION))
            first, *others = (carried_bytes(frame, connection.local[1]) for frame in user_stack.frames
                              if carried_bytes(frame, connection.local[1]))  # fmt: skip
            connection.tell_room(WINDOW)
            user_stack.meanwhile(lambda: end.sendall(SOME[10 * small :]))
            came = connection.read(len(SOME))
    rest = f"all {len(came)}" if came == SOME else f"{len(came)} bytes, not those that were sent"
    closed = max([1, *others])
    claim.sees(f"room for {small} bytes: {first} come; for none: at most {closed} at a time; then {rest}")
    assert claim.observed == claim.expected, f"a guest that says what it has room for: {claim.observed}"


@pytest.mark.claim("user/tcp-mss")
def test_no_segment_is_larger_than_the_guest_wants(attach_stack, target, claim):
    stack = attach_stack("tcp:127.0.0.1:0-:7007")
    # Its own segments carry as much as it says that those for it may: 40 bytes less.
    stack.mtu_bytes = 540
    listener, (forward,) = stack.listen(7007), forwards(stack.peer)
    became = {}
    with serving(target.host, LOOPBACK) as listening, target.host.open_socket() as calling:
        out = stack.connect(HOST, listening.getsockname()[1])
        with accepted(listening) as end:
            stack.meanwhile(lambda: end.sendall(SOME))
            became["out"] = out.read(len(SOME)), out.local[1]
        calling.connect(forward.source)
        called = listener.accept()
        assert called, "the guest is not called through the forward"
        stack.meanwhile(lambda: calling.sendall(SOME))
        became["in"] = called.read(len(SOME)), 7007
    largest = {how: max(carried_bytes(frame, port) for frame in stack.frames) for how, (_, port) in became.items()}
    whole = all(came == SOME for came, _ in became.values())
    sizes = "; ".join(f"{how}: at most {size} bytes" for how, size in largest.items())
    claim.sees(f"{sizes}; {f'all {len(SOME)} bytes each' if whole else 'not all bytes'}")
    if claim.observed != claim.expected:
        of_ethernet = largest["out"] in (IPV6_MSS, MSS) and largest["in"] == stack.mtu_bytes - 40
        assert whole and of_ethernet, f"of segments for a guest that wants small ones, {claim.observed}"
        claim.deviates()
