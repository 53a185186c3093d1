"""What user mode needs: libslirp in QEMU, a resolver it can use, ping sockets, a free port."""

from ipaddress import IPv4Network

from qemunet_tests.doctor.checks.check import LAB, USER, Check, CheckResult, caution, impossible, ok
from qemunet_tests.doctor.host_facts import HostFacts
from qemunet_tests.host import resolver
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.host.package_manager import install_command

#: Releases of libslirp known to be bad, and for what.
BAD_LIBSLIRP = {
    "4.6.0": "some DHCP clients get no lease",
    "4.9.2": "saving a guest that uses it fails, so that guests are booted instead of thawed",
}
#: The first that asks 127.0.0.1 where resolv.conf names nobody.
FALLBACK_SINCE = (4, 8)
#: What libslirp gives to guests, and what they can be given instead.
GUEST_NETWORK = IPv4Network("10.0.2.0/24")
OTHER_NETWORKS = tuple(IPv4Network(each) for each in ("10.0.3.0/24", "172.30.2.0/24", "192.168.222.0/24"))


def slirp(facts: HostFacts) -> CheckResult | None:
    if facts.qemu is None:
        return None
    if "user" not in facts.qemu.netdevs:
        return impossible(
            Obstacle(
                f"{facts.qemu.path} was built without libslirp: it has no -netdev user",
                "install the distribution's own QEMU, or rebuild with --enable-slirp",
            )
        )
    version = facts.qemu.slirp
    if version in BAD_LIBSLIRP:
        bad = Obstacle(f"libslirp {version} is a bad release", "upgrade libslirp")
        return caution(bad, BAD_LIBSLIRP[version])
    return ok(f"QEMU has -netdev user with libslirp {version}" if version else "QEMU has -netdev user")


def dns(facts: HostFacts) -> CheckResult:
    found = facts.resolver
    if found.used is not None:
        return _asked(facts, found.used)
    remedy = f"put a line `nameserver ADDRESS` with an IPv4 address and no leading blank into {resolver.PATH}"
    if not found.readable:
        return caution(Obstacle(f"{resolver.PATH} cannot be read", remedy), "guests cannot resolve names")
    if found.hidden:
        hidden = Obstacle(f"libslirp does not understand {found.hidden[0]!r}", remedy)
        return caution(hidden, "guests cannot resolve names")
    named = "names IPv6 servers only" if found.ipv6 else "names no server"
    outcome = "guests cannot resolve names by 10.0.2.3"
    if found.ipv6 and facts.packets and facts.packets.routes_ipv6 and not facts.routes.defaults:
        by_ipv6 = f"have guests ask {found.ipv6[0]}, or fec0::3, which libslirp passes on to it"
        return caution(Obstacle(f"{resolver.PATH} {named}, as befits a host of IPv6 alone", by_ipv6), outcome)
    if _falls_back(facts) and not found.ipv6:
        outcome = "libslirp asks 127.0.0.1 instead"
    return caution(Obstacle(f"{resolver.PATH} {named}", remedy), outcome)


def _asked(facts: HostFacts, server: str) -> CheckResult:
    others = facts.resolver.ipv4[1:]
    never = f", never {' or '.join(others)}" if others else ""
    what = f"libslirp passes guests' DNS questions to {server}{never}"
    if facts.liveliness.outcome == "elsewhere":
        return ok(f"{what}; it is on another machine and was not asked")
    if facts.liveliness.outcome in ("answers", "not asked"):
        return ok(f"{what}{', which answers' if facts.liveliness.outcome == 'answers' else ''}")
    wrong = {
        "closed": "nobody listens there",
        "silent": f"it does not answer {facts.liveliness.detail}",
        "no route": f"it cannot be reached ({facts.liveliness.detail})",
    }[facts.liveliness.outcome]
    first = f"put another first in {resolver.PATH}" if others else f"put one that works into {resolver.PATH}"
    remedy = f"start the resolver at {server}, or {first}"
    return caution(Obstacle(f"{what}, and {wrong}", remedy), "guests cannot resolve names")


