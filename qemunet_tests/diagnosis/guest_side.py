"""Causes inside the guest and at its NIC."""

from qemunet_tests.diagnosis.cause import Cause
from qemunet_tests.diagnosis.scene import Scene
from qemunet_tests.observe.links import carrier, interfaces


def unplugged(scene: Scene) -> Cause | None:
    """A NIC without carrier, or no NIC at all."""
    if scene.guest is None or not scene.guest.nics:
        return None
    if not interfaces(scene.guest):
        model = scene.guest.nics[0].model
        return Cause(f"the guest sees no NIC: its kernel has no driver for {model}", "use another NIC model")
    if carrier(scene.guest):
        return None
    return Cause("the cable of the guest's NIC is unplugged: it has no carrier", "in QEMU's monitor: set_link net0 on")


def ignores_ping(scene: Scene) -> Cause | None:
    """A setting of the guest's own kernel."""
    if scene.guest is None or scene.guest.run("cat /proc/sys/net/ipv4/icmp_echo_ignore_all").text != "1":
        return None
    return Cause("the guest itself ignores echo requests", "in the guest: sysctl -w net.ipv4.icmp_echo_ignore_all=0")
