"""Faults of bridged networking: the bridge, its uplink, the LAN, a neighbour's guest."""

import os
from contextlib import suppress
from ipaddress import IPv4Address
from pathlib import Path

from meta_tests.faults.fault import HELPER_SENTINELS, USER_SENTINELS, fault
from qemunet_tests.errors import HarnessError, Unavailable
from qemunet_tests.guest.bench import Bench
from qemunet_tests.guest.guest import Guest
from qemunet_tests.isolation.station import Station
from qemunet_tests.modes.bridge import BridgeNetdev
from qemunet_tests.network import Lab, lab_addresses
from qemunet_tests.network.dnsmasq import Dnsmasq
from qemunet_tests.network.netplan import NetplanHost
from qemunet_tests.observe.process import tap_of
from qemunet_tests.qemu.netdev import Nic

_held: list[object] = []


def filter_frames(station: Station, rules: str) -> None:
    done = station.run(f"nft '{rules}'")
    if not done.succeeded:
        raise HarnessError(f"the fault cannot be planted: {done.complaint}")


def _set_bridge(station: Station, name: str, **settings: int) -> None:
    station.netlink.link("set", index=station.index(name), kind="bridge", **settings)


@fault("bridge/lease-address", "bridge/reachable-ping", cause="no DHCP server answers on the LAN behind br0",
       sentinels=USER_SENTINELS, core=True)  # fmt: skip
def no_dhcp_server(lab: Lab) -> None:
    """The LAN has no DHCP server."""
    lab.dhcp.stop()


@fault(
    "bridge/lease-address",
    "bridge/bulk-both-ways",
    cause="the bridge br0 is down",
    sentinels=USER_SENTINELS,
    core=True,
)
def bridge_down(lab: Lab) -> None:
    """The bridge is down; QEMU and the helper say nothing about it."""
    lab.host.bring_down(lab_addresses.BRIDGE)


@fault("bridge/lease-address", cause="the bridge br0 has no uplink", sentinels=USER_SENTINELS)
def uplink_taken_out(lab: Lab) -> None:
    """The host's interface was taken out of the bridge."""
    lab.host.netlink.link("set", index=lab.host.index(lab_addresses.UPLINK), master=0)


@fault("bridge/lease-address", cause="the uplink enp0s25 of br0 has no carrier", sentinels=USER_SENTINELS)
def uplink_without_carrier(lab: Lab) -> None:
    """Somebody pulled the cable between host and switch."""
    lab.switch.bring_down("to-host")


@fault("bridge/bulk-both-ways", "bridge/mac-unique", cause="another QEMU .* the same MAC",
       sentinels=(*USER_SENTINELS, "bridge/helper-found"), kind="one MAC address twice")  # fmt: skip
def one_mac_twice(guest: Guest, bench: Bench) -> None:
    """A second guest on the bridge has the same MAC, and talks."""
    if not isinstance(guest.nics[0].netdev, BridgeNetdev) or guest.nics[0].mac:
        return
    # The twins of earlier tests' guests, which nobody else throws away.
    for twin in [each for each in bench.guests if each.nics and each.nics[0].mac]:
        bench.discard(twin)
    twin = bench.boot(Nic(guest.nics[0].netdev, guest.nics[0].model, guest.macs[0]))
    twin.await_lease(0, 10)
    _let_run_first(twin)
    # Without a pause: every frame of the twin takes the address over, and its kernel resets what is not its own.
    twin.check(f"setsid socat -b 64 -u /dev/zero UDP4-SENDTO:{lab_addresses.NEIGHBOUR}:9 >/dev/null 2>&1 &")
    twin.check("until [ $(cat /sys/class/net/eth0/statistics/tx_packets) -gt 500 ]; do usleep 50000; done", 20)


def _let_run_first(guest: Guest) -> None:
    """Where we may: on a busy machine a guest that waits for its turn takes nothing over meanwhile."""
    with suppress(PermissionError):
        for thread in Path(f"/proc/{guest.qemu.process.pid}/task").iterdir():
            os.setpriority(os.PRIO_PROCESS, int(thread.name), -20)


@fault(
    "bridge/backend-is-tap-in-bridge",
    cause="is in no bridge instead of br0",
    sentinels=USER_SENTINELS,
    kind="a tap in no bridge",
)
def tap_taken_out(guest: Guest, bench: Bench) -> None:
    """Something like NetworkManager took the guest's tap out of the bridge."""
    tap = tap_of(guest)
    if tap:
        bench.station.netlink.link("set", index=bench.station.index(tap), master=0)


