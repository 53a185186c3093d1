"""What user networking promises of names beyond the answer itself: whom QEMU asks, and by which protocol."""

import secrets
import time

import pytest

from qemunet_tests.deadline import Deadline
from qemunet_tests.guest.icmp_error import IcmpError
from qemunet_tests.guest.peer_udp import PeerDatagram
from qemunet_tests.network import lab_addresses
from qemunet_tests.network.dnsmasq import StubResolver
from qemunet_tests.observe.peer_dns import ask_by_peer, ask_by_station, askers_of, dns_in_words, is_truncated, question

RESOLVER, IPV6_RESOLVER = "10.0.2.3", "fec0::3"
#: RFC 792: a destination unreachable, and why.
UNREACHABLE, NETWORK, PORT = 3, 0, 3
#: libslirp looks at resolv.conf once a second, by a clock that stands still for a second where nothing happens.
NOTICED_SECONDS = 2.0


def fresh_name():
    """A name that nobody has asked for yet."""
    return f"{secrets.token_hex(6)}.example"


def asked_stations(lab, name):
    """The stations whose resolver was asked for a name, and by whom."""
    return {station.name: askers_of(server.log, name) for station, server in lab.resolvers.items()
            if askers_of(server.log, name)}  # fmt: skip


@pytest.mark.claim("user/dns-tcp")
def test_names_are_resolved_by_tcp_too(user_stack, lab, claim):
    for name in ("www.example", lab_addresses.UNKNOWN_NAME):
        right = ask_by_station(lab.host, lab_addresses.ROUTER, question(name), "TCP")
        told = ask_by_peer(user_stack, RESOLVER, question(name), "TCP")
        claim.sees(f"{name}: {dns_in_words(told)}")
        assert told == right, (
            f"by TCP the guest is told {dns_in_words(told)} of {name}, and the host {dns_in_words(right)}"
        )
    claim.sees("the same bytes as the host gets")


@pytest.mark.claim("user/dns-first-resolver")
def test_the_first_ipv4_resolver_of_the_file_is_asked(attach_stack, resolv_conf, lab, claim):
    resolv_conf(
        f"# resolvers\nsearch home\nnameserver {lab_addresses.ROUTER_IPV6}\n"
        f"nameserver\t{lab_addresses.NEIGHBOUR}\nnameserver {lab_addresses.ROUTER}\n"
    )
    name = fresh_name()
    answer = ask_by_peer(attach_stack(), RESOLVER, question(name))
    assert isinstance(answer, bytes), f"no answer but {dns_in_words(answer)}"
    asked = asked_stations(lab, name)
    told = claim.sees(", ".join(f"{station} asked by {' and '.join(set(by))}" for station, by in asked.items()))
    assert told == claim.expected, f"of a router and a neighbour, the first in the file: {told}"


@pytest.mark.claim("user/dns-no-second")
def test_a_second_resolver_is_asked_where_the_first_is_dead(attach_stack, resolv_conf, lab, claim):
    dead = StubResolver.address
    resolv_conf(f"nameserver {dead}\nnameserver {lab_addresses.ROUTER}\n")
    name, control = fresh_name(), fresh_name()
    stack = attach_stack()
    answer = ask_by_peer(stack, RESOLVER, question(name), within_seconds=1.0)
    # The second one is there, also for the guest.
    direct = ask_by_peer(stack, lab_addresses.ROUTER, question(control))
    assert isinstance(direct, bytes), "the second resolver gives the guest no answer when it is asked by its address"
    assert asked_stations(lab, control) == {"router": [lab_addresses.HOST]}, "the second resolver has not been asked"
    asked = asked_stations(lab, name)
    seen = claim.sees(f"{dns_in_words(answer)}; asked: {', '.join(asked) or 'nobody'}")
    if asked != {"router": [lab_addresses.HOST]} or not isinstance(answer, bytes):
        assert (asked, answer) == ({}, IcmpError(dead, UNREACHABLE, PORT)), seen
        claim.deviates(name="first-alone")


