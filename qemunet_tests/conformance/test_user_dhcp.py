"""The DHCP server of user networking, asked by scapy peers for every field of what it says."""

import pytest

from qemunet_tests.conformance.promises import promise
from qemunet_tests.modes.user import netdev
from qemunet_tests.observe.dhcp_client import (
    answers,
    ask_dhcp,
    chosen_server,
    client_macs,
    leases,
    message,
    offered,
    search_list,
    wish,
)

#: What fits into the field for it, which has 128 bytes, and a NUL at the end.
LONGEST_BOOTFILE = 127
SEARCHED = ("example.org", "lab.example.org", "b.example.org")
#: With the longest labels that there are, and too long for one option, which has at most 255 bytes (RFC 3396).
LONG_SEARCHED = tuple(
    f"{letter * length}.example.org" for letter, length in (("a", 63), ("b", 63), ("c", 63), ("d", 50))
)
#: Each a part of the next. What refers to the second, which is written as a reference itself, is what is tried.
NESTED = ("example.org", "lab.example.org", "sub.lab.example.org")


@pytest.mark.claim("user/dhcp-server-is-gateway")
def test_the_gateway_leases(user_peer, claim):
    offer = offered(user_peer)
    claim.sees(f"from {offer.source}, option 54: {offer.option(54) or 'none'}, siaddr: {offer.server}")
    assert claim.observed == claim.expected, f"the offer comes {claim.observed}"


@pytest.mark.claim("user/dhcp-options-exact")
def test_an_offer_has_these_options_and_no_other(user_peer, claim):
    offer = offered(user_peer)
    assert claim.sees(str(offer)) == claim.expected, f"the offer has other options: {offer}"


@pytest.mark.claim("user/dhcp-answers-broadcast")
def test_every_answer_goes_to_everybody(user_peer, claim):
    offer = offered(user_peer)
    renewed = ask_dhcp(user_peer, "request", own=offer.address, to=offer.source)
    assert renewed, "a REQUEST by unicast is not answered"
    went = {kind: f"{said.destination} at {said.destination_mac}" for kind, said in
            (("offer", offer), ("ack to a renewal", renewed))}  # fmt: skip
    claim.sees("; ".join(f"{kind}: {where}" for kind, where in went.items()))
    assert set(went.values()) == {claim.expected}, f"answers go elsewhere: {claim.observed}"


@pytest.mark.claim("user/dhcp-answer-size")
def test_answers_have_one_size(user_peer, claim):
    got = [
        ask_dhcp(user_peer, "discover"),
        ask_dhcp(user_peer, "request"),
        ask_dhcp(user_peer, "request", wish("10.9.9.9")),
    ]
    claim.sees(", ".join(f"{said.kind}: {said.bootp_bytes} bytes" if said else "none" for said in got))
    assert claim.observed == claim.expected, f"answers have another size: {claim.observed}"


@pytest.mark.claim("user/dhcp-first-is-start")
def test_dhcpstart_is_the_first_address(attach_user_peer, claim):
    claim.sees(" ".join(leases(attach_user_peer("dhcpstart=10.0.2.100"), client_macs(2))))
    assert claim.observed == claim.expected, f"two clients get {claim.observed}"


@pytest.mark.claim("user/dhcp-sixteen-leases")
def test_how_many_clients_are_served(user_peer, claim):
    *first, last = [user_peer.mac, *client_macs(16)]
    served = leases(user_peer, first)
    beyond = answers(user_peer, [message(user_peer, "discover", mac=last)])
    documented = [f"10.0.2.{number}" for number in range(15, 32)]
    served += [said.address for said in beyond]
    claim.sees(f"{served[0]} to {served[-1]}")
    if served != documented:
        assert served == documented[:16], f"seventeen clients get {' '.join(served)}"
        claim.deviates(name="ends-at-30")


