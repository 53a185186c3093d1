"""What stands around every guest: QEMUs to choose from, containers, security modules, routes, tables of the kernel."""

from qemunet_tests.doctor.checks.check import BRIDGE, LAB, MODES, USER, Check, CheckResult, caution, ok
from qemunet_tests.doctor.host_facts import HostFacts
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.qemu import qemu_binaries
from qemunet_tests.qemu.qemu_binaries import Emulator

#: Of the table of connections.
NEARLY_FULL = 0.9


def choice_of_qemu(facts: HostFacts) -> CheckResult | None:
    if not facts.emulators or (facts.qemu is None and all(each.version is None for each in facts.emulators)):
        # What is wrong with the first of them is said of `qemu`.
        return None
    shut_off = qemu_binaries.packaging(str(facts.qemu.path)) if facts.qemu else None
    if shut_off is not None:
        confined = Obstacle(
            f"the QEMU found first is a {shut_off}", "install the distribution's own QEMU, or name it with --qemu"
        )
        return caution(confined, "it sees neither the system's bridge helper nor its list of bridges")
    if broken := [each.path for each in facts.emulators if each.version is None and not each.late]:
        odd = Obstacle(f"no QEMU, or a broken one: {' and '.join(broken)}", f"run it by hand: {broken[0]} --version")
        return caution(odd, f"found besides: {told}" if (told := _told(facts.emulators)) else "")
    return ok(f"found {_told(facts.emulators)}")


def _told(found: tuple[Emulator, ...]) -> str:
    return "; ".join(_one(each) for each in found if each.version is not None or each.late)


def _one(found: Emulator) -> str:
    if found.version is None:
        return f"{found.path} (no answer in time)"
    backends = "backends not told" if found.backends is None else ", ".join(found.backends) or "no network backend"
    return f"{found.path} {found.version} ({backends})"


def container(facts: HostFacts) -> CheckResult:
    machine = facts.machine
    below = "bare metal" if machine.virtualisation is None else f"a virtual machine ({machine.virtualisation})"
    job = f", a job of {machine.ci}" if machine.ci else ""
    if machine.container is not None:
        inside = Obstacle(
            f"this is a container ({machine.container}) on {below}{job}",
            "start the container with --network host, or ask on the machine itself",
        )
        return caution(inside, "ports, bridges and the LAN are the container's own and not the machine's")
    if machine.virtualisation == "wsl":
        inside = Obstacle("this is WSL, whose network is translated by Windows", "use user mode")
        return caution(inside, "a bridge here does not reach the LAN")
    nested = ", so that guests are nested" if machine.virtualisation else ""
    return ok(f"this is {below}{nested}{job}")


def confinement(facts: HostFacts) -> CheckResult:
    found = facts.confinement
    if found.label is not None:
        narrow = Obstacle(f"this process is confined ({found.label})", "start guests from an unconfined shell")
        return caution(narrow, "QEMU inherits that and may be denied devices and sockets")
    if profile := found.profile_of("dnsmasq"):
        watched = Obstacle(
            f"AppArmor may confine dnsmasq ({profile})",
            f"{facts.sudo}aa-complain {profile}, should the lab's DHCP server not start",
        )
        return caution(watched, "the lab's servers keep their files elsewhere")
    modules = [f"SELinux {found.selinux}"] if found.selinux else []
    modules += [f"AppArmor ({', '.join(found.profiles) or 'no profile of concern'})"] if found.apparmor else []
    said = " and ".join(modules) or "neither SELinux nor AppArmor is on"
    return ok(f"{said}; programs started from this shell are not confined" if modules else said)


def reverse_path(facts: HostFacts) -> CheckResult | None:
    ways = list(dict.fromkeys(route.interface for route in facts.routes.defaults))
    strict = [name for name in ways if name in facts.routes.strict]
    if len(ways) > 1 and strict:
        several = Obstacle(
            f"there are default routes by {' and '.join(ways)}, and {strict[0]} filters strictly (rp_filter=1)",
            f"{facts.sudo}sysctl -w net.ipv4.conf.{strict[0]}.rp_filter=2 net.ipv4.conf.all.rp_filter=2",
        )
        return caution(several, "what is answered by the other way is dropped")
    if not facts.routes.all:
        return None
    return ok(f"rp_filter is {'strict' if facts.routes.strict else 'not strict'}, and drops nothing with these routes")


def tracked_connections(facts: HostFacts) -> CheckResult | None:
    if facts.tracked is None:
        return None
    count, most = facts.tracked
    if count < NEARLY_FULL * most:
        return ok(f"the kernel tracks {count} of at most {most} connections")
    full = Obstacle(
        f"the kernel tracks {count} of at most {most} connections",
        f"{facts.sudo}sysctl -w net.netfilter.nf_conntrack_max={4 * most}",
    )
    return caution(full, "when the table is full, new connections are dropped without a word")


CHECKS = (
    Check("emulators", MODES, (), choice_of_qemu),
    Check("surroundings", (USER, BRIDGE), (), container),
    Check("confinement", (USER, BRIDGE, LAB), (), confinement),
    Check("reverse-path", (USER, BRIDGE), (), reverse_path),
    Check("conntrack", (USER, BRIDGE), (), tracked_connections),
)
