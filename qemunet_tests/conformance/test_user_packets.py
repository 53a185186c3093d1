"""What packets have to be like on either way: sums, lengths, options, hops, and the stations that they go between."""

from functools import partial

import pytest

from qemunet_tests.guest.address_resolution import GATEWAY
from qemunet_tests.observe.dhcp_client import is_answer_to, message
from qemunet_tests.observe.guest_moves import IPV6_MOVES, MOVES, found_at
from qemunet_tests.observe.neighbour_discovery import neighbour
from qemunet_tests.observe.odd_packets import (
    GATEWAY_MAC,
    IPV6_HOST,
    IPV6_HOST_MAC,
    WORD,
    cut_off,
    ipv6_questions,
    is_answer,
    is_sound_answer,
    questions,
    to_gateway,
    with_wrong_sum,
)
from qemunet_tests.observe.packet_headers import headers
from qemunet_tests.observe.peer_ping import ask_echo
from qemunet_tests.observe.silence import answer_or_silence
from qemunet_tests.observe.station_end import datagram, serving
from qemunet_tests.observe.stray_segment import answers_to_stray

#: RFC 1122, 3.2.1.7: what is the least that is sensible.
HOPS = 64
FILLING = b"\xee" * 18
LOOPBACK, ETHERNET_BYTES = "127.0.0.1", 14
#: Layers whose checksum is spoilt, by the name of the question.
SUMS = (
    ("ICMP", "IP"), ("ICMP", "ICMP"), ("UDP", "UDP"), ("TCP", "TCP"), ("ICMP by IPv6", "ICMPv6EchoRequest"),
    ("UDP by IPv6", "UDP"), ("TCP by IPv6", "TCP"),
)  # fmt: skip


@pytest.mark.claim("user/packet-checksums")
def test_a_wrong_checksum_is_not_answered(user_peer, claim):
    assert neighbour(user_peer, IPV6_HOST), "the host is no neighbour by IPv6"
    asked = questions(user_peer) | ipv6_questions(user_peer)
    sound, spoilt = list[str](), list[str]()
    for name, layer in SUMS:
        question = asked[name]
        for frame, answered in ((question, sound), (with_wrong_sum(question, layer), spoilt)):
            if answer_or_silence(user_peer, frame, partial(is_sound_answer, question=question)):
                answered.append(f"{layer} ({name})")
    claim.sees(f"{len(sound)} of {len(SUMS)} answered, and {', '.join(spoilt) or 'none'} of them with a wrong checksum")
    assert claim.observed == claim.expected, f"of packets with right and wrong checksums, {claim.observed}"


@pytest.mark.claim("user/packet-cut-off")
def test_what_is_cut_off_is_not_answered(user_peer, claim):
    assert neighbour(user_peer, IPV6_HOST), "the host is no neighbour by IPv6"
    discover = message(user_peer, "discover")
    tried = {name: (*frames, is_answer) for name, frames in cut_off(user_peer).items()}
    tried["DHCP"] = (discover, discover_cut_off(discover), is_answer_to)
    whole, cut = list[str](), list[str]()
    for name, (frame, shorter, answers) in tried.items():
        for asked, answered in ((frame, whole), (shorter, cut)):
            if answer_or_silence(user_peer, asked, partial(answers, question=frame)):
                answered.append(name)
    claim.sees(f"{len(whole)} of {len(tried)} answered, and {', '.join(cut) or 'none'} of them cut off")
    assert claim.observed == claim.expected, f"of frames that are whole and cut off, {claim.observed}"


def discover_cut_off(discover):
    """A DISCOVER that ends within the fields that every message has; UDP and IP say so themselves."""
    from scapy.layers.inet import UDP
    from scapy.packet import Raw

    shorter = discover.copy()
    fields = bytes(shorter[UDP].payload)[:100]
    shorter[UDP].remove_payload()
    return shorter / Raw(fields)