@pytest.mark.claim("user/dhcp-seventeenth")
def test_the_seventeenth_client_is_told_nothing(user_peer, claim):
    *first, last = [user_peer.mac, *client_macs(16)]
    served = leases(user_peer, first)
    assert len(set(served)) == 16, f"the clients before get {' '.join(served)}"
    said = answers(user_peer, [message(user_peer, kind, mac=last) for kind in ("discover", "request")])
    claim.sees("; ".join(map(str, said)) or "nothing")
    assert said == [], f"the seventeenth client is told: {claim.observed}"


@pytest.mark.claim("user/dhcp-same-mac-same-address")
def test_a_client_keeps_its_address(user_peer, claim):
    one, other, third = client_macs(3)
    leased = leases(user_peer, [one, other, one])
    # As a client asks that has its address from somewhere else and names none.
    known = ask_dhcp(user_peer, "request", mac=other)
    named = f"the other, which names none: {known.address if known else 'no answer'}"
    claim.sees(f"{' '.join(leased)}; {named}; a third: {leases(user_peer, [third])[0]}")
    assert claim.observed == claim.expected, f"a client, another, and the first again get {claim.observed}"


@pytest.mark.claim("user/dhcp-wish")
def test_a_wish_is_granted_in_the_pool(user_peer, claim):
    # One in the pool, its last, one behind it, and one that is taken by now.
    wishes = ("10.0.2.20", "10.0.2.30", "10.0.2.31", "10.0.2.20")
    got = [offered(user_peer, wish(wished), mac=mac).address
           for wished, mac in zip(wishes, client_macs(len(wishes)), strict=True)]  # fmt: skip
    claim.sees("; ".join(f"{wished}: {address}" for wished, address in zip(wishes, got, strict=True)))
    assert claim.observed == claim.expected, f"who asks for an address is offered: {claim.observed}"


@pytest.mark.claim("user/dhcp-pool-avoids-own")
def test_no_address_of_the_networks_own_is_leased(attach_user_peer, claim):
    instead = {
        "10.0.2.254": ["10.0.2.254", "10.0.2.255", *(f"10.0.2.{number}, then nak" for number in range(3))],
        "10.0.2.1": [f"10.0.2.{number}" for number in range(1, 6)],
    }
    pools = {start: leases(attach_user_peer(f"dhcpstart={start}"), client_macs(5)) for start in instead}
    claim.sees("; ".join(" ".join(pool) for pool in pools.values()))
    for start, pool in pools.items():
        assert pool[0] == start, f"with dhcpstart={start} the pool begins at {pool[0]}"
    own = {f"10.0.2.{number}" for number in (0, 2, 3, 255)}
    if any(address.partition(",")[0] in own for pool in pools.values() for address in pool):
        assert pools == instead, f"own addresses are leased, and others than known: {claim.observed}"
        claim.deviates(name="runs-over-them")


@pytest.mark.claim("user/dhcp-other-server")
def test_what_is_for_another_server_is_not_answered(user_peer, claim):
    asked = [message(user_peer, "request", wish(address), chosen_server("10.0.2.99"), mac=mac)
             for address, mac in zip(("10.0.2.20", "10.9.9.15"), client_macs(2), strict=True)]  # fmt: skip
    said = [answer.kind for answer in answers(user_peer, asked)]
    claim.sees(" and ".join(said) or "nothing")
    if said:
        assert said == ["ack", "nak"], f"REQUESTs for another server are answered: {claim.observed}"
        claim.deviates()


@pytest.mark.claim("user/dhcp-pads")
def test_pads_are_skipped(user_peer, claim):
    got = [offered(user_peer, wish(f"10.0.2.2{pads}"), mac=mac, pads=pads).address
           for pads, mac in zip((0, 1, 3), client_macs(3), strict=True)]  # fmt: skip
    claim.sees(f"behind none: {got[0]}; behind one each: {got[1]}; behind three: {got[2]}")
    assert claim.observed == claim.expected, f"wishes behind pads are answered: {claim.observed}"


