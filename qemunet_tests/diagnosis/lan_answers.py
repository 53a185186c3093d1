"""Causes among the other machines of a bridged guest's LAN."""

from qemunet_tests.diagnosis.failure import Failure
from qemunet_tests.diagnosis.lan_side import refused_by
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.observe.arp import owners
from qemunet_tests.observe.lease import lease


def other_dhcp_server(scene: Failure) -> Obstacle | None:
    """The first offer wins, whoever made it."""
    got = lease(scene.guest, within_seconds=0.0) if scene.guest and scene.on_lan else None
    if got is None or got.server == scene.target.lan.server:
        return None
    return Obstacle(
        f"the lease comes from {got.server}, not from the LAN's own server {scene.target.lan.server}: "
        "somebody else serves DHCP there",
        f"find that machine (ip neigh show {got.server}) and stop its DHCP server",
    )


def address_taken(scene: Failure) -> Obstacle | None:
    """A machine that was given the address by hand, where the server gives it away as well."""
    got = lease(scene.guest, within_seconds=0.0) if scene.guest and scene.on_lan else None
    others = owners(scene.guest, got.address) if scene.guest and got else []
    if got is None or not others:
        return None
    return Obstacle(
        f"somebody else on the LAN has {got.address}, which the guest was leased: {', '.join(others)}",
        f"find that machine and give it another address, or take {got.address} out of the DHCP server's range",
    )


def neighbour_unreachable(scene: Failure) -> Obstacle | None:
    """What the host cannot reach over the same bridge, its guests cannot either."""
    if not scene.on_lan:
        return None
    service = scene.target.neighbour_echo
    try:
        scene.target.host.connect(service.address, service.port, within_seconds=3.0).close()
    except ConnectionRefusedError:
        return refused_by(service)
    except OSError as error:
        reason = f"the host itself does not reach the neighbour {service.address} ({error.strerror or error})"
        return Obstacle(reason, "see whether that machine is there, and mend the LAN between")
    return None
