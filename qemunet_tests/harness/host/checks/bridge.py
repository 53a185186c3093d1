"""What bridged mode needs: a bridge, and a helper that may plug taps into it for this user."""

from qemunet_tests.harness.host import acl, devices, helper
from qemunet_tests.harness.host.bridges import Bridge
from qemunet_tests.harness.host.checks.check import BRIDGE, LAB, Check, Finding, caution, impossible, ok
from qemunet_tests.harness.host.facts import Facts
from qemunet_tests.harness.host.obstacle import Obstacle
from qemunet_tests.harness.identity import unprivileged

DEFAULT_BRIDGE = "br0"
#: What a guest believes whatever the bridge has.
GUEST_MTU = 1500
#: Surroundings whose virtual switch drops frames from addresses it did not give out, and the cure.
FILTERING_SWITCHES = {
    "vmware": "let the port group accept promiscuous mode, forged transmits and MAC changes",
    "hyper-v": "Set-VMNetworkAdapter -MacAddressSpoofing On, for this machine's adapter",
    "virtualbox": "VBoxManage modifyvm NAME --nicpromisc1 allow-all",
    "openstack": "openstack port set --disable-port-security PORT, or allowed-address-pairs",
    "aws": "use user mode, or route a subnet to the guests",
    "gcp": "use user mode, or route a subnet to the guests",
    "hetzner": "order a MAC address for the guest, or use user mode",
    "digitalocean": "use user mode",
}


def tun(facts: Facts) -> Finding:
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


def vhost_net(facts: Facts) -> Finding:
    blocked = devices.obstacle(facts.vhost_net, facts.credentials, facts.user, facts.machine.container)
    if blocked is None:
        return ok(f"{devices.VHOST_NET} opens: vhost=on is possible")
    return impossible(blocked, "taps work without it but slower, and vhost=on fails (QEMU 7.2 aborts)")


def helper_file(facts: Facts) -> Finding:
    if facts.qemu is not None and facts.qemu.helper_path is None:
        return impossible(
            Obstacle(f"{facts.qemu.path} was built without -netdev bridge", "install the distribution's own QEMU")
        )
    missing = helper.missing(facts.helper, facts.machine, facts.credentials)
    return impossible(missing) if missing is not None else ok(f"QEMU's bridge helper is {facts.helper.path}")


def helper_privilege(facts: Facts) -> Finding | None:
    if helper.missing(facts.helper, facts.machine, facts.credentials) is not None:
        return None
    lacking = helper.unprivileged(facts.helper, facts.credentials, facts.machine)
    if lacking is not None:
        return impossible(lacking, "it cannot make a tap")
    return ok(f"the bridge helper may make taps when {facts.user} starts it")


def acl_allows(facts: Facts) -> Finding:
    path = facts.acl.path
    name = _bridge_to_name(facts)
    add = f"echo 'allow {name}' | {facts.sudo}tee -a {path}"
    if facts.acl.problem is not None:
        remedy = f"mend that line in {path}"
        if acl.unreadable(facts.acl):
            remedy = f"{facts.sudo}chmod 0644 {path}"
        elif facts.acl.problem_errno is not None:
            remedy = f"{facts.sudo}install -d -m 0755 {path.rpartition('/')[0]} && {add}"
        return impossible(Obstacle(facts.acl.problem, remedy), "the helper refuses every bridge, to root as well")
    existing = [bridge.name for bridge in facts.bridges] or [name]
    decisions = {bridge: acl.decide(facts.acl, bridge) for bridge in existing}
    allowed = [bridge for bridge, decision in decisions.items() if decision.allowed]
    if allowed:
        return ok(f"{path} allows {', '.join(allowed)}")
    decision = decisions[name] if name in decisions else decisions[existing[0]]
    denied = any(rule.concerns(name) and not rule.allows for rule in facts.acl.rules)
    return impossible(Obstacle(decision.reason, f"take that deny out of {path}" if denied else add))


def _bridge_to_name(facts: Facts) -> str:
    names = [bridge.name for bridge in facts.bridges]
    return DEFAULT_BRIDGE if DEFAULT_BRIDGE in names or not names else names[0]


def bridge_exists(facts: Facts) -> Finding:
    if facts.bridges:
        return ok(f"bridges: {', '.join(bridge.name for bridge in facts.bridges)}")
    if facts.has_netplan:
        remedy = "describe br0 with your wired interface in /etc/netplan (stp: false), then: sudo netplan try"
    else:
        add = f"{facts.sudo}ip link add br0 type bridge && {facts.sudo}ip link set br0 up"
        remedy = f"{add}; and put a wired interface in"
    return impossible(Obstacle("there is no bridge", remedy))


