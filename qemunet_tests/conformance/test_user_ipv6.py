"""What user networking tells its guest by IPv6: the router's advertisement, neighbours, DHCPv6, and the options."""

import ipaddress
from dataclasses import replace

import pytest

from qemunet_tests.guest.address_resolution import (
    IPV6_ADDRESS,
    is_answer_for,
    is_gateways_answer,
    question_for,
    question_for_gateway,
)
from qemunet_tests.network import lab_addresses
from qemunet_tests.observe import dhcpv6
from qemunet_tests.observe.ipv6 import address_of_mac, made_addresses
from qemunet_tests.observe.neighbour_discovery import (
    NeighbourAnswer,
    answering,
    defender,
    is_router_advertisement,
    neighbour,
    question_for_routers,
)
from qemunet_tests.observe.peer_dns import ask_by_peer, ask_by_station, dns_in_words, question
from qemunet_tests.observe.router_advertisement import Advertisement, counted, link_address, prefix, solicited

HOST, RESOLVER = "fec0::2", "fec0::3"
#: RFC 3849: another prefix.
OTHER = "2001:db8:77::/64"
BOOT_URL = "tftp://[fec0:0000:0000:0000:0000:0000:0000:0002]/"


def advertised(network="fec0::/64", *more):
    """All that a router of user networking says; `more` are further options."""
    told = (link_address("52:56:00:00:00:02"), prefix(network, valid_seconds=86400, preferred_seconds=14400), *more)
    return Advertisement(
        "fe80::2", "ff02::1", hop_limit=255, advertised_hop_limit=64, flags=0, lifetime_seconds=1800, reachable_ms=0,
        retransmit_ms=0, options=told,
    )  # fmt: skip


def resolver_option(peer):
    """What is advertised of resolvers."""
    return [option for option in solicited(peer).options if option.startswith("resolver ")]


def owner(address):
    """The neighbour that QEMU plays at an address: its MAC ends as the address does."""
    last = f"{int(address.rpartition(':')[2], 16):04x}"
    return NeighbourAnswer(
        address, address, f"52:56:00:00:{last[:2]}:{last[2:]}", router=True, solicited=True, overrides=True
    )


@pytest.mark.claim("user/ip6-prefix")
def test_a_guest_makes_itself_an_address(leased_guest, claim):
    claim.expects(address_of_mac("fec0::/64", leased_guest.macs[0]))
    seen = claim.sees(" ".join(made_addresses(leased_guest)) or "no address")
    assert seen == claim.expected, f"the guest has made itself {seen}"


@pytest.mark.claim("user/ip6-solicited-at-once")
def test_every_solicitation_is_answered(user_peer, claim):
    assert neighbour(user_peer, HOST), "not even a neighbour is told anything"
    counts = [counted(user_peer, solicitations) for solicitations in (0, 1, 3)]
    seen = claim.sees(" ".join(map(str, counts)))
    assert seen == claim.expected, f"advertisements upon 0, 1 and 3 solicitations: {seen}"


@pytest.mark.claim("user/ip6-far-solicitations")
def test_what_has_come_over_a_router_is_not_answered(user_peer, claim):
    from scapy.layers.inet6 import IPv6

    assert neighbour(user_peer, HOST), "not even a neighbour is told anything"
    told = {}
    for hops in (255, 254):
        asked = [question_for_routers(user_peer), question_for(user_peer.mac, RESOLVER, IPV6_ADDRESS)]
        for frame in asked:
            frame[IPv6].hlim = hops
        told[hops] = answered_kinds(user_peer, asked)
    claim.sees("; ".join(f"with {hops}{' hops' * (hops == 255)}: {kinds}" for hops, kinds in told.items()))
    assert claim.observed == claim.expected, f"solicitations by hops that are left: {claim.observed}"


def answered_kinds(peer, asked):
    """What is answered of a solicitation of routers and one of the resolver, before the answer to something later."""
    found = []

    def ends(frame):
        found.extend(["router"] * is_router_advertisement(frame) + ["neighbour"] * is_answer_for(frame, RESOLVER))
        return is_gateways_answer(frame)

    for frame in asked:
        peer.send(frame)
    peer.ask(question_for_gateway(peer.mac), ends)
    return ", ".join(dict.fromkeys(found)) or "none"


@pytest.mark.claim("user/ip6-ra-fields")
def test_the_advertisement_says_this_and_nothing_else(user_peer, claim):
    told = claim.sees(solicited(user_peer))
    assert told == advertised(), str(told)
    assert str(told) == claim.expected


