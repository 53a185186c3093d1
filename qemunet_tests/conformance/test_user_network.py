"""The network that options of `-netdev user` make, as scapy peers find it."""

import random

import pytest

from qemunet_tests.conformance.promises import promise
from qemunet_tests.modes.user import netdev
from qemunet_tests.network.target import Endpoint
from qemunet_tests.observe.arp import answered_for, who_has
from qemunet_tests.observe.dhcp_client import ask_dhcp, client_macs, offered
from qemunet_tests.observe.families import answered
from qemunet_tests.observe.guest_isolation import frames_between
from qemunet_tests.observe.odd_packets import IPV6_HOST, IPV6_HOST_MAC
from qemunet_tests.observe.packet_sizes import echoed_in_fragments, largest_segment
from qemunet_tests.observe.peer_ping import PingAnswer, ask_echo, ping_in_words, pinged

MASK = "Invalid netmask provided (must be in range 4-32)"
#: Where gateway and resolver are unless an option says otherwise.
USUAL = ("10.0.2.2", "10.0.2.3")
#: What a network becomes that has no mask: first lease, mask, gateway and resolver.
BY_CLASSES = {
    "10.5.0.0": "10.0.2.15 255.0.0.0, gateway 10.0.2.2, resolver 10.0.2.3",
    "172.20.0.0": "172.16.2.15 255.240.0.0, gateway 172.16.2.2, resolver 172.16.2.3",
    "192.168.76.0": "192.168.2.15 255.255.0.0, gateway 192.168.2.2, resolver 192.168.2.3",
    "192.0.2.0": "192.0.2.15 255.255.255.240, gateway 192.0.2.2, resolver 192.0.2.3",
}
MTU_BYTES = 1500
WIDE = "10.8.2.15 255.255.0.0, gateway 10.8.2.2, resolver 10.8.2.3; ARP: 10.8.2.2 10.8.2.3"


def leased(peer):
    """First lease, mask, gateway and resolver, and which of these and the usual answer ARP."""
    offer = offered(peer)
    gateway, resolver = offer.option(3), offer.option(6)
    asked = dict.fromkeys((gateway, resolver, *USUAL))
    owners = answered_for(peer, asked, gateway, offer.address)
    return f"{offer.address} {offer.option(1)}, gateway {gateway}, resolver {resolver}", " ".join(owners)


@pytest.mark.parametrize(
    "messages",
    [
        promise(
            "user/net-bad",
            {
                "net=10.9.8.0/33": MASK,
                "net=10.9.8.0/3": MASK,
                "net=10.9.8.0/24x": "Failed to parse netmask (trailing chars)",
                "net=10.9.8.0/255.255.255.x": "Failed to parse netmask (trailing chars)",
                "net=10.9.8.x/24": "Failed to parse netmask",
            },
        ),
        promise("user/net-too-small", {"net=10.0.2.4/30": "DHCP must be different from host and DNS"}),
        promise(
            "user/host-option",
            {"host=10.0.3.2": "Host doesn't belong to network", "host=10.0.2.x": "Failed to parse host"},
        ),
        promise(
            "user/dns-option",
            {"dns=10.0.2.2": "DNS must be different from host", "dns=10.0.2.x": "Failed to parse DNS"},
        ),
        promise("user/dns-outside-network", {"dns=192.0.2.53,restrict=on": "DNS doesn't belong to network"}),
        promise(
            "user/dhcp-first-is-start",
            {
                "dhcpstart=10.0.3.15": "DHCP doesn't belong to network",
                "dhcpstart=10.0.2.3": "DHCP must be different from host and DNS",
                "dhcpstart=10.0.2.x": "Failed to parse DHCP start address",
            },
        ),
        promise("user/both-off", {"ipv4=off,ipv6=off": "IPv4 and IPv6 disabled"}),
    ],
)
def test_what_cannot_be_is_refused(bench, claim, messages):
    tried = {options: bench.attempt(netdevs=[netdev(options=(options,))]) for options in messages}
    refused = sum(not each.started for each in tried.values())
    claim.sees(f"{refused} of {len(tried)} {'is' if len(tried) == 1 else 'are'} refused")
    for options, reason in messages.items():
        assert tried[options].status == 1, f"QEMU starts with {options}"
        assert tried[options].complaints.refusal.endswith(f": {reason}"), str(tried[options].complaints)


@pytest.mark.parametrize(
    ("option", "instead"),
    [
        promise("user/net", "net=10.9.8.0/24", None),
        promise("user/net-mask-dotted", "net=10.9.8.0/255.255.255.128", None),
        promise("user/net-wide", "net=10.8.0.0/16", WIDE),
        promise("user/host-option", "host=10.0.2.9", None),
        promise("user/dns-option", "dns=10.0.2.9", None),
        promise("user/dns-outside-network", "dns=192.0.2.53", None),
    ],
)
def test_options_make_the_network(attach_user_peer, claim, option, instead):
    claim.sees("; ARP: ".join(leased(attach_user_peer(option))))
    if claim.observed != claim.expected:
        assert claim.observed == instead, f"with {option} the network is {claim.observed}"
        claim.deviates()


@pytest.mark.claim("user/net-no-mask")
def test_a_network_without_a_mask_has_24_bits(attach_user_peer, claim):
    made = {network: leased(attach_user_peer(f"net={network}"))[0] for network in BY_CLASSES}
    of_24_bits = {
        network: "{0}.15 255.255.255.0, gateway {0}.2, resolver {0}.3".format(network[:-2]) for network in made
    }
    claim.sees("; ".join(f"{network}: {became}" for network, became in made.items()))
    if made != of_24_bits:
        assert made == BY_CLASSES, f"networks without a mask become {claim.observed}"
        claim.deviates()


