"""The addresses of the lab: the post's own network, and an outside world of documentation addresses (RFC 5737).

By IPv6, of which the post says nothing, both are of documentation addresses (RFC 3849).
"""

BRIDGE = "br0"
UPLINK = "enp0s25"

LAN_PREFIX = 24
HOST = "192.168.1.2"
ROUTER = "192.168.1.254"
NEIGHBOUR = "192.168.1.10"
FIRST_LEASE = "192.168.1.100"
LAST_LEASE = "192.168.1.199"
LEASE_SECONDS = 3600

ROUTER_OUTSIDE = "203.0.113.254"
OUTSIDE = "203.0.113.10"

LAN_PREFIX_IPV6 = 64
HOST_IPV6 = "2001:db8:1::2"
ROUTER_IPV6 = "2001:db8:1::fe"
NEIGHBOUR_IPV6 = "2001:db8:1::10"
ROUTER_OUTSIDE_IPV6 = "2001:db8:2::fe"
OUTSIDE_IPV6 = "2001:db8:2::10"

DOMAIN = "home"
#: What the lab's resolvers answer.
NAMES = {
    "host.home": HOST,
    "router.home": ROUTER,
    "neighbour.home": NEIGHBOUR,
    "www.example": OUTSIDE,
}
#: A name no resolver of the lab knows.
UNKNOWN_NAME = "nobody.example"

#: Every station answers here: what is sent comes back.
ECHO_PORT = 7007
#: The same on the host, for itself alone.
LOOPBACK_PORT = 7008
#: Where the DHCP server can be asked, at its own station.
DHCP_SERVERS_DNS_PORT = 5300
