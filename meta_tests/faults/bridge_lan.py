"""Faults of what a bridged guest may expect of its bridge and its LAN: ports, filters, links that go and come."""

from typing import TYPE_CHECKING, Any

from meta_tests.faults.bridge import filter_frames
from meta_tests.faults.fault import fault
from meta_tests.faults.frames import FROM_QEMU, FrameShim
from meta_tests.faults.wrapper import reworded
from qemunet_tests.guest.bench import Bench
from qemunet_tests.guest.guest import Guest
from qemunet_tests.network import Lab, lab_addresses
from qemunet_tests.observe.process import tap_of

if TYPE_CHECKING:
    # scapy reads the machine's interfaces when it is imported: not before the lab has been entered.
    from scapy.packet import Packet

#: Claims that hold whatever the LAN does, tried without a guest.
SENTINELS = ("bridge/helper-found", "bridge/acl-all", "bridge/no-bridge")
#: The NIC of one claim, that of a guest of another, and those of nobody.
SILENT_MAC, OTHER_MAC, NOBODYS_MAC = "52:54:00:70:65:5a", "52:54:00:70:65:c1", "52:54:00:70:65:5b"

announced_by_another = reworded(
    "bridge/announce", f"mac={SILENT_MAC}", f"mac={NOBODYS_MAC}", "behind no port after", *SENTINELS
)


def _dropped_by_the_bridge(lab: Lab, rule: str) -> None:
    chain = f"type filter hook forward priority 0; {rule} drop;"
    filter_frames(lab.host, f"table bridge guard {{ chain forward {{ {chain} }}; }}")


def _set_port(guest: Guest, bench: Bench, **flags: int) -> None:
    if tap := tap_of(guest):
        bench.station.netlink.brport("set", index=bench.station.index(tap), **flags)


@fault("bridge/broadcast-multicast", cause="there pass broadcast out, broadcast back", sentinels=SENTINELS)
def groups_dropped(lab: Lab) -> None:
    """The host's bridge drops what is for a group."""
    _dropped_by_the_bridge(lab, "ether daddr 01:00:5e:01:02:03")


@fault("bridge/flood", cause="beside a flood there is offered nothing", sentinels=SENTINELS)
def one_offer_and_no_more(wire: FrameShim) -> None:
    """A DHCP server offers something once, and then no more."""
    seen: list[Packet] = []

    def is_late(frame: "Packet") -> bool:
        if "BOOTP" in frame:
            seen.append(frame)
        return len(seen) > 1 and "BOOTP" in frame

    wire.drop(FROM_QEMU, is_late)


@fault("bridge/arp-of-host", cause="somebody for 192.168.1.77", sentinels=SENTINELS)
def host_answers_for_all(lab: Lab) -> None:
    """The host answers ARP for every address of the LAN, as proxy_arp_pvlan has it do."""
    values = {"conf.br0.forwarding": "1", "conf.br0.proxy_arp_pvlan": "1", "neigh.br0.proxy_delay": "0"}
    for name, value in values.items():
        lab.host.set_sysctl(f"net.ipv4.{name}", value)


@fault("bridge/two-guests", cause="two guests reach by nothing", sentinels=SENTINELS)
def ports_isolated(guest: Guest, bench: Bench) -> None:
    """The taps are isolated ports of the bridge: nothing passes from one to another."""
    _set_port(guest, bench, IFLA_BRPORT_ISOLATED=1)


@fault("bridge/host-reaches-guest", cause="table ip guard, chain input|host and guest: from the guest 0 of 3",
       sentinels=SENTINELS)  # fmt: skip
def host_takes_no_ping(lab: Lab) -> None:
    """The host's firewall takes no ICMP that comes in from its bridge."""
    rule = "iifname br0 ip protocol icmp drop"
    filter_frames(lab.host, f"table ip guard {{ chain input {{ type filter hook input priority 0; {rule}; }}; }}")


@fault("bridge/nic-removed", cause="br0 has no uplink|with it again not answered", sentinels=SENTINELS)
def uplink_stays_out(lab: Lab) -> None:
    """The uplink is not taken back into the bridge, once it was taken out."""
    link, uplink = lab.host.netlink.link, lab.host.index(lab_addresses.UPLINK)

    def swallow(command: str, **words: Any) -> Any:
        return None if words.get("index") == uplink and words.get("master") else link(command, **words)

    lab.host.netlink.link = swallow


@fault("bridge/promiscuous", cause="the guest sees what is for all; promiscuous: for all$", sentinels=SENTINELS)
def nothing_flooded(guest: Guest, bench: Bench) -> None:
    """The bridge does not flood what is for somebody whom it does not know."""
    _set_port(guest, bench, IFLA_BRPORT_UNICAST_FLOOD=0)


@fault("bridge/lease-survives-link", cause="has no address now, and not 192.168.1.100, which", sentinels=SENTINELS)
def address_goes_with_the_link(guest: Guest, bench: Bench) -> None:
    """Something in the guest takes its address away when its link goes down."""
    link = "/sys/class/net/eth0"
    # A count is not missed, however short the link is down.
    went_down = f"[ $(cat {link}/carrier_down_count) != $count ]"
    up = f"until [ $(cat {link}/carrier) = 1 ]; do usleep 50000; done; count=$(cat {link}/carrier_down_count)"
    wait = f"{up}; until {went_down}; do usleep 20000; done"
    guest.check(f"({wait}; ip addr flush dev eth0) >/dev/null 2>&1 </dev/null &")


@fault("bridge/renewal", cause="table bridge guard, chain forward|renewed by asking everybody", sentinels=SENTINELS)
def renewals_dropped(lab: Lab) -> None:
    """The host's bridge drops what DHCP clients send to their servers' own addresses."""
    _dropped_by_the_bridge(lab, f"ip daddr {lab_addresses.ROUTER} udp dport 67")


@fault("bridge/mac-change", cause="table bridge guard, chain|nobody gives the guest a lease", sentinels=SENTINELS)
def one_mac_a_port(lab: Lab) -> None:
    """The host's bridge lets no frames pass of another MAC address than the guest had."""
    _dropped_by_the_bridge(lab, f"ether saddr {OTHER_MAC}")


@fault("bridge/ipv6-autoconf", cause="the guest makes itself no address", sentinels=SENTINELS)
def advertisements_dropped(lab: Lab) -> None:
    """The host's bridge drops routers' advertisements, as a guard against strange ones does."""
    _dropped_by_the_bridge(lab, "icmpv6 type nd-router-advert")
