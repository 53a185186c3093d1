"""passt beside libslirp: whether it is there, and what keeps it from serving a guest on this host."""

from qemunet_tests.doctor.checks.check import USER, Check, CheckResult, caution, impossible, ok
from qemunet_tests.doctor.host_facts import HostFacts
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.host.package_manager import install_command

#: What QEMU needs to talk to it, the better way first.
BACKENDS = ("passt", "stream")
#: Stages of making namespaces that its own sandbox goes through.
SHUTS_ITSELF_INTO = ("user namespace", "id map", "namespaces inside it")


def present(facts: HostFacts) -> CheckResult:
    if facts.passt is None:
        gone = Obstacle("there is no passt", install_command("passt", facts.machine, facts.sudo))
        return impossible(gone, "user mode has libslirp alone")
    if facts.passt.version is None:
        silent = Obstacle(f"{facts.passt.path} does not run", f"try {facts.passt.path} --version")
        return impossible(silent, "user mode has libslirp alone")
    backend = next((name for name in BACKENDS if facts.qemu is not None and name in facts.qemu.netdevs), None)
    if facts.qemu is not None and backend is None:
        old = Obstacle(f"{facts.qemu.path} has neither -netdev passt nor stream", "upgrade QEMU to 7.2 or later")
        return caution(old, "it cannot talk to passt")
    return _hindered(facts) or ok(f"passt ({facts.passt.version}) is {facts.passt.path}{_confined(facts, backend)}")


def _confined(facts: HostFacts, backend: str | None) -> str:
    way = f", to be used by -netdev {backend}" if backend else ""
    profile = facts.confinement.profile_of("passt")
    return f"{way}, confined by AppArmor ({profile}) to sockets in /tmp, /run/user and $HOME" if profile else way


def _hindered(facts: HostFacts) -> CheckResult | None:
    if facts.credentials.effective_uid == 0 and not facts.credentials.in_user_namespace:
        as_root = Obstacle("passt that root starts becomes nobody", "start it as an ordinary user")
        return caution(as_root, "it may not write its socket where root can")
    if facts.namespaces.failed_stage in SHUTS_ITSELF_INTO:
        return caution(
            Obstacle("passt shuts itself into a user namespace, and none can be made", "see namespaces"),
            "it ends at once",
        )
    if not facts.routes.defaults:
        nowhere = Obstacle("there is no default route", "start it with -i INTERFACE -a ADDRESS -g GATEWAY")
        return caution(nowhere, "passt ends with 'No external routable interface for IPv4'")
    gateways = {str(route.gateway) for route in facts.routes.defaults}
    if facts.resolver.used in gateways:
        same = Obstacle(f"the resolver {facts.resolver.used} is the gateway as well", "start it with --no-map-gw")
        return caution(same, "passt may take it for this host, as releases of 2023 do, and resolve no names")
    return None


CHECKS = (Check("passt", (USER, "passt"), (), present),)
