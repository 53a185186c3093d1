"""What bridged mode needs: a bridge, and a helper that may plug taps into it for this user."""

from qemunet_tests.doctor.checks import making_bridges
from qemunet_tests.doctor.checks.candidates import DEFAULT_BRIDGE, candidates, with_candidates
from qemunet_tests.doctor.checks.check import BRIDGE, LAB, Check, CheckResult, as_typed_here, caution, impossible, ok
from qemunet_tests.doctor.host_facts import HostFacts
from qemunet_tests.doctor.packet_facts import OUTSIDE
from qemunet_tests.host import acl, devices, helper_program
from qemunet_tests.host.bridges import BridgePort, HostBridge
from qemunet_tests.host.nft_match import PacketSeen
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.isolation.identity import unprivileged

#: What a guest believes whatever the bridge has.
GUEST_MTU = 1500


def tun(facts: HostFacts) -> CheckResult:
    blocked = devices.obstacle(facts.tun, facts.credentials, facts.user, facts.machine.container)
    if blocked is not None:
        return impossible(blocked, "no tap can be made")
    guests = unprivileged()
    if not facts.tun.bits_allow(guests.uid, frozenset((guests.gid, *guests.groups))):
        closed = Obstacle(
            f"{devices.TUN} is open to {facts.user} but not to {guests.name}, as whom the lab runs QEMU",
            f"{facts.sudo}chmod 0666 {devices.TUN}",
        )
        return caution(closed, "bridged guests of the lab cannot start")
    return ok(f"{devices.TUN} opens")


def vhost_net(facts: HostFacts) -> CheckResult:
    blocked = devices.obstacle(facts.vhost_net, facts.credentials, facts.user, facts.machine.container)
    if blocked is None:
        return ok(f"{devices.VHOST_NET} opens: vhost=on is possible")
    return impossible(blocked, "taps work without it but slower, and vhost=on fails (QEMU 7.2 aborts)")


def helper_file(facts: HostFacts) -> CheckResult:
    if facts.qemu is not None and facts.qemu.helper_path is None:
        return impossible(
            Obstacle(f"{facts.qemu.path} was built without -netdev bridge", "install the distribution's own QEMU")
        )
    missing = helper_program.missing(facts.helper, facts.machine, facts.credentials)
    return impossible(missing) if missing is not None else ok(f"QEMU's bridge helper is {facts.helper.path}")


def helper_privilege(facts: HostFacts) -> CheckResult | None:
    if helper_program.missing(facts.helper, facts.machine, facts.credentials) is not None:
        return None
    lacking = helper_program.unprivileged(facts.helper, facts.credentials, facts.machine)
    if lacking is not None:
        return impossible(lacking, "it cannot make a tap")
    return ok(f"the bridge helper may make taps when {facts.user} starts it")


def acl_allows(facts: HostFacts) -> CheckResult:
    path = facts.acl.path
    name = _bridge_to_name(facts)
    add = f"echo 'allow {name}' | {facts.sudo}tee -a {path}"
    if facts.acl.problem is not None:
        remedy = f"mend that line in {path}"
        meaning = "the helper refuses every bridge, to root as well"
        if acl.unreadable(facts.acl):
            closed = facts.acl.closed or path
            remedy = f"{facts.sudo}chmod {'0644' if closed == path else '0755'} {closed}"
            meaning = f"the helper reads it as {facts.user}, setuid or not, and refuses every bridge"
        elif facts.acl.problem_errno is not None:
            remedy = f"{facts.sudo}install -d -m 0755 {path.rpartition('/')[0]} && {add}"
        return impossible(Obstacle(facts.acl.problem, remedy), meaning)
    existing = [bridge.name for bridge in facts.bridges] or [name]
    decisions = {bridge: acl.decide(facts.acl, bridge) for bridge in existing}
    allowed = [bridge for bridge, decision in decisions.items() if decision.allowed]
    if allowed:
        return ok(f"{path} allows {', '.join(allowed)}")
    decision = decisions[name] if name in decisions else decisions[existing[0]]
    denied_in = decision.denied_in
    return impossible(Obstacle(decision.reason, f"take that deny out of {denied_in}" if denied_in else add))


