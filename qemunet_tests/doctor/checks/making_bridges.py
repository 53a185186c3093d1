"""How this host gets a bridge, or a bridge its uplink, and nobody who works here from elsewhere is cut off.

Whatever goes into a bridge is reached by the bridge's addresses from then on: they move with it, in one command that
goes on by itself while the network is gone, or by the way of whoever sees to the interface.
"""

from qemunet_tests.doctor.host_facts import HostFacts
from qemunet_tests.host.network_managers import NETWORK_MANAGER, NETWORKD
from qemunet_tests.host.uplink import IFUPDOWN, NETPLAN, THIS, Uplink


def remedy(facts: HostFacts, bridge: str) -> str:
    """The words for a host without this bridge, or whose bridge leads nowhere."""
    uplink = facts.uplink
    if uplink is not None and uplink.name != bridge and _is_made(facts, uplink.name):
        # No bridge goes into another.
        other = f"use {uplink.name}, which this host goes out by: -netdev bridge,br={uplink.name}"
        return f"{other}; or {_without_uplink(facts, bridge)}"
    if uplink is None or uplink.name == bridge or _takes_no_bridge(facts):
        return _without_uplink(facts, bridge)
    if "nixos" in facts.machine.families:
        return (
            f'in configuration.nix: networking.bridges.{bridge}.interfaces = [ "{uplink.name}" ], with what '
            f"networking.interfaces.{uplink.name} has under networking.interfaces.{bridge}"
        )
    by_manager = {NETPLAN: _netplan, NETWORK_MANAGER: _network_manager, NETWORKD: _networkd, IFUPDOWN: _ifupdown}
    if uplink.manager in by_manager:
        return by_manager[uplink.manager](facts, uplink, bridge)
    return _by_hand(facts, uplink, bridge)


def _takes_no_bridge(facts: HostFacts) -> bool:
    """Whether what the default route goes out by is none that a bridge could have: by radio, or a VPN's tunnel."""
    return facts.way_out is not None and (facts.way_out.is_wireless or facts.way_out.is_tap)


def _without_uplink(facts: HostFacts, bridge: str) -> str:
    """Nothing that could go in has a default route by wire, so nobody comes that way either."""
    make = f"{facts.sudo}ip link add {bridge} type bridge stp_state 0 && {facts.sudo}ip link set {bridge} up"
    put = f"{facts.sudo}ip link set INTERFACE master {bridge}, with a wired one that has no address"
    return put if _is_made(facts, bridge) else f"{make}; and then {put}"


def _is_made(facts: HostFacts, bridge: str) -> bool:
    return any(each.name == bridge for each in facts.bridges)


def _by_hand(facts: HostFacts, uplink: Uplink, bridge: str) -> str:
    """The addresses are on both at first, so that a step that fails leaves the host as reachable as it was."""
    name, steps = uplink.name, []
    if not _is_made(facts, bridge):
        mac = f"address {uplink.mac} " if uplink.mac else ""
        steps = [f"ip link add {bridge} {mac}type bridge stp_state 0"]
    steps.append(f"ip link set {bridge} up")
    steps += [f"ip addr add {each} dev {bridge}{' nodad' if ':' in each else ''}" for each in uplink.addresses]
    steps.append(f"ip link set {name} master {bridge}")
    steps += [f"ip addr del {each} dev {name}" for each in uplink.addresses]
    for family, *words in uplink.routes:
        route = " ".join(bridge if each == THIS else each for each in words)
        steps.append(f"ip {'-6 ' if family == '-6' else ''}route replace {route}")
    return f"{facts.sudo}sh -c '{' && '.join(steps)}'"


def _netplan(facts: HostFacts, uplink: Uplink, bridge: str) -> str:
    mac = f", macaddress: {uplink.mac}" if uplink.mac else ""
    return (
        f"in {uplink.file} move what {uplink.name} has (dhcp4, addresses, routes) to bridges: {bridge}: with "
        f"interfaces: [{uplink.name}]{mac}; then {facts.sudo}netplan try, which goes back by itself where it cuts you "
        f"off; parameters: {{stp: false}} comes afterwards, with netplan apply, for try refuses it"
    )


def _network_manager(facts: HostFacts, uplink: Uplink, bridge: str) -> str:
    """With the MAC a lease stays the same, and what has no lease is spelled out."""
    nmcli = f"{facts.sudo}nmcli connection"
    mac = f" bridge.mac-address {uplink.mac}" if uplink.mac else ""
    fixed = [each for each in uplink.addresses if ":" not in each] if not uplink.leased else []
    own = f" ipv4.method manual ipv4.addresses {','.join(fixed)}" if fixed else ""
    own += f" ipv4.gateway {uplink.gateway}" if fixed and uplink.gateway else ""
    dns = "; give it the ipv4.dns of the old connection before" if fixed else ""
    return (
        f"{nmcli} add type bridge con-name {bridge} ifname {bridge} bridge.stp no{mac}{own} && {nmcli} add type "
        f"ethernet con-name {bridge}-port ifname {uplink.name} master {bridge} connection.autoconnect-priority 10 && "
        f"{nmcli} up {bridge}-port{dns}"
    )


def _networkd(facts: HostFacts, uplink: Uplink, bridge: str) -> str:
    mac = f", MACAddress={uplink.mac}" if uplink.mac else ""
    return (
        f"in /etc/systemd/network write {bridge}.netdev ([NetDev] Name={bridge}, Kind=bridge{mac}) and "
        f"{bridge}.network with the [Network] section of {uplink.file}, whose own becomes Bridge={bridge} alone; then "
        f"{facts.sudo}networkctl reload"
    )


def _ifupdown(facts: HostFacts, uplink: Uplink, bridge: str) -> str:
    return (
        f"in {uplink.file} call the stanza of {uplink.name} {bridge}, and add bridge_ports {uplink.name}, "
        f"bridge_stp off and bridge_hw {uplink.name} to it (package bridge-utils); until the next boot: "
        f"{_by_hand(facts, uplink, bridge)}"
    )