@fault(
    "bridge/reachable-ssh",
    cause="Connection refused|Unable to connect|refused",
    sentinels=("bridge/lease-address", *USER_SENTINELS),
    kind="nobody listens in the guest",
)
def no_sshd(guest: Guest, bench: Bench) -> None:
    """The guest's SSH service is not running."""
    guest.check("killall dropbear")


@fault(
    "bridge/reachable-ping",
    "bridge/icmp",
    cause="the guest itself ignores echo requests",
    sentinels=("bridge/lease-address", "bridge/reach-lan", *USER_SENTINELS),
)
def guest_ignores_ping(guest: Guest, bench: Bench) -> None:
    """The guest's own firewall drops echo requests."""
    guest.check("echo 1 > /proc/sys/net/ipv4/icmp_echo_ignore_all")


@fault(
    "bridge/lease-address",
    "bridge/lease-gateway",
    "bridge/lease-dns",
    "bridge/lease-known-to-server",
    "bridge/lease-server",
    cause=f"the lease comes from {lab_addresses.NEIGHBOUR}",
    sentinels=(*HELPER_SENTINELS, "bridge/reach-lan"),
)
def rogue_dhcp_server(lab: Lab) -> None:
    """A neighbour serves DHCP, with other addresses and itself as router and resolver; it is always the first."""
    lab.dhcp.stop()
    words = ["--port=0", "--interface=eth0", "--dhcp-authoritative", "--no-ping", "--leasefile-ro",
             "--dhcp-range=192.168.1.200,192.168.1.220,3600", f"--dhcp-option=option:router,{lab_addresses.NEIGHBOUR}",
             f"--dhcp-option=option:dns-server,{lab_addresses.NEIGHBOUR}"]  # fmt: skip
    _held.append(Dnsmasq(lab.neighbour, lab.folder, "rogue", 67, words))


@fault("bridge/lease-address", cause="br0 runs spanning tree: its port tap0 is still", sentinels=HELPER_SENTINELS)
def spanning_tree_on(lab: Lab) -> None:
    """The bridge runs spanning tree, with the kernel's own forward delay."""
    _set_bridge(lab.host, lab_addresses.BRIDGE, br_stp_state=1, br_forward_delay=1500)


@fault(
    "bridge/reach-lan",
    "bridge/reachable-tcp",
    "bridge/icmp",
    "bridge/other-protocols-pass",
    "bridge/bulk-both-ways",
    cause=f"the host itself does not reach the neighbour {lab_addresses.NEIGHBOUR}",
    sentinels=("bridge/lease-address", "bridge/reach-outside", *HELPER_SENTINELS),
)
def neighbour_cut_off(lab: Lab) -> None:
    """Somebody pulled the neighbour's cable."""
    lab.switch.bring_down("to-neighbour")


@fault("bridge/reach-outside", cause=f"the host itself does not reach {lab_addresses.OUTSIDE}",
       sentinels=("bridge/lease-address", "bridge/reach-lan", *HELPER_SENTINELS))  # fmt: skip
def router_does_not_forward(lab: Lab) -> None:
    """The LAN's router serves DHCP and forwards nothing."""
    lab.router.set_sysctl("net.ipv4.ip_forward", "0")


@fault(
    "bridge/reachable-tcp",
    "bridge/other-protocols-pass",
    cause="table bridge guard, chain forward: ",
    sentinels=("bridge/lease-address", "bridge/reach-lan", "bridge/icmp", *HELPER_SENTINELS),
)
def bridge_firewall(lab: Lab) -> None:
    """The host filters what its bridge forwards: some protocols and most ports do not pass."""
    rules = "ip protocol {47, 132} drop; tcp dport 30000-40000 drop"
    filter_frames(
        lab.host, f"table bridge guard {{ chain forward {{ type filter hook forward priority 0; {rules}; }}; }}"
    )


@fault("bridge/lease-address", "bridge/reachable-ping", cause="table ip filter, chain FORWARD: .*policy drop",
       sentinels=HELPER_SENTINELS)  # fmt: skip
def bridged_frames_pass_the_ip_firewall(lab: Lab) -> None:
    """br_netfilter is loaded and the policy for what the host forwards is drop, as Docker sets both."""
    try:
        lab.host.set_sysctl("net.bridge.bridge-nf-call-iptables", "1")
    except OSError as absent:
        raise Unavailable("this kernel has no br_netfilter", "modprobe br_netfilter") from absent
    filter_frames(lab.host, "table ip filter { chain FORWARD { type filter hook forward priority 0; policy drop; }; }")