def _bridge_to_name(facts: HostFacts) -> str:
    names = [bridge.name for bridge in facts.bridges]
    return DEFAULT_BRIDGE if DEFAULT_BRIDGE in names or not names else names[0]


def bridge_exists(facts: HostFacts) -> CheckResult:
    if facts.bridges:
        return ok(f"bridges: {', '.join(bridge.name for bridge in facts.bridges)}")
    if foreign := foreign_bridge(facts):
        return foreign
    return impossible(Obstacle("there is no bridge", making_bridges.remedy(facts, DEFAULT_BRIDGE)))


def foreign_bridge(facts: HostFacts) -> CheckResult | None:
    """What is called as a bridge should be, and belongs to something else than the kernel's bridges."""
    listed = [rule.meaning for rule in facts.acl.rules if rule.allows and not rule.everything]
    kinds = facts.packets.kinds if facts.packets else {}
    for name in dict.fromkeys((DEFAULT_BRIDGE, *listed)):
        if name in kinds and kinds[name] != "bridge":
            other = Obstacle(
                f"{name} is there, and is no bridge of the kernel's but of the kind {kinds[name]}",
                f"{facts.sudo}ovs-vsctl add-port {name} TAP, with a tap of your own for -netdev tap,ifname=TAP"
                if kinds[name] == "openvswitch"
                else "name a bridge of the kernel's in the helper's list, or give the bridge another name than that",
            )
            return impossible(other, "QEMU's helper cannot plug a tap into it")
    return None


def bridge_up(facts: HostFacts) -> CheckResult | None:
    joined = candidates(facts)
    down = [bridge.name for bridge in joined if not bridge.up]
    if not joined:
        return None
    if not down:
        return ok(f"up: {', '.join(bridge.name for bridge in joined)}")
    found = Obstacle(f"{', '.join(down)} is down", f"{facts.sudo}ip link set {down[0]} up")
    finding = impossible if len(down) == len(joined) else caution
    return finding(found, "QEMU starts without a word and no frame moves")


def bridge_uplink(facts: HostFacts) -> CheckResult | None:
    for bridge in candidates(facts):
        if translates(facts, bridge):
            kept = facts.packets.not_passed_on.get(bridge.name) if facts.packets else None
            if kept is not None:
                lost = f"guests of {bridge.name} do not reach the world outside ({OUTSIDE}, for instance)"
                return caution(as_typed_here(facts, kept), lost)
            continue
        if not bridge.uplinks:
            alone = Obstacle(
                f"{bridge.name} has no interface of the host in it",
                making_bridges.remedy(facts, bridge.name),
            )
            return caution(alone, "its guests reach each other and this host, but no LAN and no DHCP server there")
        for port in bridge.uplinks:
            if not port.up or not port.carrier:
                dead = f"{port.name} in {bridge.name} has no link"
                return caution(Obstacle(dead, f"{facts.sudo}ip link set {port.name} up, and look at its cable"))
    told = ", ".join(
        f"{bridge.name} by {' and '.join(map(_card, bridge.uplinks)) or 'address translation of this host'}"
        for bridge in candidates(facts)
    )
    return with_candidates(facts, f"every bridge that guests may join has an uplink: {told}")


def translates(facts: HostFacts, bridge: HostBridge) -> bool:
    """Whether this host is the gateway of the bridge's network: it leases addresses there, or translates them."""
    packets = facts.packets
    own = packets.addresses.get(bridge.name, ()) if packets else ()
    if packets is None or bridge.uplinks or not own:
        return False
    if any(server.link == bridge.name for server in packets.dhcp):
        return True
    guests = [PacketSeen("tcp", str(each.network.broadcast_address - 1), OUTSIDE) for each in own]
    return any(packets.ruleset.masquerading(guest) for guest in guests) if packets.ruleset else False