@pytest.mark.claim("user/dns-file-changes")
def test_a_changed_file_is_noticed(attach_stack, resolv_conf, lab, claim):
    """Judged is when a question was put, which the machine's business cannot make earlier than it was."""
    stack = attach_stack()
    resolv_conf(f"nameserver {lab_addresses.ROUTER}\n")
    before = fresh_name()
    assert isinstance(ask_by_peer(stack, RESOLVER, question(before)), bytes), "no answer before the file is changed"
    assert list(asked_stations(lab, before)) == ["router"], "another resolver is asked before the file is changed"
    resolv_conf(f"nameserver {lab_addresses.NEIGHBOUR}\n")
    changed_seconds = time.monotonic()
    went: dict[float, list[str]] = {}

    def noticed():
        name, asked_seconds = fresh_name(), time.monotonic() - changed_seconds
        answer = ask_by_peer(stack, RESOLVER, question(name), within_seconds=1.0)
        went[asked_seconds] = list(asked_stations(lab, name)) or [dns_in_words(answer)]
        return asked_seconds > NOTICED_SECONDS

    Deadline(30, "two seconds to pass").wait_until(noticed, interval_seconds=0.2)
    late = max(seconds for seconds in went if seconds > NOTICED_SECONDS)
    claim.sees(f"asked {late:.1f} s after the change: {' and '.join(went[late])}")
    assert went[late] == ["neighbour"], f"{late:.1f} s after the change not the new resolver: {went[late][0]}"


@pytest.mark.claim("user/dns-local-stub")
def test_a_resolver_of_the_host_alone_serves_the_guest(attach_stack, resolv_conf, stub_resolver, lab, claim):
    resolv_conf(f"nameserver {stub_resolver.address}\n")
    stack = attach_stack()
    asked = question(stub_resolver.name)
    right = ask_by_station(lab.host, stub_resolver.address, asked)
    told = {protocol: ask_by_peer(stack, RESOLVER, asked, protocol) for protocol in ("UDP", "TCP")}
    claim.sees("; ".join(f"by {protocol} {dns_in_words(message)}" for protocol, message in told.items()))
    assert right is not None, f"what is at {stub_resolver.address} gives the host itself no answer"
    assert told == {"UDP": right, "TCP": right}, f"the guest is not told what the host is: {dns_in_words(right)}"
    askers = set(askers_of(stub_resolver.log, stub_resolver.name))
    assert askers == {"127.0.0.1"}, f"it was asked from {' '.join(askers) or 'nowhere'}"


@pytest.mark.claim("user/dns-no-resolver")
def test_a_guest_is_told_where_there_is_no_resolver(attach_stack, resolv_conf, claim):
    resolv_conf(None)
    stack = attach_stack()
    told = {protocol: ask_by_peer(stack, RESOLVER, question("www.example"), protocol) for protocol in ("UDP", "TCP")}
    claim.sees("; ".join(f"by {protocol} {dns_in_words(message)}" for protocol, message in told.items()))
    for protocol, message in told.items():
        assert message == IcmpError("10.0.2.2", UNREACHABLE, NETWORK), f"by {protocol} {dns_in_words(message)}"


@pytest.mark.claim("user/dns-empty-file")
def test_a_file_without_resolvers_means_the_loopback(attach_stack, resolv_conf, lab, claim):
    resolv_conf("search home\n")
    name = fresh_name()
    answer = ask_by_peer(attach_stack(), RESOLVER, question(name))
    asked = asked_stations(lab, name)
    seen = claim.sees(f"{dns_in_words(answer)}; asked: {', '.join(asked) or 'nobody'}")
    assert asked == {"host": ["127.0.0.1"]}, seen
    assert isinstance(answer, bytes), seen


