"""What becomes of packets on this host, told without one: routes, translation, policies, programs, servers, names."""

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address

from qemunet_tests.doctor.checks.bridge import translates
from qemunet_tests.doctor.checks.candidates import candidates
from qemunet_tests.doctor.checks.check import BRIDGE, USER, Check, CheckResult, as_typed_here, caution, ok
from qemunet_tests.doctor.host_facts import OTHER_FORWARD_PORTS, SSH_FORWARD_PORT, HostFacts
from qemunet_tests.doctor.packet_facts import OUTSIDE, PacketFacts
from qemunet_tests.host.bridges import HostBridge
from qemunet_tests.host.localhost import PATH
from qemunet_tests.host.nft_match import PacketSeen
from qemunet_tests.host.nft_rule import NftRule
from qemunet_tests.host.nft_ruleset import Ruleset
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.host.route_lookup import PacketWay

_FORWARDED = ((SSH_FORWARD_PORT, "tcp"), *OTHER_FORWARD_PORTS)
_MADE_AGAIN = "; whoever made it, as a container engine or a VPN does, may make it again"
LOOPBACK = "127.0.0.1"
_DNS_PORT = 53
_UNTOLD = "only root may read it: sudo qemunet doctor"


def ways(facts: HostFacts) -> CheckResult | None:
    packets = facts.packets
    if packets is None or not packets.ways:
        return None
    for address, way in packets.ways.items():
        if trouble := way if isinstance(way, Obstacle) else _nobody_there(facts, packets, way):
            return caution(trouble, f"{_named(address)} is lost to QEMU, as user {packets.user}")
    for found in packets.idle_hops:
        return caution(
            as_typed_here(facts, found), f"of what QEMU sends as user {packets.user}, what is handed there is lost"
        )
    told = (f"{each.address} by {each.link}" for each in _routed(packets) if each.address != OUTSIDE)
    return ok(f"what QEMU sends as user {packets.user} is routed, to {' and '.join(told)}")


def _named(address: str) -> str:
    return f"the world outside ({address}, for instance)" if address == OUTSIDE else address


def _routed(packets: PacketFacts) -> list[PacketWay]:
    return [way for way in packets.ways.values() if isinstance(way, PacketWay)]


def _nobody_there(facts: HostFacts, packets: PacketFacts, way: PacketWay) -> Obstacle | None:
    """A network of this host's own, such as that of containers, over the address of somebody elsewhere."""
    if way.gateway is not None or way.link not in (bridge.name for bridge in facts.bridges if not bridge.ports):
        return None
    network = " and ".join(str(each.network) for each in packets.addresses.get(way.link, ()))
    # Where it is a part of another network of this host's, he is there and needs no router.
    home = next((link for link in packets.addresses if link != way.link and _is_at(packets, link, way.address)), None)
    via = f"via {next((str(each.gateway) for each in facts.routes.defaults if each.gateway), 'GATEWAY')}"
    return Obstacle(
        f"{way.address} is looked for at the bridge {way.link}, this host's own network {network}, and nothing is "
        "plugged in there",
        f"{facts.sudo}ip route add {way.address}/32 {f'dev {home}' if home else via}, or give {way.link} another "
        f"network{_MADE_AGAIN}",
    )


def _is_at(packets: PacketFacts, link: str, address: str) -> bool:
    return any(ip_address(address) in each.network for each in packets.addresses[link])


def translation(facts: HostFacts) -> CheckResult | None:
    if facts.packets is None:
        return None
    ruleset = facts.packets.ruleset
    if ruleset is None:
        return ok(f"whether the packet filter sends packets elsewhere is not known: {_UNTOLD}")
    for found, meaning in (*_of_the_host(facts, ruleset), *_of_frames(facts, ruleset)):
        return caution(found, meaning)
    return ok("no rule of the packet filter sends elsewhere what is for a guest, or what it sends")