def _card(port: BridgePort) -> str:
    return f"{port.name} ({port.driver})" if port.driver else port.name


def spanning_tree(facts: HostFacts) -> CheckResult | None:
    for bridge in candidates(facts):
        if bridge.spanning_tree:
            dead_seconds = 2 * bridge.forward_delay_seconds
            slow = Obstacle(
                f"spanning tree is on in {bridge.name}: a new guest is cut off for {dead_seconds:.0f} s",
                f"{facts.sudo}ip link set {bridge.name} type bridge stp_state 0 (with one uplink only)",
            )
            return caution(slow, "its first DHCP requests are lost")
    delays = ", ".join(f"{bridge.name} {bridge.forward_delay_seconds:.0f} s" for bridge in candidates(facts))
    return with_candidates(facts, f"spanning tree is off: guests are forwarded at once (delay otherwise: {delays})")


def bridge_mtu(facts: HostFacts) -> CheckResult | None:
    for bridge in candidates(facts):
        if bridge.mtu < GUEST_MTU:
            odd = Obstacle(
                f"{bridge.name} carries packets of {bridge.mtu} bytes and guests believe in {GUEST_MTU}",
                f"give guests host_mtu={bridge.mtu} on virtio-net-pci",
            )
            return caution(odd, "small pings pass and bulk transfers may hang")
        for port in bridge.uplinks:
            if port.mtu < bridge.mtu:
                narrow = Obstacle(
                    f"{port.name} in {bridge.name} carries {port.mtu} bytes, the bridge {bridge.mtu}",
                    f"{facts.sudo}ip link set {bridge.name} mtu {port.mtu}",
                )
                return caution(narrow, "larger packets vanish")
        sizes = {port.mtu for port in bridge.uplinks}
        if len(sizes) > 1:
            told = " and ".join(f"{port.name} {port.mtu}" for port in bridge.uplinks)
            uneven = Obstacle(
                f"the uplinks of {bridge.name} carry packets of different sizes: {told} bytes",
                f"{facts.sudo}ip link set INTERFACE mtu {min(sizes)}, for the larger ones",
            )
            return caution(uneven, "what is larger than the smallest vanishes between them")
    return with_candidates(facts, f"every bridge and uplink carries {GUEST_MTU} bytes or more")


def address_on_port(facts: HostFacts) -> CheckResult | None:
    for bridge in candidates(facts):
        for port in bridge.uplinks:
            if port.has_routes:
                return caution(
                    Obstacle(
                        f"{port.name} still has the address and routes that belong to {bridge.name}",
                        f"move them to {bridge.name} in the network configuration, not by hand over ssh",
                    ),
                    "this host and its guests may not reach each other",
                )
    return None


CHECKS = (
    Check("tun", (BRIDGE, LAB), (BRIDGE, LAB), tun),
    Check("vhost-net", (BRIDGE,), (), vhost_net),
    Check("helper", (BRIDGE, LAB), (BRIDGE,), helper_file),
    Check("helper-privilege", (BRIDGE,), (BRIDGE,), helper_privilege),
    Check("acl", (BRIDGE,), (BRIDGE,), acl_allows),
    Check("bridge", (BRIDGE,), (BRIDGE,), bridge_exists),
    Check("bridge-foreign", (BRIDGE,), (), lambda facts: foreign_bridge(facts) if facts.bridges else None),
    Check("bridge-up", (BRIDGE,), (BRIDGE,), bridge_up),
    Check("bridge-uplink", (BRIDGE,), (), bridge_uplink),
    Check("bridge-stp", (BRIDGE,), (), spanning_tree),
    Check("bridge-mtu", (BRIDGE,), (), bridge_mtu),
    Check("bridge-address", (BRIDGE,), (), address_on_port),
)
