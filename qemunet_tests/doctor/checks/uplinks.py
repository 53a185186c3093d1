"""What a host adds to its bridges: cards and switches that drop foreign addresses, firewalls, services that meddle."""

from dataclasses import replace

from qemunet_tests.doctor.checks.candidates import candidates, uplinks, with_candidates
from qemunet_tests.doctor.checks.check import BRIDGE, Check, CheckResult, caution, impossible, ok
from qemunet_tests.doctor.host_facts import HostFacts
from qemunet_tests.doctor.packet_facts import OUTSIDE
from qemunet_tests.host.bridges import HostBridge
from qemunet_tests.host.firewall import Dropping
from qemunet_tests.host.guest_macs import DEFAULT_MAC
from qemunet_tests.host.network_managers import NETWORK_MANAGER
from qemunet_tests.host.nft_match import PacketSeen
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.network.fixed_mac import fixed_mac

#: What guests send first, and then.
OF_GUESTS = (
    PacketSeen("udp", "0.0.0.0", "255.255.255.255", 68, 67, to_this_host=False),
    PacketSeen("udp", destination=OUTSIDE, port=53, to_this_host=False),
    PacketSeen("tcp", destination=OUTSIDE, port=443, to_this_host=False),
)
#: Surroundings whose virtual switch drops frames from addresses it did not give out, and the cure.
FILTERING_SWITCHES = {
    "vmware": "let the port group accept promiscuous mode, forged transmits and MAC changes",
    "hyper-v": "Set-VMNetworkAdapter -MacAddressSpoofing On, for this machine's adapter",
    "virtualbox": "VBoxManage modifyvm NAME --nicpromisc1 allow-all",
    "openstack": "openstack port set --disable-port-security PORT, or allowed-address-pairs",
    "aws": "use user mode, or route a subnet to the guests",
    "azure": "use user mode, or route a subnet to the guests",
    "gcp": "use user mode, or route a subnet to the guests",
    "hetzner": "order a MAC address for the guest, or use user mode",
    "digitalocean": "use user mode",
}
#: Drivers of cards that are plugged into such switches.
SWITCHES_BY_DRIVER = {
    "hv_netvsc": "hyper-v",
    "vmxnet3": "vmware",
    "ena": "aws",
    "gve": "gcp",
    "mana": "azure",
}
#: Bonds that answer for a guest with the address of one of their own cards.
REWRITING_BONDS = ("balance-tlb", "balance-alb", "broadcast")

KEEP_OFF_TAPS = {
    NETWORK_MANAGER: "printf '[keyfile]\\nunmanaged-devices=interface-name:tap*\\n' | {sudo}tee "
    "/etc/NetworkManager/conf.d/99-qemu.conf && {sudo}systemctl reload NetworkManager",
    "systemd-networkd": "printf '[Match]\\nName=tap*\\n[Link]\\nUnmanaged=yes\\n' | {sudo}tee "
    "/etc/systemd/network/05-qemu-taps.network && {sudo}networkctl reload",
}


def wireless(facts: HostFacts) -> CheckResult | None:
    found = uplinks(facts)
    for what, port in found:
        if port.is_wireless:
            return caution(
                Obstacle(f"{what} is wireless", "use a wired uplink, or user mode"),
                "access points drop frames from addresses other than the host's own",
            )
    return ok("no uplink is wireless") if found else None


def virtual_switch(facts: HostFacts) -> CheckResult | None:
    found = uplinks(facts)
    for what, port in found:
        if switch := SWITCHES_BY_DRIVER.get(port.driver or ""):
            return _switched(f"{what} is a virtual card ({port.driver})", switch)
    if not found:
        return None
    name = facts.machine.virtualisation
    if name in FILTERING_SWITCHES:
        return _switched(f"this machine's own network is virtual ({name})", name)
    if leased := facts.routes.leased_address:
        one = f"this host was given one address and no network: its gateway {leased.gateway} is outside of any"
        return caution(
            Obstacle(one, "order a MAC address for each guest, or use user mode"),
            "hosters that do so cut off who sends from another MAC address",
        )
    return ok("no uplink is known to be plugged into a virtual switch that filters addresses")


def _switched(what: str, switch: str) -> CheckResult:
    return caution(Obstacle(what, FILTERING_SWITCHES[switch]), "its switch may drop what guests on a bridge send")


def bond(facts: HostFacts) -> CheckResult | None:
    for what, port in uplinks(facts):
        if port.bond_mode in REWRITING_BONDS:
            rewriting = Obstacle(
                f"{what} is a bond of mode {port.bond_mode}",
                "give the bond mode active-backup or 802.3ad in the network configuration",
            )
            return caution(rewriting, "answers to guests come to the wrong address, now and then")
    return None