def _falls_back(facts: HostFacts) -> bool:
    if facts.qemu is None or facts.qemu.slirp is None:
        return False
    return tuple(int(word) for word in facts.qemu.slirp.split(".")[:2]) >= FALLBACK_SINCE


def ping(facts: HostFacts) -> CheckResult:
    limits = facts.ping.range
    setting = (
        f"net.ipv4.ping_group_range is {limits[0]} {limits[1]}" if limits else "no /proc/sys/net/ipv4/ping_group_range"
    )
    opening = f'{facts.sudo}sysctl -w net.ipv4.ping_group_range="0 2147483647"'
    match facts.ping.way:
        case "ping socket":
            return ok(f"guests can ping outside: {setting}")
        case "raw socket":
            return caution(
                Obstacle(f"{setting}, so QEMU pings by raw socket", opening),
                "a dead host can look alive to a guest's ping",
            )
        case _:
            closed = Obstacle(setting, opening)
            return caution(closed, "guests cannot ping outside; TCP and UDP are not concerned")


def ssh_port(facts: HostFacts) -> CheckResult:
    taken = facts.ssh_port.obstacle()
    if taken is not None:
        return caution(taken, f"hostfwd=tcp::{facts.ssh_port.number}-:22 fails")
    return ok(f"port {facts.ssh_port.number} is free to be forwarded to a guest")


def other_ports(facts: HostFacts) -> CheckResult | None:
    if not facts.other_ports:
        return None
    taken = [port for port in facts.other_ports if port.bind_errno is not None]
    for port in taken:
        if found := port.obstacle():
            return caution(found, "forwarding it fails, and the tests of the real host forward it")
    return ok(f"{' and '.join(port.name for port in facts.other_ports)} are free to be forwarded as well")


def subnet(facts: HostFacts) -> CheckResult | None:
    clash = facts.routes.clashing(GUEST_NETWORK)
    if clash is None:
        return ok(f"no route leads to {GUEST_NETWORK}, which guests are given")
    other = facts.routes.free_network(OTHER_NETWORKS)
    instead = f"net={other}" if other else "net= with a network that nothing here uses"
    used = Obstacle(
        f"a route to {clash.network} by {clash.interface} meets {GUEST_NETWORK}, which guests are given",
        f"-netdev user,id=net0,{instead}",
    )
    return caution(used, "they do not reach the machines there")


def default_route(facts: HostFacts) -> CheckResult:
    ways = facts.routes.defaults
    if ways:
        told = " and ".join(f"{way.interface} ({way.gateway or 'direct'})" for way in ways)
        tunnel = facts.way_out is not None and facts.way_out.is_tap
        return ok(f"default route by {told}{', a tunnel that guests on a bridge go past' if tunnel else ''}")
    if facts.packets and facts.packets.routes_ipv6:
        return ok("the default route is one of IPv6 alone: guests reach what has an address of IPv6")
    nowhere = Obstacle("there is no default route", f"{facts.sudo}ip route add default via GATEWAY")
    return caution(nowhere, "guests reach this host and its own networks only")


def smb(facts: HostFacts) -> CheckResult | None:
    if facts.smb_server is None:
        return None
    server, is_there = facts.smb_server
    if is_there:
        return ok(f"smb= finds its server, {server}")
    gone = Obstacle(f"there is no {server}", install_command("samba", facts.machine, facts.sudo))
    return caution(gone, "-netdev user,smb= fails; nothing else needs it")


CHECKS = (
    Check("slirp", (USER, LAB), (USER,), slirp),
    Check("dns", (USER,), (), dns),
    Check("ping", (USER,), (), ping),
    Check("ssh-port", (USER,), (), ssh_port),
    Check("other-ports", (USER,), (), other_ports),
    Check("subnet", (USER,), (), subnet),
    Check("route", (USER,), (), default_route),
    Check("smb", (USER,), (), smb),
)