def _of_the_host(facts: HostFacts, ruleset: Ruleset) -> Iterator[tuple[Obstacle, str]]:
    for port, protocol in _FORWARDED:
        for hook, whence, called in _callers(facts, PacketSeen(protocol, port=port, to_this_host=True)):
            for rule in _certain(ruleset, hook, called):
                yield (
                    Obstacle(
                        f"what comes to {protocol.upper()} port {port} {whence} meets {rule.obstacle.reason}",
                        f"forward another port, or {as_typed_here(facts, rule.obstacle).remedy}{_MADE_AGAIN}",
                    ),
                    f"a guest's forward of port {port} is never reached, though QEMU takes the port",
                )
    if server := facts.resolver.used:
        for rule in _certain(ruleset, "output", PacketSeen("udp", destination=server, port=_DNS_PORT,
                                                           user=facts.packets.user if facts.packets else None,
                                                           to_this_host=False)):  # fmt: skip
            yield (
                Obstacle(
                    f"questions to the resolver {server} meet {rule.obstacle.reason}",
                    f"{as_typed_here(facts, rule.obstacle).remedy}{_MADE_AGAIN}",
                ),
                "another than the resolver named answers guests' questions, or nobody",
            )


def _callers(facts: HostFacts, called: PacketSeen) -> Iterator[tuple[str, str, PacketSeen]]:
    """Who calls a forwarded port: a program here, at the loopback, or somebody whom a default route leads to."""
    # What this host itself sends comes in nowhere.
    yield "output", "from this host", replace(called, destination=LOOPBACK, coming_by="", leaving_by="lo")
    for link in dict.fromkeys(way.interface for way in facts.routes.defaults):
        for own in facts.packets.addresses.get(link, ()) if facts.packets else ():
            yield "prerouting", "from elsewhere", replace(called, destination=str(own.ip), coming_by=link)


def _of_frames(facts: HostFacts, ruleset: Ruleset) -> Iterator[tuple[Obstacle, str]]:
    """What guests of a bridge send, where their frames pass the rules for IPv4.

    Without an uplink nothing that is for others stays in the bridge: this host routes it, and translates it as meant.
    """
    for bridge in candidates(facts):
        if not bridge.filters_ipv4 or not bridge.uplinks:
            continue
        for protocol in ("tcp", "udp"):
            frame = PacketSeen(protocol, destination=OUTSIDE, coming_by=bridge.name, to_this_host=False)
            for rule, _ in ruleset.translating("prerouting", frame):
                table = f"{rule.chain.family} {rule.chain.table}"
                yield (
                    Obstacle(
                        f"frames in {bridge.name} pass the packet filter (bridge-nf-call-iptables=1) and meet "
                        f"{rule.obstacle.reason}",
                        f"{facts.sudo}nft insert rule {table} {_hooked(ruleset, rule)} iifname {bridge.name} accept"
                        f"{_MADE_AGAIN}",
                    ),
                    "this host answers in the place of others",
                )
        yield from _with_another_source(facts, ruleset, bridge)


def _with_another_source(facts: HostFacts, ruleset: Ruleset, bridge: HostBridge) -> Iterator[tuple[Obstacle, str]]:
    """Masquerading that was meant for what this host passes on, and is done to frames within a bridge as well."""
    for own in facts.packets.addresses.get(bridge.name, ()) if facts.packets else ():
        frame = PacketSeen("tcp", str(own.network.broadcast_address - 1), OUTSIDE, leaving_by=bridge.name)
        for rule, certain in ruleset.masquerading(frame):
            if certain:
                table = f"{rule.chain.family} {rule.chain.table} {rule.chain.name}"
                whose = "this host's" if "masquerade" in rule.does else "another"
                yield (
                    Obstacle(
                        f"frames in {bridge.name} pass the packet filter (bridge-nf-call-iptables=1) and meet "
                        f"{rule.place}: guests there appear with {whose} address",
                        f"{facts.sudo}nft insert rule {table} position {rule.handle} ip saddr {own.network} oifname "
                        f"{bridge.name} accept{_MADE_AGAIN}",
                    ),
                    "the LAN's firewalls and logs judge guests by an address that is not theirs",
                )


def _certain(ruleset: Ruleset, hook: str, packet: PacketSeen) -> list[NftRule]:
    return [rule for rule, certain in ruleset.translating(hook, packet) if certain]


