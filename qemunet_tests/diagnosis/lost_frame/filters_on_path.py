"""What stands between two interfaces of a host and may stop a frame there, as the kernel lists it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from qemunet_tests.diagnosis.lost_frame import old_tables, traffic_control
from qemunet_tests.host import bpf_programs, bridges, firewall, flow_lookup, nft_memory, nft_ruleset, routes
from qemunet_tests.host.bridges import BridgePort, port_flags
from qemunet_tests.host.nft_match import PacketSeen
from qemunet_tests.host.nft_rule import CountKey
from qemunet_tests.host.nft_ruleset import Ruleset, Stop
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.host.policy_rules import RoutedPacket
from qemunet_tests.isolation.station import Station

BROADCAST = "255.255.255.255"
BOTH_PORTS = 2
#: ip-sysctl.rst of the kernel's documentation, arp_ignore: no reply for any local address.
IGNORES_ALL_ARP = "8"
#: What was counted: by rule of nft's (`NftRule.key`) or what its tables remember, or in words.
PathCounts = Mapping[CountKey | str, int]


def path_counts(station: Station, links: Sequence[str]) -> PathCounts:
    """Of every rule, filter and queue that a packet may meet on the host, how many it has counted so far."""
    ruleset = nft_ruleset.read(station.ask)
    found: dict[CountKey | str, int] = {}
    found.update((ruleset or Ruleset()).counts.items())
    for link in links:
        found.update(traffic_control.counts(station, link))
    if firewall.tables_of_iptables():
        found.update(old_tables.counts(station.run("iptables-legacy -vS").text))
    return found


def more_than(before: PathCounts, after: PathCounts) -> PathCounts:
    """What has risen in between; of what is remembered, all that was the same at both times."""
    counted = {key: count for key, count in after.items() if not nft_memory.is_remembered(key)}
    risen = {key: more for key, count in counted.items() if (more := count - before.get(key, 0)) > 0}
    return risen | nft_memory.stayed(before, after)


@dataclass(frozen=True)
class FilterOnPath:
    """What stands on a packet's way. `acted`: it is shown to have stopped this one; else it only may have."""

    obstacle: Obstacle
    acted: bool