@pytest.mark.claim("user/ip6-net-option")
@pytest.mark.parametrize("option", [f"ipv6-net={OTHER}", "ipv6-prefix=2001:db8:77::,ipv6-prefixlen=64"])
def test_the_prefix_is_what_the_option_says(attach_user_peer, claim, option):
    peer = attach_user_peer(option)
    told = claim.sees(solicited(peer))
    assert told == advertised(OTHER), str(told)
    found = answering(peer, [HOST, RESOLVER, "2001:db8:77::2", "2001:db8:77::3"])
    assert found == ["2001:db8:77::2", "2001:db8:77::3"], f"{' '.join(found)} answer"


@pytest.mark.claim("user/ip6-net-bad")
@pytest.mark.parametrize(
    ("option", "reason"),
    [
        ("ipv6-net=fec0::/127", "Invalid IPv6 prefix provided (IPv6 prefix length must be between 0 and 126)"),
        ("ipv6-net=nowhere/64", "Failed to parse IPv6 prefix"),
        ("ipv6-host=2001:db8::2", "IPv6 Host doesn't belong to network"),
        ("ipv6-host=nowhere", "Failed to parse IPv6 host"),
        ("ipv6-dns=nowhere", "Failed to parse IPv6 DNS"),
    ],
)
def test_what_is_no_network_is_refused(bench, claim, option, reason):
    alone = bench.attempt("-netdev", f"user,id=net0,{option}")
    claim.sees(f"{option}: {'QEMU starts' if alone.started else alone.complaints.refusal}")
    assert not alone.started, f"{option}: QEMU starts"
    assert alone.complaints.refusal.endswith(reason), alone.complaints.refusal


@pytest.mark.claim("user/ip6-net-zero")
def test_a_length_of_nothing_is_a_length(attach_user_peer, claim):
    told = solicited(attach_user_peer("ipv6-net=fec0::/0"))
    claim.sees(told.options[1])
    if told != advertised("fec0::/0"):
        assert told == advertised("fec0::/64"), str(told)
        claim.deviates(name="sixty-four")


@pytest.mark.claim("user/ip6-neighbours")
def test_nobody_else_answers_as_a_neighbour(user_peer, claim):
    asked = [f"{start}{last:x}" for start in ("fec0::", "fe80::") for last in range(1, 20)]
    found = answering(user_peer, asked)
    owners = [HOST, RESOLVER, "fe80::2", "fe80::3"]
    assert found == owners, f"{claim.sees(' '.join(found))} answer"
    claim.sees(" ".join(found))
    said = [neighbour(user_peer, address) for address in owners]
    assert said == list(map(owner, owners)), "; ".join(map(str, said))
    told = defender(user_peer, HOST)
    assert told == replace(owner(HOST), solicited=False), f"who is about to take {HOST} is told: {told or 'nothing'}"


@pytest.mark.claim("user/ip6-host-option")
def test_the_host_is_where_the_option_says(attach_user_peer, claim):
    peer = attach_user_peer("ipv6-host=fec0::9")
    found = answering(peer, [HOST, "fec0::9", RESOLVER])
    claim.sees(" ".join(found))
    assert found == ["fec0::9", RESOLVER], f"{' '.join(found)} answer"
    said = neighbour(peer, "fec0::9")
    assert said == owner("fec0::9"), f"for fec0::9 answers {said or 'nobody'}"


@pytest.mark.claim("user/ip6-host-option-router")
def test_the_router_that_is_advertised_answers_as_a_neighbour(attach_user_peer, claim):
    peer = attach_user_peer("ipv6-host=fec0::9")
    router = solicited(peer).source
    found = answering(peer, [router, "fe80::9"])
    seen = claim.sees(f"{router} is advertised; neighbours: {' '.join(found) or 'none'}")
    if router not in found:
        assert (router, found) == ("fe80::2", ["fe80::9"]), seen
        claim.deviates(name="silent-router")


@pytest.mark.claim("user/ip6-dns-option")
def test_the_resolver_is_where_the_option_says(attach_stack, resolv_conf, ipv6_lab, claim):
    resolv_conf(f"nameserver {lab_addresses.ROUTER_IPV6}\n")
    stack, shown = attach_stack(options=("ipv6-dns=fec0::53",)), "fec0::53"
    right = ask_by_station(ipv6_lab.host, lab_addresses.ROUTER_IPV6, question("www.example"))
    told = ask_by_peer(stack, shown, question("www.example"))
    leased = dhcpv6.informed(stack.peer, dhcpv6.RESOLVERS).option(dhcpv6.RESOLVERS)
    found = answering(stack.peer, [HOST, RESOLVER, shown])
    advertised_too = [option.partition(" for ")[0] for option in resolver_option(stack.peer)]
    seen = claim.sees(f"{shown}: {dns_in_words(told)}; neighbours: {' '.join(found)}; {' '.join(advertised_too)}")
    assert (told, found, advertised_too) == (right, [HOST, shown], [f"resolver {shown}"]), seen
    assert leased == bytes.fromhex("fec0") + bytes(13) + b"\x53", f"DHCPv6 tells another resolver: {leased!r}"


