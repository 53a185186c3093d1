"""What passt tells a guest of itself: its address, resolvers, search list and MTU, by DHCP, DHCPv6 and as a router."""

from ipaddress import ip_interface

import pytest

from qemunet_tests.guest.address_resolution import link_local
from qemunet_tests.network import lab_addresses
from qemunet_tests.observe import dhcpv6
from qemunet_tests.observe.dhcp_client import client_macs, offered, search_list
from qemunet_tests.observe.router_advertisement import solicited

RESOLVERS = (lab_addresses.ROUTER, lab_addresses.NEIGHBOUR, lab_addresses.ROUTER_IPV6)
RESOLV_CONF = "".join(f"nameserver {each}\n" for each in RESOLVERS) + "search home lab.example.org\n"
MTU, SEARCH_LIST = 26, 119


def _told_by_dhcpv6(answer):
    """The address that is leased, the resolver, and the search list."""
    resolver = answer.option(dhcpv6.RESOLVERS) or b""
    domains = " ".join(search_list(answer.option(dhcpv6.SEARCH_LIST) or b""))
    spelled = domains.encode("unicode_escape").decode()
    return f"{dhcpv6.address_in(answer)}, resolver {resolver.hex(':', 2)}, search {spelled}"


@pytest.mark.claim("passt/host-address")
def test_the_guest_gets_the_hosts_address(attach_passt, claim):
    offer = offered(attach_passt())
    claim.sees(f"{offer.address}, 1: {offer.option(1)}, 3: {offer.option(3)}")
    assert claim.observed == claim.expected, f"a guest is offered {claim.observed}"


@pytest.mark.claim("passt/one-address")
def test_every_guest_gets_the_same_address(attach_passt, claim):
    peer = attach_passt()
    claim.sees(" ".join(offered(peer, mac=mac).address for mac in client_macs(2)))
    assert claim.observed == claim.expected, f"two clients are offered {claim.observed}"


@pytest.mark.claim("passt/dhcp-dns-search")
def test_dhcp_tells_resolvers_and_search_list(attach_passt, resolv_conf, claim):
    resolv_conf(RESOLV_CONF)
    offer = offered(attach_passt())
    domains = search_list(bytes.fromhex(offer.option(SEARCH_LIST)))
    claim.sees(f"resolvers {offer.option(6)}, search {' '.join(domains)}")
    assert claim.observed == claim.expected, f"a guest is told {claim.observed}"


@pytest.mark.usefixtures("ipv6_lab")
@pytest.mark.claim("passt/mtu-65520")
def test_packets_may_be_of_65520_bytes(attach_passt, claim):
    peer = attach_passt()
    # RFC 4861, 4.6.4: type, length and two bytes of nothing in front.
    told = [int(option[-8:], 16) for option in solicited(peer).options if option.startswith("option 5: 010000")]
    claim.sees(f"{int(offered(peer).option(MTU) or '0', 16)} by DHCP, {' '.join(map(str, told)) or 'none'} by a router")
    assert claim.observed == claim.expected, f"a guest is told an MTU of {claim.observed}"


@pytest.mark.usefixtures("ipv6_lab")
@pytest.mark.claim("passt/slaac")
def test_a_router_announces_the_hosts_prefix(attach_passt, resolv_conf, claim):
    resolv_conf(RESOLV_CONF)
    told = solicited(attach_passt())
    # Whatever stands behind its length is nobody's business: RFC 4861, 4.6.2.
    prefixes = [str(ip_interface(each.split()[1]).network) for each in told.options if each.startswith("prefix ")]
    resolvers = [each.partition(" for")[0] for each in told.options if each.startswith("resolver ")]
    router = "router" if told.source.startswith("fe80:") and told.lifetime_seconds else "no router"
    claim.sees("; ".join([router, *prefixes, *resolvers]))
    assert claim.observed == claim.expected, f"a router announces {claim.observed}"


@pytest.mark.usefixtures("ipv6_lab")
@pytest.mark.claim("passt/dhcpv6")
def test_dhcpv6_leases_the_hosts_address(attach_passt, resolv_conf, claim):
    resolv_conf(RESOLV_CONF)
    peer = attach_passt()
    answers = dhcpv6.leased(peer, link_local(peer.mac))
    kinds = [answer.type for answer in answers]
    assert kinds == [dhcpv6.ADVERTISE, dhcpv6.REPLY], f"SOLICIT and REQUEST are answered by messages {kinds}"
    said = [_told_by_dhcpv6(answer) for answer in answers]
    claim.sees("; ".join(dict.fromkeys(said)))
    if claim.observed != claim.expected:
        assert said[0] == claim.expected, f"a guest is told {said[0]}"
        # What ends a name is overwritten with the length of its first part.
        assert said[1] == claim.expected.replace("home lab", "home.\\x03lab"), f"a guest is told at last {said[1]}"
        claim.deviates(name="list-spoilt")