@dataclass(frozen=True)
class PacketOnPath:
    """A packet on its way through a host, and what was counted there meanwhile, by `path_counts`.

    It was lost, or with `bulk` many like it were lost or late: then what a queue counted tells nothing of them.
    """

    station: Station
    packet: PacketSeen
    risen: PathCounts
    bulk: bool = False

    def at_link(self, link: str, leaving: bool) -> list[FilterOnPath]:
        """What it meets at one interface, coming in or leaving by it."""
        packet = self.packet.at(None, link) if leaving else self.packet.at(link, None)
        hook = "egress" if leaving else "ingress"
        netdev = [
            FilterOnPath(stop.obstacle, stop.certain)
            for stop in self._stops(packet)
            if stop.family == "netdev" and stop.concerns(link) and stop.hook == hook
        ]
        return [*netdev, *self._traffic_control(link, hook), *_attached(self.station, link, leaving)]

    def within_bridge(self, bridge: str, ports: tuple[str, ...], size_bytes: int) -> list[FilterOnPath]:
        """What it meets, with its size, on its way through a bridge from one port to another."""
        with self.station.entered():
            found = bridges.find(bridge)
        if found is None:
            return []
        on_the_way = [port for name in ports if (port := found.port(name))]
        # Those of IPv4 know the bridge alone, where they are told of frames at all.
        seen_as = {"bridge": replace(self.packet.at(ports[0], ports[-1]), bridge=bridge)}
        seen_by_ip = replace(self.packet.at(bridge, bridge), to_this_host=False)
        filters = [
            FilterOnPath(stop.obstacle, stop.certain)
            for family in found.families
            for stop in self._stops(seen_as.get(family, seen_by_ip))
            if stop.family == family and stop.hook in ("prerouting", "forward", "postrouting")
        ]
        too_narrow = [port for port in on_the_way if port.mtu < size_bytes]
        # A guest's tap is given the bridge's MTU, and the bridge that of its narrowest port: no remedy begins there.
        to_widen = [port for port in too_narrow if not port.is_tap] or too_narrow
        narrow = [FilterOnPath(_too_narrow(port, size_bytes), True) for port in to_widen]
        older = self._of_old_tables("FORWARD", bridged=True) if found.filters_ipv4 else []
        elsewhere = self._sent_elsewhere("prerouting", seen_by_ip) if found.filters_ipv4 else []
        states = _ports(self.station, on_the_way, self.packet)
        return [*states, *narrow, *elsewhere, *older, *filters]

    def routed(self, coming_by: str, leaving_by: str, source: str | None) -> list[FilterOnPath]:
        """What it meets where this host is a router, from one of its networks to another. `source` has sent it."""
        packet = replace(self.packet.at(coming_by, leaving_by), to_this_host=False)
        found = [
            FilterOnPath(stop.obstacle, stop.certain)
            for stop in self._stops(packet)
            if stop.family in ("ip", "ip6", "inet") and stop.hook in ("prerouting", "forward", "postrouting")
        ]
        closed = routes.not_forwarding(self.station.sysctl, coming_by)
        elsewhere = self._sent_elsewhere("prerouting", packet)
        nowhere = [] if closed or elsewhere else self._misrouted(packet, source)
        return [
            *([FilterOnPath(closed, True)] if closed else []),
            *nowhere,
            *elsewhere,
            *found,
            *self._of_old_tables("FORWARD"),
        ]

    def _misrouted(self, packet: PacketSeen, source: str | None) -> list[FilterOnPath]:
        """A route or rule by which it goes elsewhere, or nowhere."""
        if packet.destination is None or source is None or packet.leaving_by is None:
            return []
        passed = RoutedPacket(packet.destination, source=source, coming_by=packet.coming_by)
        found = flow_lookup.not_passed_on(self.station.ask, passed, packet.leaving_by)
        return [FilterOnPath(found, True)] if found else []

    def of_the_host(self, leaving: bool) -> list[FilterOnPath]:
        """What it meets as one of the host's own packets, QEMU's among them."""
        hooks = ("output", "postrouting") if leaving else ("prerouting", "input")
        families = ("arp",) if self.packet.protocol == "arp" else ("ip", "ip6", "inet")
        found = [
            FilterOnPath(stop.obstacle, stop.certain)
            for stop in self._stops(self.packet)
            if stop.family in families and stop.hook in hooks
        ]
        if self.packet.protocol == "arp":
            return found
        elsewhere = self._sent_elsewhere("output", self.packet) if leaving else []
        return [*elsewhere, *found, *self._of_old_tables("OUTPUT" if leaving else "INPUT")]

    def others(self) -> int:
        """How many rules there are that stop anything at all."""
        return len((nft_ruleset.read(self.station.ask) or Ruleset()).stopping())

    def _stops(self, packet: PacketSeen) -> list[Stop]:
        ruleset = nft_ruleset.read(self.station.ask) or Ruleset()
        return ruleset.stops(packet, {key: more for key, more in self.risen.items() if isinstance(key, tuple)})

    def _sent_elsewhere(self, hook: str, packet: PacketSeen) -> list[FilterOnPath]:
        """Rules that surely give it another destination."""
        ruleset = nft_ruleset.read(self.station.ask) or Ruleset()
        return [
            FilterOnPath(Obstacle(f"{rule.place}, which sends it elsewhere", ruleset.spared(rule, packet.words)), True)
            for rule, certain in ruleset.translating(hook, packet)
            if certain
        ]

    def _traffic_control(self, link: str, direction: str) -> list[FilterOnPath]:
        risen = {key: more for key, more in self.risen.items() if isinstance(key, str)}
        found = [*traffic_control.filters(self.station, link, direction, risen)]
        if direction == "egress" and not self.bulk:
            found += traffic_control.queue(self.station, link, risen)
        return [FilterOnPath(obstacle, acted) for obstacle, acted in found]

    def _of_old_tables(self, hook: str, bridged: bool = False) -> list[FilterOnPath]:
        """Rules of iptables-legacy, which nft does not list; only root sees which tables are in use."""
        tables = firewall.tables_of_iptables()
        risen = {key: more for key, more in self.risen.items() if isinstance(key, str)}
        found = [FilterOnPath(each, True) for each in old_tables.stopping(hook, self.packet, risen, bridged)]
        look = Obstacle(f"rules of iptables-legacy, in {' and '.join(tables)}", "look: sudo iptables-legacy-save")
        return found or ([FilterOnPath(look, False)] if tables else [])


def hidden_from_captures(station: Station, link: str) -> list[Obstacle]:
    """What decides about a frame that comes in at a link before anybody can listen there."""
    return [each.obstacle for each in _express(station, link)]


