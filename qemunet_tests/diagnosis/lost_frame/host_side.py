"""Causes on the host: its bridge, its uplink, its settings."""

from qemunet_tests.diagnosis.failure import Failure
from qemunet_tests.host import nft_ruleset
from qemunet_tests.host.bridges import BridgePort, HostBridge
from qemunet_tests.host.dhcp_servers import listeners
from qemunet_tests.host.guest_macs import guests_with
from qemunet_tests.host.nft_match import PacketSeen
from qemunet_tests.host.nft_ruleset import Ruleset
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.network.host_target import ANYWHERE, addresses
from qemunet_tests.observe.bridge import bridge_of, places_of_mac, ports_of_mac
from qemunet_tests.observe.process import tap_of

#: Topics of claims in which a bridged guest has to do with other machines than its host.
OF_OTHERS = frozenset(("bridge-lan", "bridge-outside", "bridge-gateway", "called", "pinged"))


def _bridge(failure: Failure) -> HostBridge | None:
    return failure.bridge() if failure.on_lan else None


def _needs_uplink(failure: Failure) -> bool:
    """Whether what failed is about somebody beyond the host: a guest that has its lease needs it for nothing else."""
    return bool(OF_OTHERS.intersection(failure.topics)) or failure.lan_lease is None


def bridge_down(failure: Failure) -> Obstacle | None:
    """QEMU and its helper start without a word on a bridge that is down."""
    bridge, name = _bridge(failure), failure.target.bridge
    if not failure.on_lan or (bridge and bridge.up):
        return None
    if bridge is None:
        return Obstacle(f"there is no bridge {name} on this host", f"sudo ip link add {name} type bridge")
    return Obstacle(f"the bridge {name} is down", f"sudo ip link set {name} up")


def no_uplink(failure: Failure) -> Obstacle | None:
    """A bridge that connects guests only with one another, and is no network of this host's own either."""
    bridge = _bridge(failure)
    if bridge is None or bridge.uplinks or not _needs_uplink(failure):
        return None
    own, ask = [str(each.ip) for each in addresses(failure.target.host, bridge.name)], failure.target.host.ask
    if any(server.link == bridge.name or server.address in own for server in listeners(ask)):
        return None
    ruleset = nft_ruleset.read(ask) or Ruleset()
    if any(ruleset.masquerading(PacketSeen("tcp", each, ANYWHERE[0])) for each in own):
        return Obstacle(
            f"this host translates what comes from {bridge.name}, and serves no DHCP there",
            "start what made the bridge, such as: sudo virsh net-start default",
        )
    return Obstacle(
        f"the bridge {bridge.name} has no uplink: only guests are plugged into it",
        f"sudo ip link set INTERFACE master {bridge.name}, with the interface that leads to the LAN",
    )


def uplink_dead(failure: Failure) -> Obstacle | None:
    """An uplink that is down, without carrier, or kept from forwarding."""
    bridge = _bridge(failure)
    if bridge is None or not bridge.uplinks or not _needs_uplink(failure):
        return None
    if any(port.up and port.carrier and port.state == "forwarding" for port in bridge.uplinks):
        return None
    port = bridge.uplinks[0]
    if not port.up:
        return Obstacle(f"the uplink {port.name} of {bridge.name} is down", f"sudo ip link set {port.name} up")
    if not port.carrier:
        return Obstacle(f"the uplink {port.name} of {bridge.name} has no carrier", "plug its cable in")
    return Obstacle(
        f"the bridge {bridge.name} does not forward on its uplink {port.name} yet (spanning tree)",
        f"sudo ip link set {bridge.name} type bridge stp_state 0 forward_delay 0",
    )


def tap_elsewhere(failure: Failure) -> Obstacle | None:
    """A tap that is not in the bridge that its guest asked for: who did that has not been seen."""
    tap = tap_of(failure.guest) if failure.guest and failure.on_lan else None
    if failure.guest is None or tap is None:
        return None
    asked = [nic.netdev.bridge for nic in failure.guest.nics if nic.netdev.bridge]
    bridge, wanted = bridge_of(failure.target.host, tap), next(iter(asked), failure.target.bridge)
    if bridge == wanted:
        return None
    return Obstacle(
        f"the guest's {tap} is in {bridge or 'no bridge'} instead of {wanted}: the helper did not put it there, or "
        "something on the host took it out",
        f"keep NetworkManager and the like off {tap}, and: sudo ip link set {tap} master {wanted}",
    )


def mac_not_unique(failure: Failure) -> Obstacle | None:
    """Two guests with one MAC: a ping passes, bulk data stalls, and both get the same address."""
    if failure.guest is None or not failure.on_lan:
        return None
    own = failure.guest.qemu.process.pid
    others = [pid for pid in guests_with(failure.guest.macs[0], own) if pid != own]
    if not others:
        return None
    return Obstacle(
        f"another QEMU (pid {others[0]}) has a NIC with the same MAC, {failure.guest.macs[0]}",
        "give every guest a MAC of its own: -device ...,mac=",
    )


def mac_elsewhere(failure: Failure) -> Obstacle | None:
    """The bridge looks for the guest behind another port: by hand, or because somebody there sends as the guest."""
    tap = tap_of(failure.guest) if failure.guest and failure.on_lan else None
    if tap is None or failure.guest is None:
        return None
    mac, name = failure.guest.macs[0], failure.target.bridge
    for port, by_hand in places_of_mac(failure.target.host, name, mac):
        if port != tap and by_hand:
            return Obstacle(
                f"{name} takes the guest's MAC {mac} for somebody behind {port}: so says an entry written by hand",
                f"sudo bridge fdb del {mac} dev {port} master",
            )
    others = ports_of_mac(failure.target.host, name, mac) - {tap}
    if not others:
        return None
    return Obstacle(
        f"frames with the guest's MAC {mac} also come in at {', '.join(sorted(others))}: another machine there has the "
        "same MAC",
        "give every guest a MAC of its own: -device ...,mac=",
    )


def small_mtu(failure: Failure) -> Obstacle | None:
    """A smaller MTU on the way than the guest believes in: small packets pass, large ones vanish."""
    bridge = _bridge(failure)
    if bridge is None:
        return None
    guest_mtu = int(failure.guest.check("cat /sys/class/net/eth0/mtu")) if failure.guest else 1500
    # The bridge itself takes the smallest of its ports.
    links: list[HostBridge | BridgePort] = [*bridge.uplinks, bridge]
    smallest = min(links, key=lambda link: link.mtu)
    if smallest.mtu >= guest_mtu:
        return None
    return Obstacle(
        f"{smallest.name} passes {smallest.mtu} bytes, the guest sends {guest_mtu}",
        f"sudo ip link set {smallest.name} mtu {guest_mtu}, or -device ...,host_mtu={smallest.mtu}",
    )