@pytest.mark.claim("user/dhcp-nak")
@pytest.mark.parametrize("renews", [False, True], ids=["asks", "renews"])
@pytest.mark.parametrize("address", ["10.0.2.15", "192.168.7.7"], ids=["taken", "foreign"])
def test_an_address_that_cannot_be_had_is_refused(user_peer, claim, address, renews):
    one, other = client_macs(2)
    leases(user_peer, [one])
    # Who renews says it in a field (ciaddr), and in no option: RFC 2131, 4.3.2.
    how = {"own": address} if renews else {}
    refused = ask_dhcp(user_peer, "request", *([] if renews else [wish(address)]), mac=other, **how)
    claim.sees(refused and "; ".join(f"{number}: {value}" for number, value in refused.options))
    assert claim.observed == claim.expected, f"who asks for {address} is told: {claim.observed}"


@pytest.mark.claim("user/dhcp-unknown-client-request")
def test_a_request_out_of_nowhere_is_granted(user_peer, claim):
    granted = ask_dhcp(user_peer, "request", mac=client_macs(1)[0])
    claim.sees(granted)
    assert claim.observed == claim.expected, f"a REQUEST without a DISCOVER is answered: {granted}"


@pytest.mark.claim("user/dhcp-others-ignored")
def test_other_messages_change_nothing(user_peer, claim):
    one, next_one = client_macs(2)
    had = leases(user_peer, [user_peer.mac, one])[1]
    kinds = {"inform": (), "decline": (wish(had),), "release": (chosen_server("10.0.2.2"),)}
    asked = [message(user_peer, kind, *options, mac=one, own=had) for kind, options in kinds.items()]
    said = answers(user_peer, asked)
    claim.sees(f"{had}; {' '.join(each.kind for each in said) or 'no answer'}; {leases(user_peer, [next_one])[0]}")
    assert claim.observed == claim.expected, f"a lease, what is said of it, and the next lease: {claim.observed}"


@pytest.mark.claim("user/bootp")
def test_a_bootp_client_is_answered(user_peer, claim):
    answer = ask_dhcp(user_peer, "")
    claim.sees(answer)
    assert claim.observed == claim.expected, f"BOOTP's question is answered: {answer}"


@pytest.mark.parametrize(
    ("option", "number", "value"),
    [
        promise("user/hostname", "hostname", 12, "vm.example"),
        promise("user/domainname", "domainname", 15, "lab.example"),
    ],
)
def test_an_option_of_qemu_is_an_option_of_dhcp(attach_user_peer, claim, option, number, value):
    told = offered(attach_user_peer(f"{option}={value}"))
    plain = offered(attach_user_peer())
    claim.sees(f"option {number}: {told.option(number) or 'none'}; without {option}=: {plain.option(number) or 'none'}")
    assert claim.observed == claim.expected, f"with {option}={value}: {claim.observed}"
    others = tuple(each for each in told.options if each[0] != number)
    assert others == plain.options, f"with {option}={value} other options differ: {told}"


@pytest.mark.claim("user/domainname")
def test_an_empty_domain_is_refused(bench, claim):
    tried = bench.attempt(netdevs=[netdev(options=("domainname=",))])
    assert tried.status == 1, "QEMU starts with an empty domainname="
    claim.sees("an empty one is refused")
    assert tried.complaints.refusal.endswith("'domainname' parameter cannot be empty"), str(tried.complaints)


@pytest.mark.claim("user/hostname-long")
def test_a_long_hostname_arrives_whole(attach_user_peer, claim):
    name = "abcdefghij" * 4
    arrived = offered(attach_user_peer(f"hostname={name}")).option(12)
    claim.sees(f"{len(arrived)} of 40 characters")
    assert arrived and name.startswith(arrived), f"another name arrives: {arrived or 'none'}"
    if arrived != name:
        assert len(arrived) == 32, f"of a name of 40 characters arrive {len(arrived)}"
        claim.deviates()