@pytest.mark.claim("user/packet-filled")
def test_what_fills_a_frame_is_no_part_of_it(user_stack, target, claim):
    from scapy.layers.inet import UDP

    peer, request = user_stack.peer, questions(user_stack.peer)["ICMP"]
    user_stack.settle()
    reply = answer_or_silence(peer, type(request)(bytes(request) + FILLING), lambda came: is_answer(came, request))
    with serving(target.host, LOOPBACK, "UDP") as service:
        header, port = to_gateway(peer), service.getsockname()[1]
        whole = header / UDP(sport=40000, dport=port) / b"a word"
        # Behind the frame's packet, and within that behind the datagram.
        inside = header / UDP(sport=40000, dport=port, len=8 + len(b"a word"), chksum=0) / (b"a word" + FILLING)
        sizes = []
        for frame in (bytes(whole) + FILLING, bytes(inside)):
            peer.wire.put(frame)
            sizes.append(str(len(user_stack.meanwhile(lambda: datagram(service))[0])))
    claim.sees(f"an echo reply of {len(reply) - ETHERNET_BYTES if reply else 0} bytes; "
               f"datagrams of {' and '.join(sizes)} bytes")  # fmt: skip
    assert claim.observed == claim.expected, f"of filled frames, {claim.observed}"


@pytest.mark.claim("user/packet-options")
def test_options_keep_nothing_from_its_service(user_stack, target, claim):
    from scapy.layers.inet import UDP

    peer = user_stack.peer
    answered = [name for name, frame in questions(peer, options=True).items() if sound_answer(peer, frame)]
    *first, last = answered or ["nothing"]
    claim.sees(f"{', '.join(first)} and {last} are answered" if first else f"{last} is answered")
    assert claim.observed == claim.expected, f"of packets with options, {claim.observed}"
    with serving(target.host, LOOPBACK, "UDP") as service:
        peer.send(to_gateway(peer, options=True) / UDP(sport=40000, dport=service.getsockname()[1]) / WORD)
        came, _ = user_stack.meanwhile(lambda: datagram(service))
    assert came == WORD, f"of {len(WORD)} bytes in a packet with options, {len(came)} come to the host"


def sound_answer(peer, question):
    """Whether what comes back is sound, and of an echo request what it carried."""
    came = answer_or_silence(peer, question, lambda frame: is_sound_answer(frame, question))
    return came is not None and ("ICMP" not in question or bytes(came["ICMP"])[8:48] == WORD)


@pytest.mark.claim("user/packet-hops")
def test_what_comes_may_go_far_and_goes_to_the_guest(user_stack, target, claim):
    port = target.loopback_echo.port
    assert ask_echo(user_stack, GATEWAY), "the gateway does not answer ping"
    assert user_stack.ask_datagram(GATEWAY, port, b"a word"), "a service of the host does not answer"
    assert user_stack.connect(GATEWAY, port).opened, "a service of the host does not answer by TCP"
    assert answers_to_stray(user_stack, GATEWAY, 9), "a segment of no connection is not reset"
    assert user_stack.ask_datagram(GATEWAY, port, b"a word", ttl=1), "the end of a way is not told"
    assert ask_echo(user_stack, IPV6_HOST), "the host does not answer ping by IPv6"
    found = headers(user_stack)
    stations = {False: GATEWAY_MAC, True: IPV6_HOST_MAC}
    wrong = [f"{each.kind} with {each.hops} hops from {each.sender_mac} to {each.receiver_mac}" for each in found
             if each.hops < HOPS or each.receiver_mac != user_stack.peer.mac
             or each.sender_mac != stations[each.kind.endswith("by IPv6")]]  # fmt: skip
    kinds = ", ".join(dict.fromkeys(each.kind for each in found))
    claim.sees("; ".join(wrong) or f"{kinds}: {HOPS} hops or more, from {GATEWAY_MAC} and by IPv6 {IPV6_HOST_MAC}")
    assert claim.observed == claim.expected, f"to {user_stack.peer.mac} comes {claim.observed}"


@pytest.mark.claim("user/guest-moved")
def test_a_guest_is_found_at_its_new_hardware_address(user_stack, claim):
    said = []
    for address, moves in ((GATEWAY, MOVES), (IPV6_HOST, IPV6_MOVES)):
        own, old = user_stack.own_address(address), user_stack.peer.mac
        assert found_at(user_stack, address) == old, f"{address} does not answer a guest that has not moved yet"
        found = []
        for number, (how, says) in enumerate(moves.items()):
            user_stack.peer.mac = f"52:54:00:70:6d:{number:02x}"
            user_stack.peer.send(says(user_stack.peer.mac, own))
            found += [how] if found_at(user_stack, address) == user_stack.peer.mac else []
        *first, last = found or ["nothing"]
        said.append(f"{', '.join(first)} and {last}" if first else last)
    claim.sees(f"found by {said[0]}, by IPv6 by {said[1]}")
    assert claim.observed == claim.expected, f"after its hardware address changed a guest is {claim.observed}"