@pytest.mark.claim("user/arp-own-addresses-only")
def test_arp_is_answered_for_own_addresses_only(attach_user_peer, claim):
    every = [f"10.0.2.{number}" for number in range(256) if number != 15]
    plain = answered_for(attach_user_peer(), every, "10.0.2.2", "10.0.2.15")
    forward = "guestfwd=tcp:10.0.2.100:7-cmd:cat"
    forwarding = answered_for(attach_user_peer(forward), every, "10.0.2.2", "10.0.2.15")
    claim.sees(f"{' '.join(plain)}; with guestfwd= to 10.0.2.100: {' '.join(forwarding)}")
    assert claim.observed == claim.expected, f"ARP is answered for {claim.observed}"


@pytest.mark.claim("user/arp-mac")
def test_the_hardware_addresses_of_gateway_and_resolver(user_peer, claim):
    owners = [who_has(user_peer, address) for address in USUAL]
    claim.sees(", ".join(f"{each.address} at {each.mac}" for each in owners if each))
    assert claim.observed == claim.expected, f"ARP says {claim.observed}"


@pytest.mark.claim("user/static-guest")
def test_a_guest_with_an_address_of_its_own_is_served(user_peer, claim):
    from qemunet_tests.guest.peer_stack import PeerStack

    own = "10.0.2.77"
    served = [address for address in USUAL if pinged(user_peer, address, own)]
    claim.sees(f"{own} is answered by {' and '.join(served) or 'nobody'}")
    assert claim.observed == claim.expected, f"without a lease {claim.observed}"
    by_ipv6 = PeerStack(user_peer, ipv6_address="fec0::77")
    # Who asks for nobody's MAC has to be asked for his own, in the group that his address belongs to.
    by_ipv6.neighbours[by_ipv6.ipv6_gateway] = IPV6_HOST_MAC
    answer = ask_echo(by_ipv6, IPV6_HOST)
    assert answer == PingAnswer(IPV6_HOST, code=0, same=True), (
        f"fec0::77, which nobody has told QEMU of, pings {IPV6_HOST}: {ping_in_words(answer)}"
    )


@pytest.mark.claim("user/guests-do-not-meet")
def test_two_guests_do_not_hear_each_other(attach_user_peer, claim):
    ends = [(attach_user_peer(), mac) for mac in client_macs(2)]
    offers = [ask_dhcp(peer, "discover", mac=mac) for peer, mac in ends]
    addresses = [offer.address if offer else "none" for offer in offers]
    heard = frames_between(*ends)
    claim.sees(f"{' and '.join(addresses)}, {' '.join(heard) or 'no frame'} of the other's")
    assert claim.observed == claim.expected, f"two guests: {claim.observed}"


@pytest.mark.parametrize("option", [promise("user/ipv4-off", "ipv4=off"), promise("user/ipv6-off", "ipv6=off")])
def test_a_family_is_switched_off(attach_user_peer, claim, option):
    off, on = (" ".join(answered(peer)) for peer in (attach_user_peer(option), attach_user_peer()))
    claim.sees(f"{option}: {off}; without: {on}")
    assert claim.observed == claim.expected, f"what is answered: {claim.observed}"


@pytest.mark.claim("user/ipv4-on-alone")
def test_one_family_switched_on_leaves_the_other(attach_user_peer, claim):
    seen = {option: " ".join(answered(attach_user_peer(option))) for option in ("ipv4=on", "ipv6=on")}
    claim.sees("; ".join(f"{option}: {kinds}" for option, kinds in seen.items()))
    if claim.observed != claim.expected:
        assert seen == {"ipv4=on": "ARP DHCP", "ipv6=on": "neighbour router"}, f"what is answered: {claim.observed}"
        claim.deviates()


@pytest.mark.claim("user/mtu-1500")
def test_packets_have_at_most_1500_bytes(user_peer, network, target, claim):
    service = Endpoint(network.gateway, target.loopback_echo.port)
    payload = random.randbytes(3000)
    back = echoed_in_fragments(user_peer, service, payload)
    became = "whole" if back.payload == payload else "altered" if back.payload else "lost"
    segment, told = largest_segment(user_peer, service), size_told_by_ipv6(user_peer)
    claim.sees(
        f"MSS {segment}; 3000 bytes come back {became}, in {back.packet_bytes}; by IPv6 a larger one is told {told}"
    )
    assert claim.observed == claim.expected, f"a network whose packets have at most 1500 bytes: {claim.observed}"


def size_told_by_ipv6(peer):
    """What who sends a larger packet by IPv6 is told of how large one may be: RFC 4443, 3.2. None if nothing."""
    from scapy.layers.inet import UDP
    from scapy.layers.inet6 import ICMPv6PacketTooBig

    from qemunet_tests.guest.peer_stack import PeerStack

    stack = PeerStack(peer)
    stack.mtu_bytes = 2 * MTU_BYTES
    large = stack.packet(IPV6_HOST) / UDP(sport=40000, dport=7) / bytes(MTU_BYTES)
    return stack.ask(large, lambda frame: frame[ICMPv6PacketTooBig].mtu if ICMPv6PacketTooBig in frame else None)
