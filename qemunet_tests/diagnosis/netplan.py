"""Causes where netplan is to make the bridge."""

import re

from qemunet_tests.diagnosis.failure import Failure
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.network import lab_addresses


def interface_named_otherwise(failure: Failure) -> Obstacle | None:
    """netplan says nothing of an interface that is not there: the bridge is made, without it."""
    host = failure.netplan_host
    if host is None or host.station.index(lab_addresses.UPLINK) is not None:
        return None
    others = [link.get("ifname") for link in host.station.netlink.get_links()]
    there = ", ".join(name for name in others if name not in ("lo", lab_addresses.BRIDGE))
    return Obstacle(
        f"{host.file.name} is about {lab_addresses.UPLINK}, which this host does not have; it has {there or 'none'}",
        "put the name that `ip link` shows into the netplan file",
    )


def networkd_not_done(failure: Failure) -> Obstacle | None:
    """Where systemd-networkd cannot do all it was told, the bridge is there and lacks its address, or its gateway."""
    host = failure.netplan_host
    state = host.state(lab_addresses.BRIDGE) if host else []
    if host is None or not state or "ADMIN_STATE=configured" in state:
        return None
    did = "gave up on" if "ADMIN_STATE=failed" in state else "waits for something and does not finish"
    complaints = re.findall(
        rf"^{lab_addresses.BRIDGE}: .*(?:Could not|Failed to) .*$", host.log.read_text(), re.MULTILINE
    )
    bridge = lab_addresses.BRIDGE
    return Obstacle(
        f"systemd-networkd {did} {bridge}{f': {complaints[-1]}' if complaints else ''}",
        f"see whether {host.file.name} can be fulfilled, its gateway above all: `networkctl status {bridge}`",
    )