def _candidates(facts: Facts) -> list[Bridge]:
    """The bridges a guest may join; where the list allows none, the documented one."""
    allowed = [bridge for bridge in facts.bridges if acl.decide(facts.acl, bridge.name).allowed]
    return allowed or [bridge for bridge in facts.bridges if bridge.name == DEFAULT_BRIDGE]


def bridge_up(facts: Facts) -> Finding | None:
    candidates = _candidates(facts)
    down = [bridge.name for bridge in candidates if not bridge.up]
    if not candidates:
        return None
    if not down:
        return ok(f"up: {', '.join(bridge.name for bridge in candidates)}")
    found = Obstacle(f"{', '.join(down)} is down", f"{facts.sudo}ip link set {down[0]} up")
    finding = impossible if len(down) == len(candidates) else caution
    return finding(found, "QEMU starts without a word and no frame moves")


def bridge_uplink(facts: Facts) -> Finding | None:
    for bridge in _candidates(facts):
        if not bridge.uplinks:
            alone = Obstacle(
                f"{bridge.name} has no interface of the host in it",
                f"{facts.sudo}ip link set IFACE master {bridge.name}",
            )
            return caution(alone, "its guests reach each other and this host, but no LAN and no DHCP server there")
        for port in bridge.uplinks:
            if not port.up or not port.carrier:
                dead = f"{port.name} in {bridge.name} has no link"
                return caution(Obstacle(dead, f"{facts.sudo}ip link set {port.name} up, and look at its cable"))
    return _with_candidates(facts, "every bridge that guests may join has an uplink")


def bridge_wireless(facts: Facts) -> Finding | None:
    for bridge in _candidates(facts):
        for port in bridge.uplinks:
            if port.is_wireless:
                return caution(
                    Obstacle(f"{port.name} in {bridge.name} is wireless", "use a wired uplink, or user mode"),
                    "access points drop frames from addresses other than the host's own",
                )
    return None


def spanning_tree(facts: Facts) -> Finding | None:
    for bridge in _candidates(facts):
        if bridge.spanning_tree:
            dead_seconds = 2 * bridge.forward_delay_seconds
            slow = Obstacle(
                f"spanning tree is on in {bridge.name}: a new guest is cut off for {dead_seconds:.0f} s",
                f"{facts.sudo}ip link set {bridge.name} type bridge stp_state 0 (with one uplink only)",
            )
            return caution(slow, "its first DHCP requests are lost")
    return _with_candidates(facts, "spanning tree is off: guests are forwarded at once")


def bridge_mtu(facts: Facts) -> Finding | None:
    for bridge in _candidates(facts):
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
    return None


def address_on_port(facts: Facts) -> Finding | None:
    for bridge in _candidates(facts):
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


def bridge_filtered(facts: Facts) -> Finding | None:
    for bridge in _candidates(facts):
        if bridge.filters_ipv4:
            return caution(
                Obstacle(
                    f"frames in {bridge.name} pass the IPv4 firewall (bridge-nf-call-iptables=1)",
                    f"{facts.sudo}sysctl -w net.bridge.bridge-nf-call-iptables=0",
                ),
                "a forward policy of drop, as Docker sets it, takes guests off the network",
            )
    return None


def virtual_switch(facts: Facts) -> Finding | None:
    name = facts.machine.virtualisation
    if name not in FILTERING_SWITCHES or not _candidates(facts):
        return None
    return caution(
        Obstacle(f"this machine's own network is virtual ({name})", FILTERING_SWITCHES[name]),
        "its switch may drop what guests on a bridge send",
    )


def _with_candidates(facts: Facts, reason: str) -> Finding | None:
    return ok(reason) if _candidates(facts) else None


CHECKS = (
    Check("tun", (BRIDGE, LAB), (BRIDGE, LAB), tun),
    Check("vhost-net", (BRIDGE,), (), vhost_net),
    Check("helper", (BRIDGE, LAB), (BRIDGE,), helper_file),
    Check("helper-privilege", (BRIDGE,), (BRIDGE,), helper_privilege),
    Check("acl", (BRIDGE,), (BRIDGE,), acl_allows),
    Check("bridge", (BRIDGE,), (BRIDGE,), bridge_exists),
    Check("bridge-up", (BRIDGE,), (BRIDGE,), bridge_up),
    Check("bridge-uplink", (BRIDGE,), (), bridge_uplink),
    Check("bridge-wireless", (BRIDGE,), (), bridge_wireless),
    Check("bridge-stp", (BRIDGE,), (), spanning_tree),
    Check("bridge-mtu", (BRIDGE,), (), bridge_mtu),
    Check("bridge-address", (BRIDGE,), (), address_on_port),
    Check("bridge-firewall", (BRIDGE,), (), bridge_filtered),
    Check("virtual-switch", (BRIDGE,), (), virtual_switch),
)