def _hooked(ruleset: Ruleset, rule: NftRule) -> str:
    """The chain by which packets come to a rule."""
    table = (rule.chain.family, rule.chain.table)
    hooked = (chain for chain in ruleset.chains if chain.hook == "prerouting")
    return next((chain.name for chain in hooked if (chain.family, chain.table) == table), rule.chain.name)


def ipsec(facts: HostFacts) -> CheckResult | None:
    packets = facts.packets
    if packets is None or not packets.ways:
        return None
    if packets.policies is None:
        return ok(f"whether IPsec takes what QEMU sends is not known: {_UNTOLD}")
    for policy in packets.policies:
        for way in _routed(packets):
            if policy.direction != "out" or not way.source or not policy.takes(way.source, way.address):
                continue
            if policy.blocks or not (policy.keyed or packets.keys_on_demand):
                wants = f"wants it encrypted for {policy.peer}, and has no keys for that"
                what = f"{_named(way.address)}: it {'drops it' if policy.blocks else wants}"
                taken = Obstacle(
                    f"a policy of IPsec ({policy.spelled}) takes what this host sends to {what}",
                    f"{facts.sudo}ip xfrm policy delete {policy.spelled}, or start the VPN that it belongs to",
                )
                return caution(taken, "no route, firewall or capture shows that")
    return ok("no policy of IPsec keeps back what QEMU sends")


def programs(facts: HostFacts) -> CheckResult | None:
    if facts.packets is None:
        return None
    if facts.packets.programs is None:
        return ok(f"whether programs in the kernel decide about packets is not known: {_UNTOLD}")
    for place, attached in facts.packets.programs.items():
        if attached:
            return caution(
                Obstacle(
                    f"programs in the kernel decide at {place}: {', '.join(map(str, attached))}",
                    "start QEMU outside of the unit that has them (IPAddressDeny=, SocketBindDeny=)"
                    if place == "this control group"
                    else f"see whose they are: {facts.sudo}bpftool net show dev {place}",
                ),
                "no tool that lists routes, rules or filters shows what they drop",
            )
    return ok("no program in the kernel decides about packets of this control group or at the bridges")


def dhcp_servers(facts: HostFacts) -> CheckResult | None:
    bridges = candidates(facts)
    if facts.packets is None or not bridges:
        return None
    for bridge in bridges:
        if translates(facts, bridge) and not any(server.hears(bridge.name) for server in facts.packets.dhcp):
            unserved = Obstacle(
                f"this host translates what comes from {bridge.name}, and serves no DHCP there",
                "start what made the bridge, such as: virsh net-start default",
            )
            return caution(unserved, "guests get no lease")
    if not facts.packets.dhcp:
        return ok("this host serves no DHCP: guests on its bridges depend on the LAN's server")
    hearing = (each.name for each in bridges if any(server.hears(each.name) for server in facts.packets.dhcp))
    where = " and ".join(hearing) or "no bridge that guests may join"
    return ok(f"UDP port 67 is held by {', '.join(map(str, facts.packets.dhcp))}: it may serve {where}")


def localhost(facts: HostFacts) -> CheckResult | None:
    found = facts.packets.localhost if facts.packets else ()
    if not found:
        return None
    if any(each.startswith("127.") for each in found):
        return ok(f"localhost is {' and '.join(found)}")
    reason = f"{PATH} says that localhost is {' and '.join(found)}"
    other = Obstacle(reason, f"echo '127.0.0.1 localhost' | {facts.sudo}tee -a {PATH}")
    return caution(other, "QEMU forwards ports of IPv4, so that ssh -p 2222 localhost is refused")


CHECKS = (
    Check("qemu-routes", (USER,), (), ways),
    Check("translation", (USER, BRIDGE), (), translation),
    Check("ipsec", (USER,), (), ipsec),
    Check("programs", (USER, BRIDGE), (), programs),
    Check("localhost", (USER,), (), localhost),
    Check("dhcp-server", (BRIDGE,), (), dhcp_servers),
)
