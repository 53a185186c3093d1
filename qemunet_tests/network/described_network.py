"""What of this host's own network a run is about, as a drawing of it needs to know. Nobody is asked but the kernel."""

import socket
from contextlib import suppress

from pyroute2.netlink.exceptions import NetlinkError

from qemunet_tests.errors import HarnessError
from qemunet_tests.host import bridges
from qemunet_tests.isolation.station import Station


def default_route(host: Station) -> tuple[str | None, str | None]:
    """The link of the host's default route and the router's address; None for what there is not."""
    with suppress(NetlinkError, OSError):
        for route in host.netlink.get_default_routes(family=socket.AF_INET):
            for link in host.netlink.get_links(route.get("oif")) if route.get("oif") else ():
                return link.get("ifname"), route.get("gateway")
    return None, None


def uplink(host: Station, bridge: str) -> str | None:
    """The first port of a bridge that is no guest's; None where it has none, or there is no such bridge."""
    with suppress(HarnessError, OSError), host.entered():
        found = bridges.find(bridge)
        return next((port.name for port in found.uplinks), None) if found else None
    return None