@fault("bridge/bulk-both-ways", "bridge/full-size-packets", cause="enp0s25 passes 1280 bytes",
       sentinels=("bridge/lease-address", "bridge/reachable-ping", *HELPER_SENTINELS))  # fmt: skip
def uplink_with_small_mtu(lab: Lab) -> None:
    """The host's interface carries less than the guest believes, and nobody tells the guest."""
    lab.host.netlink.link("set", index=lab.host.index(lab_addresses.UPLINK), mtu=1280)


@fault("bridge/e1000", cause="the cable of the guest's NIC is unplugged", sentinels=HELPER_SENTINELS)
def e1000_unplugged(guest: Guest, bench: Bench) -> None:
    """The cable was out when the guest configured its network."""
    if guest.nics[0] == Nic(BridgeNetdev(lab_addresses.BRIDGE), "e1000"):
        guest.check("qemunet-network down; rm -f /run/qemunet/lease.*")
        guest.unplug()
        guest.check("qemunet-network up")


@fault("bridge/netplan-makes-bridge", "bridge/netplan-lease", cause="which this host does not have; it has eth0",
       sentinels=HELPER_SENTINELS, kind="an interface of another name")  # fmt: skip
def interface_named_otherwise(netplan_host: NetplanHost) -> None:
    """The host's interface has another name than the post's."""
    station = netplan_host.station
    station.netlink.link("set", index=station.index(lab_addresses.UPLINK), ifname="eth0")


@fault("bridge/netplan-makes-bridge", "bridge/netplan-lease", cause="netplan refuses 01-netcfg.yaml",
       sentinels=HELPER_SENTINELS)  # fmt: skip
def netplan_file_with_tabs(netplan_host: NetplanHost) -> None:
    """Somebody indented the netplan file with tabs."""
    netplan_host.write(netplan_host.file.read_text().replace("  ", "\t"))


@fault("bridge/netplan-makes-bridge", cause="systemd-networkd .* br0",
       sentinels=HELPER_SENTINELS)  # fmt: skip
def gateway_of_another_network(netplan_host: NetplanHost) -> None:
    """The netplan file names a gateway that is not on the bridge's network."""
    netplan_host.write(netplan_host.file.read_text().replace(lab_addresses.ROUTER, "192.168.2.254"))


#: BR_STATE_FORWARDING of linux/if_bridge.h.
FORWARDING = 3


@fault("bridge/stp-delays-lease", cause="br-stp runs no spanning tree", sentinels=HELPER_SENTINELS)
def spanning_tree_switched_off(guest: Guest, bench: Bench) -> None:
    """Something switched spanning tree off, and the ports to forwarding."""
    bridge = guest.nics[0].netdev if guest.nics else None
    if isinstance(bridge, BridgeNetdev) and bridge.name != lab_addresses.BRIDGE:
        host, index = bench.station, bench.station.index(bridge.name)
        _set_bridge(host, bridge.name, br_stp_state=0)
        for port in host.netlink.get_links():
            if port.get("master") == index:
                # In full: `state` is the link's, and a number switches it off.
                host.netlink.brport("set", index=port["index"], IFLA_BRPORT_STATE=FORWARDING)


@fault("bridge/address-unique", cause="somebody else on the LAN has", sentinels=HELPER_SENTINELS)
def addresses_taken(lab: Lab) -> None:
    """A neighbour was given by hand what the LAN's server hands out, which hands it out unasked."""
    first, last = (int(IPv4Address(address)) for address in (lab_addresses.FIRST_LEASE, lab_addresses.LAST_LEASE))
    index = lab.neighbour.index("eth0")
    for number in range(first, last + 1):
        lab.neighbour.netlink.addr(
            "add", index=index, address=str(IPv4Address(number)), prefixlen=lab_addresses.LAN_PREFIX
        )


@fault("user/throughput-below-bridge", cause="bridged mode against user mode: slower", sentinels=USER_SENTINELS)
def bridged_mode_throttled(guest: Guest, bench: Bench) -> None:
    """Something lets so little through to a bridged guest that user mode is faster."""
    tap = tap_of(guest) if any(isinstance(nic.netdev, BridgeNetdev) for nic in guest.nics) else None
    if tap is not None:
        index = bench.station.index(tap)
        bench.station.netlink.tc("add", "tbf", index, 0, rate="16kbit", latency="200ms", burst=2000)
