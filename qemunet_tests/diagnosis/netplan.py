"""Causes where netplan is to make the bridge."""

from qemunet_tests.diagnosis.cause import Cause
from qemunet_tests.diagnosis.scene import Scene
from qemunet_tests.harness.lab import plan


def interface_named_otherwise(scene: Scene) -> Cause | None:
    """netplan says nothing of an interface that is not there: the bridge is made, without it."""
    host = scene.netplan_host
    if host is None or host.station.index(plan.UPLINK) is not None:
        return None
    others = [link.get("ifname") for link in host.station.netlink.get_links()]
    there = ", ".join(name for name in others if name not in ("lo", plan.BRIDGE))
    return Cause(
        f"{host.file.name} is about {plan.UPLINK}, which this host does not have; it has {there or 'none'}",
        "put the name that `ip link` shows into the netplan file",
    )
