"""What user mode needs: libslirp in QEMU, a resolver it can use, ping sockets, a free port."""

from qemunet_tests.harness.host import icmp, resolver
from qemunet_tests.harness.host.checks.check import LAB, USER, Check, Finding, caution, impossible, ok
from qemunet_tests.harness.host.facts import Facts
from qemunet_tests.harness.host.obstacle import Obstacle

#: Releases of libslirp known to be bad, and for what.
BAD_LIBSLIRP = {
    "4.6.0": "some DHCP clients get no lease",
    "4.9.2": "saving a guest that uses it fails, so that guests are booted instead of thawed",
}
#: The first that asks 127.0.0.1 where resolv.conf names nobody.
FALLBACK_SINCE = (4, 8)


def slirp(facts: Facts) -> Finding | None:
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


def dns(facts: Facts) -> Finding:
    found = facts.resolver
    if found.used is not None:
        more = f", never {' or '.join(found.ipv4[1:])}" if len(found.ipv4) > 1 else ""
        return ok(f"libslirp passes guests' DNS questions to {found.used}{more}")
    remedy = f"put a line `nameserver ADDRESS` with an IPv4 address and no leading blank into {resolver.PATH}"
    if not found.readable:
        return caution(Obstacle(f"{resolver.PATH} cannot be read", remedy), "guests cannot resolve names")
    if found.hidden:
        hidden = Obstacle(f"libslirp does not understand {found.hidden[0]!r}", remedy)
        return caution(hidden, "guests cannot resolve names")
    named = "names IPv6 servers only" if found.ipv6 else "names no server"
    outcome = "guests cannot resolve names by 10.0.2.3"
    if _falls_back(facts) and not found.ipv6:
        outcome = "libslirp asks 127.0.0.1 instead"
    return caution(Obstacle(f"{resolver.PATH} {named}", remedy), outcome)


def _falls_back(facts: Facts) -> bool:
    if facts.qemu is None or facts.qemu.slirp is None:
        return False
    return tuple(int(word) for word in facts.qemu.slirp.split(".")[:2]) >= FALLBACK_SINCE


def ping(facts: Facts) -> Finding:
    limits = facts.ping.range
    setting = f"net.ipv4.ping_group_range is {limits[0]} {limits[1]}" if limits else f"no {icmp.SETTING}"
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


def ssh_port(facts: Facts) -> Finding:
    taken = facts.ssh_port.obstacle()
    if taken is not None:
        return caution(taken, f"hostfwd=tcp::{facts.ssh_port.number}-:22 fails")
    return ok(f"port {facts.ssh_port.number} is free to be forwarded to a guest")


CHECKS = (
    Check("slirp", (USER, LAB), (USER,), slirp),
    Check("dns", (USER,), (), dns),
    Check("ping", (USER,), (), ping),
    Check("ssh-port", (USER,), (), ssh_port),
)
