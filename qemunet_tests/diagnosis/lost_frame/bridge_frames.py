"""Causes in the bridge itself: it is up and whole, and keeps frames to itself."""

from qemunet_tests.diagnosis.failure import Failure
from qemunet_tests.diagnosis.lost_frame.filters_on_path import unfiltered
from qemunet_tests.host.nft_ruleset import stops
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.observe.process import tap_of


def spanning_tree(scene: Failure) -> Obstacle | None:
    """A new port of a bridge that runs spanning tree hears and says nothing for twice the forward delay."""
    tap = tap_of(scene.guest) if scene.guest and scene.on_lan else None
    made = scene.bridge()
    port = made.port(tap) if made and tap else None
    if made is None or port is None or not made.spanning_tree or port.state == "forwarding":
        return None
    dead_seconds = 2 * made.forward_delay_seconds
    return Obstacle(
        f"{made.name} runs spanning tree: its port {tap} is still {port.state}, for {dead_seconds:g} s in all",
        f"sudo ip link set {made.name} type bridge stp_state 0 (with one uplink only)",
    )


def no_spanning_tree(scene: Failure) -> Obstacle | None:
    """A bridge that should run spanning tree and does not."""
    names = {nic.netdev.bridge for guest in scene.bench.guests for nic in guest.nics if nic.netdev.bridge}
    for name in sorted(names - {scene.target.bridge}):
        made = scene.bridge(name)
        if made and not made.spanning_tree:
            return Obstacle(
                f"{name} runs no spanning tree: something switched it off",
                f"sudo ip link set {name} type bridge stp_state 1",
            )
    return None


def filtered(scene: Failure) -> Obstacle | None:
    """The host's packet filter sees what its bridge forwards: frames always, IPv4 where br_netfilter is on."""
    if not scene.on_lan:
        return None
    host, name = scene.target.host, scene.target.bridge
    here = scene.bridge()
    families = here.families if here else ()
    found = next((stop for stop in stops(host.ask) if stop.family in families and stop.hook == "forward"), None)
    if found is None:
        return None
    return Obstacle(
        f"the host's packet filter drops what {name} forwards: {found.obstacle.reason}",
        found.obstacle.remedy if found.family == "bridge" else unfiltered(name),
    )
