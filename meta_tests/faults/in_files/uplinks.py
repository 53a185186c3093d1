"""Hosts that drop, rewrite or meddle with what guests on their bridges send."""

import json
from dataclasses import replace
from typing import Any

from meta_tests.faults.in_files import of_files
from meta_tests.samples.healthy_host import NET, Change, both, machine, routes
from qemunet_tests.doctor.host_facts import HostFacts
from qemunet_tests.host.firewall import Firewall, parse_nft

EVERYWHERE: dict[str, str | None] = {"/proc/sys/net/bridge/bridge-nf-call-iptables": "1\n"}
ITSELF: dict[str, str | None] = {f"{NET}/br0/bridge/nf_call_iptables": "1\n"}
RUNNING = {
    "NetworkManager": {"/proc/812/comm": "NetworkManager\n"},
    "systemd-networkd": {"/proc/813/comm": "systemd-network\n"},
}


def match(left: dict[str, Any], right: Any) -> dict[str, Any]:
    return {"match": {"op": "==", "left": left, "right": right}}


def forward_drops(
    family: str, *rules: list[dict[str, Any]], chain: str = "FORWARD", beside: tuple[str, ...] = ()
) -> Change:
    """A firewall with a forward chain of drop policy and others beside, as nft would print it."""
    base = {"family": family, "table": "filter", "name": chain, "hook": "forward", "policy": "drop"}
    others = [{"chain": {"family": family, "table": "filter", "name": name}} for name in beside]
    said = [{"rule": {"family": family, "table": "filter", "chain": chain, "expr": rule}} for rule in rules]
    parsed = parse_nft(json.dumps({"nftables": [{"metainfo": {}}, {"chain": base}, *others, *said]}))
    return firewall(Firewall(None, parsed))


def firewall(found: Firewall) -> Change:
    def change(facts: HostFacts) -> HostFacts:
        return replace(facts, firewall=found)

    return change


DOCKER = match({"meta": {"key": "iifname"}}, "docker0")
ANSWERS = {"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": ["established", "related"]}}
ACCEPT: dict[str, Any] = {"accept": None}

FAULTS = (
    of_files("Docker's policy", "bridge-firewall", "not",
             "frames in br0 meet chain FORWARD of table ip filter, which drops by policy and accepts nothing for it",
             "sudo nft add rule ip filter FORWARD iifname br0 oifname br0 accept; Docker owns",
             ("bridge",), files=EVERYWHERE,
             change=forward_drops("ip", [DOCKER, ACCEPT], [ANSWERS, ACCEPT], beside=("DOCKER-USER",))),
    of_files("a policy on this bridge alone", "bridge-firewall", "not",
             "drops by policy and accepts nothing for it",
             "sudo nft add rule inet filter FORWARD iifname br0 oifname br0 accept", ("bridge",), files=ITSELF,
             change=forward_drops("inet")),
    of_files("a policy with exceptions", "bridge-firewall", "caution",
             "chain FORWARD of table ip filter drops by policy, with exceptions",
             "sudo nft add rule ip filter FORWARD iifname br0 oifname br0 accept",
             files=EVERYWHERE, change=forward_drops("ip", [match({"meta": {"key": "iifname"}}, "br*"), ACCEPT])),
    of_files("a policy for bridges", "bridge-firewall", "not", "chain guard of table bridge filter",
             "sudo nft add rule bridge filter guard iifname enp0s25 accept && sudo nft add rule bridge filter guard "
             "oifname enp0s25 accept", ("bridge",), change=forward_drops("bridge",
             chain="guard")),
    of_files("Hyper-V's card", "virtual-switch", "caution", "enp0s25 in br0 is a virtual card (hv_netvsc)",
             "MacAddressSpoofing", change=lambda facts: with_port(facts, driver="hv_netvsc")),
    of_files("VMware's card", "virtual-switch", "caution", "enp0s25 in br0 is a virtual card (vmxnet3)",
             "forged transmits", change=both(machine(virtualisation="vmware"), lambda facts: with_port(facts,
             driver="vmxnet3"))),
    of_files("one address from a hoster", "virtual-switch", "caution",
             "given one address and no network: its gateway 172.31.1.1 is outside", "order a MAC address",
             files={"/proc/net/route": routes("br0 00000000 01011FAC 00000000", "br0 01011FAC 00000000 FFFFFFFF")},
             kind="the hoster admits one MAC address"),
    of_files("a bond that rewrites", "bridge-bond", "caution", "bond0 in br0 is a bond of mode balance-alb",
             "802.3ad", files={f"{NET}/br0/brif/enp0s25/state": None, f"{NET}/br0/brif/bond0/state": "3\n",
             f"{NET}/bond0/bonding/mode": "balance-alb 6\n", f"{NET}/bond0/carrier": "1\n",
             f"{NET}/bond0/flags": "0x1103\n", f"{NET}/bond0/mtu": "1500\n"}, kind="a bond with one MAC address"),
    of_files("a VLAN on a bond that rewrites", "bridge-bond", "caution",
             "enp0s25 in br0 is a bond of mode balance-tlb", "active-backup",
             files={f"{NET}/enp0s25/lower_bond0/flags": "", f"{NET}/bond0/bonding/mode": "balance-tlb 5\n"}),
    of_files("no VLAN for new ports", "bridge-vlan", "caution", "br0 filters VLANs and gives a new port none",
             "sudo ip link set br0 type bridge vlan_default_pvid 1", files={f"{NET}/br0/bridge/vlan_filtering": "1\n",
             f"{NET}/br0/bridge/default_pvid": "0\n"}, kind="VLANs do not match"),
    of_files("uplinks of two sizes", "bridge-mtu", "caution",
             "the uplinks of br0 carry packets of different sizes: enp0s25 1500 and enp3s0 9000 bytes", "mtu 1500",
             files={f"{NET}/br0/brif/enp3s0/state": "3\n", f"{NET}/enp3s0/carrier": "1\n",
             f"{NET}/enp3s0/flags": "0x1103\n", f"{NET}/enp3s0/mtu": "9000\n"}),
    of_files("NetworkManager", "bridge-managed", "caution",
             "NetworkManager runs and no unmanaged-devices of its configuration names taps",
             "sudo tee /etc/NetworkManager/conf.d/99-qemu.conf", files={**RUNNING["NetworkManager"],
             "/etc/NetworkManager/conf.d/10-docker.conf": "[keyfile]\nunmanaged-devices=interface-name:docker0\n"},
             kind="a manager takes the tap"),
    of_files("networkd", "bridge-managed", "caution",
             "systemd-networkd runs and /etc/systemd/network/90-all.network is about every interface",
             "/etc/systemd/network/05-qemu-taps.network", files={**RUNNING["systemd-networkd"],
             "/etc/systemd/network/10-lan.network": "[Match]\nName=enp*\n[Network]\nBridge=br0\n",
             "/etc/systemd/network/90-all.network": "[Match]\nType=ether\n[Network]\nDHCP=yes\n"},
             kind="a manager takes the tap"),
    of_files("another guest with the default MAC", "default-mac", "caution",
             "QEMU's default MAC, 52:54:00:12:34:56, is on a bridge or tap here (pid 4711)", "mac=02:71:6e:",
             change=lambda facts: replace(facts, default_mac_pids=(4711,))),
)  # fmt: skip


def with_port(facts: HostFacts, **changes: str) -> HostFacts:
    """The host with something else about the card in its bridge."""
    bridge = facts.bridges[0]
    ports = tuple(replace(port, **changes) for port in bridge.ports)
    return replace(facts, bridges=(replace(bridge, ports=ports),))