@pytest.mark.claim("user/dns-ipv6-only-resolver")
@pytest.mark.usefixtures("ipv6_lab")
def test_a_host_with_an_ipv6_resolver_only_serves_by_ipv6(attach_stack, resolv_conf, lab, claim):
    resolv_conf(f"nameserver {lab_addresses.ROUTER_IPV6}\n")
    stack, names = attach_stack(), (fresh_name(), fresh_name())
    by_ipv4 = ask_by_peer(stack, RESOLVER, question(names[0]))
    by_ipv6 = ask_by_peer(stack, IPV6_RESOLVER, question(names[1]))
    seen = claim.sees(f"{RESOLVER}: {dns_in_words(by_ipv4)}; {IPV6_RESOLVER}: {dns_in_words(by_ipv6)}")
    assert by_ipv4 == IcmpError("10.0.2.2", UNREACHABLE, NETWORK), seen
    assert asked_stations(lab, names[0]) == {}, f"asked at {RESOLVER}, QEMU asks on"
    assert isinstance(by_ipv6, bytes), seen
    asked = asked_stations(lab, names[1])
    assert asked == {"router": [lab_addresses.HOST_IPV6]}, (
        f"asked at {IPV6_RESOLVER}, QEMU asks {', '.join(asked) or 'nobody'}"
    )


@pytest.mark.claim("user/dns-big-answer")
def test_a_big_answer_arrives_whole(attach_stack, resolv_conf, stub_resolver, lab, claim):
    resolv_conf(f"nameserver {stub_resolver.address}\n")
    stack, plain = attach_stack(), question(stub_resolver.told, "TXT")
    large = question(stub_resolver.told, "TXT", largest_bytes=4096)
    right = {asked: ask_by_station(lab.host, stub_resolver.address, asked) or b"" for asked in (plain, large)}
    by_tcp = ask_by_station(lab.host, stub_resolver.address, plain, "TCP")
    assert len(right[large]) > 4000, "the resolver gives the host itself no large answer"
    assert is_truncated(right[plain]), "the resolver says it all in a small answer"
    told = {
        "small by UDP": ask_by_peer(stack, RESOLVER, plain),
        "large by UDP": ask_by_peer(stack, RESOLVER, large),
        "by TCP": ask_by_peer(stack, RESOLVER, plain, "TCP"),
    }
    seen = claim.sees("; ".join(f"{which}: {dns_in_words(message)}" for which, message in told.items()))
    assert told == {"small by UDP": right[plain], "large by UDP": right[large], "by TCP": by_tcp}, seen


@pytest.mark.claim("user/dns-option-redirects")
def test_the_address_of_the_resolver_is_only_shown(attach_stack, lab, claim):
    name, shown = fresh_name(), "10.0.2.53"
    answer = ask_by_peer(attach_stack(options=(f"dns={shown}",)), shown, question(name))
    asked = asked_stations(lab, name)
    seen = claim.sees(f"{dns_in_words(answer)}; asked: {', '.join(asked) or 'nobody'}")
    assert asked == {"router": [lab_addresses.HOST]}, seen
    assert isinstance(answer, bytes), seen


@pytest.mark.claim("user/dns-option-outside")
def test_a_resolver_shown_outside_the_network_answers(attach_stack, lab, claim):
    shown, by_udp, by_tcp = "198.51.100.53", fresh_name(), fresh_name()
    stack = attach_stack(options=(f"dns={shown}",))
    answers = {
        "UDP": ask_by_peer(stack, shown, question(by_udp)),
        "TCP": ask_by_peer(stack, shown, question(by_tcp), "TCP"),
    }
    seen = claim.sees("; ".join(f"by {protocol} {dns_in_words(answer)}" for protocol, answer in answers.items()))
    for name in (by_udp, by_tcp):
        asked = set(asked_stations(lab, name))
        assert asked == {"router"}, f"asked is {' '.join(asked) or 'nobody'}"
    right = {"UDP": by_udp, "TCP": by_tcp}
    right = {each: ask_by_station(lab.host, lab_addresses.ROUTER, question(name), each) for each, name in right.items()}
    if answers != right:
        udp = answers["UDP"]
        assert isinstance(udp, PeerDatagram), seen
        assert (udp.source, udp.port, udp.data) == (lab_addresses.ROUTER, 53, right["UDP"]), seen
        assert answers["TCP"] == right["TCP"], seen
        claim.deviates(name="another-source")