def deafness(station: Station, link: str, packet: PacketSeen) -> list[Obstacle]:
    """Settings by which the host gives nobody an answer at a link, to a question like this one."""
    if packet.protocol == "arp":
        return [*_deafness_to_arp(station, link)]
    setting = "net.ipv4.icmp_echo_ignore_all"
    if packet.protocol != "icmp" or station.sysctl(setting) == "0":
        return []
    return [Obstacle(f"this host ignores echo requests ({setting} is 1)", f"sudo sysctl -w {setting}=0")]


def _deafness_to_arp(station: Station, link: str) -> Iterator[Obstacle]:
    said = station.ask(["ip", "link", "show", "dev", link]).text
    if "NOARP" in said.partition(">")[0]:
        yield Obstacle(f"ARP is switched off at {link}", f"sudo ip link set {link} arp on")
    for name in ("all", link):
        setting = f"net/ipv4/conf/{name}/arp_ignore"
        if station.sysctl(setting) == IGNORES_ALL_ARP:
            reason = f"this host answers no ARP request ({setting} is {IGNORES_ALL_ARP})"
            yield Obstacle(reason, f"sudo sysctl -w {setting}=0")


def _too_narrow(port: BridgePort, size_bytes: int) -> Obstacle:
    """A port whose MTU is less than what the guest sends."""
    return Obstacle(
        f"{port.name} passes {port.mtu} bytes and the guest sends {size_bytes}",
        f"sudo ip link set {port.name} mtu {size_bytes}, or -device virtio-net-pci,host_mtu={port.mtu}",
    )


def _ports(station: Station, on_the_way: Sequence[BridgePort], packet: PacketSeen) -> Iterator[FilterOnPath]:
    """What a bridge does at the port by which a frame comes in, and at the one by which it would go out."""
    for port in on_the_way:
        if port.state != "forwarding":
            shut = Obstacle(f"{port.name} is {port.state}", f"sudo bridge link set dev {port.name} state 3")
            yield FilterOnPath(shut, True)
    flags = [(port, port_flags(station.ask, port.name)) for port in on_the_way]
    isolated = [port for port, said in flags if said.get("isolated")]
    # One that is isolated reaches all that are not. A tap goes with its guest: first the one that stays.
    if len(isolated) == BOTH_PORTS:
        for port in sorted(isolated, key=lambda each: each.is_tap):
            yield FilterOnPath(_switched(port, "is isolated", "isolated off"), True)
    broadcast = packet.protocol == "arp" or packet.destination == BROADCAST
    for port, said in flags[:1]:
        if said.get("locked"):
            yield FilterOnPath(_switched(port, "is locked", "locked off"), True)
    for port, said in flags[1:]:
        if broadcast and said.get("bcast_flood") is False:
            yield FilterOnPath(_switched(port, "gets no broadcast", "bcast_flood on"), True)
        # Whom the bridge has learned to be there is not unknown.
        if not broadcast and said.get("flood") is False:
            yield FilterOnPath(_switched(port, "gets no unknown unicast", "flood on"), said.get("learning") is False)


def _switched(port: BridgePort, what: str, back: str) -> Obstacle:
    return Obstacle(f"{port.name} {what}", f"sudo bridge link set dev {port.name} {back}")


def _attached(station: Station, link: str, leaving: bool) -> list[FilterOnPath]:
    """Programs in the kernel: what they decide is not told by anybody."""
    return [*([] if leaving else _express(station, link)), *_by_tcx(station, link, leaving)]


def _express(station: Station, link: str) -> list[FilterOnPath]:
    if "prog/xdp" not in station.run(f"ip link show dev {link}").text:
        return []
    whose = f"see whose it is: sudo bpftool net show dev {link}; by hand: sudo ip link set dev {link} xdp off"
    return [FilterOnPath(Obstacle(f"an XDP program on {link}", whose), False)]


def _by_tcx(station: Station, link: str, leaving: bool) -> list[FilterOnPath]:
    index = station.index(link)
    wanted = bpf_programs.LEAVING if leaving else bpf_programs.COMING
    try:
        with station.entered():
            programs = bpf_programs.on_link(index) if index else ()
    except OSError:  # only who has CAP_NET_ADMIN on the machine itself is told
        return []
    return [
        FilterOnPath(
            Obstacle(
                f"a program in the kernel at {link}, {each}, which no tool but bpftool lists",
                f"see who attached it: sudo bpftool net show dev {link}; whatever did takes it away again",
            ),
            False,
        )
        for each in programs
        if each.decides == wanted
    ]