@pytest.mark.claim("user/dnssearch")
def test_a_search_list_arrives_in_order(attach_user_peer, claim):
    coded, long_coded = (
        bytes.fromhex(offered(attach_user_peer(*(f"dnssearch={name}" for name in names))).option(119))
        for names in (SEARCHED, LONG_SEARCHED)
    )
    became = "whole" if search_list(long_coded) == list(LONG_SEARCHED) else "another"
    claim.sees(f"{' '.join(search_list(coded))} in {len(coded)} bytes; a long one is {became}, in {len(long_coded)}")
    assert claim.observed == claim.expected, f"the search list is {claim.observed}"


@pytest.mark.claim("user/dnssearch-nested")
def test_a_search_list_of_domains_within_each_other_can_be_read(attach_user_peer, claim):
    told = offered(attach_user_peer(*(f"dnssearch={name}" for name in NESTED)))
    coded = bytes.fromhex(told.option(119))
    names = search_list(coded)
    claim.sees(" ".join(names).encode("unicode_escape").decode())
    if names != list(NESTED):
        assert coded == b"\x07example\x03org\0\x03lab\xc0\x00\x03sub\xc0\x02", f"the search list is {claim.observed}"
        claim.deviates()


@pytest.mark.claim("user/dnssearch-bad")
def test_what_is_no_domain_is_left_out(attach_user_peer, claim):
    wrong = "x" * 64 + ".example"
    peer = attach_user_peer("hostname=vm", f"dnssearch={wrong}", "dnssearch=example.org")
    told = offered(peer)
    warned = f"failed to parse domain name '{wrong}'" in peer.qemu.said
    claim.sees(f"{'a warning' if warned else 'no warning'}; {told}")
    if claim.observed != claim.expected:
        without = claim.expected.partition(", 119: ")[0]
        assert claim.observed == without, f"with a label of 64 characters: {claim.observed}"
        claim.deviates()


@pytest.mark.claim("user/bootfile")
def test_the_boot_file_is_named(attach_user_peer, claim):
    longest = "b" * LONGEST_BOOTFILE
    names = ("pxelinux.0", longest, "")
    got = [offered(attach_user_peer(*([f"bootfile={name}"] if name else []))).file for name in names]
    claim.sees(f"{got[0] or 'none'}; {len(got[1])} characters; without bootfile=: {got[2] or 'none'}")
    assert tuple(got) == names, f"the boot file that is named: {claim.observed}"


@pytest.mark.claim("user/bootfile-too-long")
def test_a_boot_file_that_does_not_fit_is_refused(bench, claim):
    tried = bench.attempt(netdevs=[netdev(options=(f"bootfile={'b' * (LONGEST_BOOTFILE + 1)}",))])
    claim.sees("QEMU starts" if tried.started else f"QEMU ends with status {tried.status}")
    assert not tried.started, "QEMU starts with a boot file of 128 characters"
    if tried.status != 1:
        assert tried.status == -11, f"QEMU ends with status {tried.status}"
        claim.deviates()


@pytest.mark.claim("user/tftp-server-name")
def test_the_tftp_server_is_named(attach_user_peer, claim):
    told = offered(attach_user_peer("tftp-server-name=192.0.2.66"))
    claim.sees(f"option 66: {told.option(66) or 'none'}, siaddr: {told.server}")
    if claim.observed != claim.expected:
        assert (told.option(66), told.server) == ("192.0.2.66", "10.0.2.2"), f"with tftp-server-name=: {claim.observed}"
        claim.deviates()


@pytest.mark.claim("user/http-boot")
def test_a_boot_file_by_http_is_offered_to_http_clients(attach_user_peer, claim):
    files = ("http://10.0.2.2/boot.efi", "boot.efi")
    got = [offered(attach_user_peer(f"bootfile={file}")) for file in files]
    claim.sees("; ".join(f"{told.file}: {told.option(60) or 'none'}" for told in got))
    assert claim.observed == claim.expected, f"the vendor class that is offered: {claim.observed}"