@pytest.mark.claim("user/ip6-rdnss")
def test_a_resolver_is_advertised_where_there_is_one(attach_user_peer, resolv_conf, claim):
    # Written with all its zeros, as a resolver may be.
    by_ipv6, told = ipaddress.IPv6Address(lab_addresses.ROUTER_IPV6).exploded, {}
    for which, text in {"by IPv4": lab_addresses.ROUTER, "by IPv6": by_ipv6}.items():
        resolv_conf(f"nameserver {text}\n")
        told[which] = [option.partition(" for ")[0] for option in resolver_option(attach_user_peer())]
    seen = claim.sees("; ".join(f"a resolver {which}: {' '.join(each) or 'none'}" for which, each in told.items()))
    assert seen == claim.expected, seen


@pytest.mark.claim("user/ip6-rdnss-lifetime")
def test_the_resolver_is_advertised_for_as_long_as_it_should_be(attach_user_peer, resolv_conf, claim):
    resolv_conf(f"nameserver {lab_addresses.ROUTER_IPV6}\n")
    (told,) = resolver_option(attach_user_peer())
    seconds = claim.sees(told.partition(" for ")[2])
    if seconds != claim.expected:
        assert seconds == "1200000 s", f"the resolver is advertised for {seconds}"
        claim.deviates(name="thousandfold")


@pytest.mark.claim("user/ip6-dhcpv6-information")
def test_dhcpv6_tells_what_it_is_asked_for(attach_user_peer, claim):
    peer = attach_user_peer("bootfile=boot/file")
    asked = (dhcpv6.RESOLVERS, dhcpv6.BOOT_URL)
    answers = {wanted: dhcpv6.informed(peer, *wanted) for wanted in ((), asked[:1], asked[1:], asked)}
    told = {
        dhcpv6.RESOLVERS: bytes.fromhex("fec0") + bytes(13) + b"\x03",
        dhcpv6.BOOT_URL: f"{BOOT_URL}boot/file".encode(),
    }
    claim.sees(f"{HOST} tells {answers[asked]}")
    for wanted, answer in answers.items():
        assert (answer.source, answer.type) == (HOST, dhcpv6.REPLY), f"{answer.source} answers, with type {answer.type}"
        ours = [(number, value) for number, value in answer.options if number != dhcpv6.SERVER_IDENTIFIER]
        right = [(dhcpv6.CLIENT_IDENTIFIER, dhcpv6.IDENTIFIER), *((number, told[number]) for number in wanted)]
        assert ours == right, f"asked for {wanted} it tells {ours}"


@pytest.mark.claim("user/ip6-dhcpv6-server-id")
def test_a_dhcpv6_server_says_who_it_is(user_peer, claim):
    answer = dhcpv6.informed(user_peer, dhcpv6.RESOLVERS)
    numbers = [number for number, _ in answer.options]
    seen = claim.sees(f"options {' '.join(map(str, numbers))}")
    if dhcpv6.SERVER_IDENTIFIER not in numbers:
        assert numbers == [dhcpv6.CLIENT_IDENTIFIER, dhcpv6.RESOLVERS], seen
        claim.deviates(name="nameless")


@pytest.mark.claim("user/ip6-dhcpv6-stateless")
def test_dhcpv6_gives_no_address(user_peer, claim):
    # Whoever answered the later question has dealt with the earlier one.
    answer = dhcpv6.answered_after_solicit(user_peer)
    assert answer is not None, "not even a question for information is answered"
    seen = claim.sees("a SOLICIT is not answered" if answer.type == dhcpv6.REPLY else f"message {answer.type}")
    assert seen == claim.expected, f"a SOLICIT is answered by {seen}"


@pytest.mark.claim("user/ip6-dhcpv6-port")
def test_dhcpv6_answers_come_from_its_port(user_peer, claim):
    port = dhcpv6.informed(user_peer, dhcpv6.RESOLVERS).port
    claim.sees(f"port {port}")
    if port != dhcpv6.SERVER_PORT:
        assert port == int.from_bytes(dhcpv6.SERVER_PORT.to_bytes(2)[::-1]), f"answered from port {port}"
        claim.deviates(name="bytes-swapped")


@pytest.mark.claim("user/ip6-boot-url-empty")
def test_no_boot_file_is_offered_where_there_is_none(user_peer, claim):
    offered = dhcpv6.informed(user_peer, dhcpv6.BOOT_URL).option(dhcpv6.BOOT_URL)
    claim.sees("none" if offered is None else offered.decode())
    if offered is not None:
        assert offered == f"{BOOT_URL}(null)".encode(), f"{offered.decode(errors='replace')} is offered"
        claim.deviates(name="null")
