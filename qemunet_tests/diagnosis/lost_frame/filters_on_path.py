"""What stands between two interfaces of a host and may stop a frame there, as the kernel lists it."""

import re
from pathlib import Path

from qemunet_tests.host import bridges
from qemunet_tests.host.bridges import BridgePort
from qemunet_tests.host.files import MACHINE, read_int, read_text
from qemunet_tests.host.nft_ruleset import stops
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.isolation.station import Station

#: Queues that throw nothing away unless they are full.
HARMLESS_QUEUES = ("noqueue", "pfifo_fast", "fq_codel", "fq", "mq", "clsact", "ingress")


def at_link(station: Station, link: str, leaving: bool) -> list[Obstacle]:
    """What a frame meets at one interface, coming in or leaving by it."""
    netdev = [
        stop.obstacle
        for stop in stops(station.ask)
        if stop.family == "netdev" and stop.concerns(link) and stop.hook in (("egress",) if leaving else ("ingress",))
    ]
    return [*netdev, *_traffic_control(station, link, "egress" if leaving else "ingress"), *_program(station, link)]


def within_bridge(station: Station, bridge: str, ports: tuple[str, ...], size_bytes: int) -> list[Obstacle]:
    """What a frame of a size meets on its way through a bridge from one port to another."""
    with station.entered():
        found = bridges.find(bridge)
    if found is None:
        return []
    on_the_way = [port for name in ports if (port := found.port(name))]
    filters = [
        stop.obstacle if stop.family == "bridge" else Obstacle(stop.obstacle.reason, unfiltered(bridge))
        for stop in stops(station.ask)
        if stop.family in found.families and stop.hook in (None, "prerouting", "forward", "postrouting")
    ]
    narrow = [
        Obstacle(
            f"{port.name} passes {port.mtu} bytes and the guest sends {size_bytes}",
            f"sudo ip link set {port.name} mtu {size_bytes}, or -device virtio-net-pci,host_mtu={port.mtu}",
        )
        for port in on_the_way
        if port.mtu < size_bytes
    ]
    return [*(each for port in on_the_way for each in _port(station, port)), *narrow, *filters]


def unfiltered(bridge: str) -> str:
    """The command that lets frames pass a bridge without passing the IPv4 firewall, where br_netfilter sends them."""
    everywhere = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
    own = Path("/sys/class/net", bridge, "bridge/nf_call_iptables")
    return " && ".join(f"echo 0 | sudo tee {file}" for file in (everywhere, own) if read_int(MACHINE, str(file)) == 1)


def of_the_host(station: Station, leaving: bool) -> list[Obstacle]:
    """What the host's own packets meet, QEMU's among them."""
    hooks = ("output", "postrouting") if leaving else ("prerouting", "input")
    found = [
        stop.obstacle
        for stop in stops(station.ask)
        if stop.family in ("ip", "inet") and (stop.hook in hooks or stop.hook is None)
    ]
    return found or _of_old_tables()


def hidden_from_ears(station: Station, link: str) -> list[Obstacle]:
    """What decides about a frame that comes in at a link before anybody can listen there."""
    return _program(station, link)


def deafness_to_pings(station: Station) -> list[Obstacle]:
    """Settings by which the host answers nobody's echo request."""
    if station.sysctl("net.ipv4.icmp_echo_ignore_all") == "0":
        return []
    setting = "net.ipv4.icmp_echo_ignore_all"
    return [Obstacle(f"this host ignores echo requests ({setting} is 1)", f"sudo sysctl -w {setting}=0")]


def _of_old_tables() -> list[Obstacle]:
    """Rules of iptables-legacy, which nft does not list; only root sees which tables are in use."""
    tables = (read_text(MACHINE, "/proc/net/ip_tables_names") or "").split()
    if not tables:
        return []
    return [Obstacle(f"rules of iptables-legacy, in {' and '.join(tables)}", "look: sudo iptables-legacy-save")]


def _port(station: Station, port: BridgePort) -> list[Obstacle]:
    name, found = port.name, []
    if port.state != "forwarding":
        found.append(Obstacle(f"{name} is {port.state}", f"sudo bridge link set dev {name} state 3"))
    said = station.run(f"bridge -d link show dev {name}").text
    for flag in ("isolated", "locked"):
        if f"{flag} on" in said:
            found.append(Obstacle(f"{name} is {flag}", f"sudo bridge link set dev {name} {flag} off"))
    if "flood off" in said.replace("mcast_flood", "").replace("bcast_flood", ""):
        found.append(Obstacle(f"{name} gets no unknown unicast", f"sudo bridge link set dev {name} flood on"))
    if "bcast_flood off" in said:
        found.append(Obstacle(f"{name} gets no broadcast", f"sudo bridge link set dev {name} bcast_flood on"))
    return found


def _traffic_control(station: Station, link: str, direction: str) -> list[Obstacle]:
    filters = station.run(f"tc filter show dev {link} {direction}").text
    found = []
    if filters:
        actions = ", ".join(re.findall(r"action order \d+: (.*)", filters)) or filters.splitlines()[0]
        remedy = f"sudo tc filter del dev {link} {direction}"
        found.append(Obstacle(f"a tc {direction} filter on {link}: {' '.join(actions.split())}", remedy))
    queue = re.match(r"qdisc (\S+)(.*)", station.run(f"tc qdisc show dev {link} root").text)
    if direction == "egress" and queue and queue[1] not in HARMLESS_QUEUES:
        remedy = f"sudo tc qdisc del dev {link} root"
        found.append(Obstacle(f"the queue {queue[1]} on {link}:{' '.join(queue[2].split())}", remedy))
    return found


def _program(station: Station, link: str) -> list[Obstacle]:
    if "prog/xdp" not in station.run(f"ip link show dev {link}").text:
        return []
    return [Obstacle(f"an XDP program on {link}", f"sudo ip link set dev {link} xdp off")]