def vlan(facts: HostFacts) -> CheckResult | None:
    for bridge in candidates(facts):
        if bridge.port_vlan == 0:
            no_vlan = Obstacle(
                f"{bridge.name} filters VLANs and gives a new port none",
                f"{facts.sudo}ip link set {bridge.name} type bridge vlan_default_pvid 1, or for each guest: "
                f"{facts.sudo}bridge vlan add dev TAP vid N pvid untagged",
            )
            return caution(no_vlan, "all that a guest sends is dropped")
    return None


def firewall(facts: HostFacts) -> CheckResult | None:
    for bridge in candidates(facts):
        at_hand = [
            chain
            for chain in facts.firewall.dropping
            if chain.family in bridge.families and not _lets_pass(facts, bridge, chain)
        ]
        for chain in at_hand:
            if not chain.may_pass(bridge.name):
                shut = Obstacle(
                    f"frames in {bridge.name} meet {chain.place}, which drops by policy and accepts nothing for it",
                    _exception(facts, bridge, chain),
                )
                return impossible(shut, "guests get no lease and reach nobody")
        if bridge.filters_ipv4 and at_hand:
            doubtful = Obstacle(
                f"frames in {bridge.name} pass the IPv4 firewall (bridge-nf-call-iptables=1)",
                _exception(facts, bridge, at_hand[0]),
            )
            return caution(doubtful, f"{at_hand[0].place} drops by policy, with exceptions")
    return with_candidates(facts, _unfiltered(facts))


def _exception(facts: HostFacts, bridge: HostBridge, chain: Dropping) -> str:
    return chain.exception_for(bridge.name, [port.name for port in bridge.uplinks], facts.sudo)


def _lets_pass(facts: HostFacts, bridge: HostBridge, chain: Dropping) -> bool:
    """Whether the chain is known to accept what guests of a bridge send first, followed through all its rules.

    nft lists nothing of iptables-legacy.
    """
    if chain.older:
        return chain.passes_whole(bridge.name)
    ruleset = facts.packets.ruleset if facts.packets else None
    place, name = (chain.family, chain.table, chain.chain), bridge.name
    uplink = next((port.name for port in bridge.uplinks), None)
    ports = (None, uplink) if chain.family == "bridge" else (name, name)
    stops = [
        stop.chain
        for frame in OF_GUESTS
        for stop in (ruleset.stops(replace(frame.at(*ports), bridge=name)) if ruleset else ())
    ]
    return ruleset is not None and place not in [(each.family, each.table, each.name) for each in stops]


def _unfiltered(facts: HostFacts) -> str:
    if facts.firewall.unread is None:
        return "no chain of the firewall drops frames in bridges by policy"
    passing = [bridge.name for bridge in candidates(facts) if bridge.filters_ipv4]
    told = (
        f"frames in {' and '.join(passing)} pass the IPv4 firewall (bridge-nf-call-iptables=1); whether it drops them"
        if passing
        else "frames in bridges do not pass the IPv4 firewall; whether a table of bridges drops them"
    )
    return f"{told} is not known: {facts.firewall.unread}, see: sudo qemunet doctor"


def managed(facts: HostFacts) -> CheckResult | None:
    if not candidates(facts):
        return None
    for service, why in facts.managers.takes_taps:
        meddling = Obstacle(f"{service} runs and {why}", KEEP_OFF_TAPS[service].format(sudo=facts.sudo))
        return caution(meddling, "it may take a guest's tap out of its bridge, minutes after the start")
    if facts.managers.running:
        return ok(f"{' and '.join(facts.managers.running)} will leave the taps of guests alone")
    return ok("no service is known to meddle with the taps of guests")


def default_mac(facts: HostFacts) -> CheckResult | None:
    if not facts.default_mac_pids:
        return with_candidates(facts, "no guest here is seen on a bridge or tap with QEMU's default MAC")
    pids = ", ".join(map(str, facts.default_mac_pids))
    shared = Obstacle(
        f"a guest with QEMU's default MAC, {DEFAULT_MAC}, is on a bridge or tap here (pid {pids})",
        f"-device virtio-net-pci,netdev=net0,mac={fixed_mac(BRIDGE, facts.root)}, another for every guest",
    )
    return caution(shared, "a second one in the LAN breaks both: a ping passes and bulk data stalls")


CHECKS = (
    Check("bridge-wireless", (BRIDGE,), (), wireless),
    Check("virtual-switch", (BRIDGE,), (), virtual_switch),
    Check("bridge-bond", (BRIDGE,), (), bond),
    Check("bridge-vlan", (BRIDGE,), (), vlan),
    Check("bridge-firewall", (BRIDGE,), (BRIDGE,), firewall),
    Check("bridge-managed", (BRIDGE,), (), managed),
    Check("default-mac", (BRIDGE,), (), default_mac),
)
