"""Faults of bridged networking: the helper, its access list, the bridge, its uplink, the LAN, a neighbour's guest."""

from meta_tests.faults.fault import USER_SENTINELS, fault
from qemunet_tests.harness.bench import Bench
from qemunet_tests.harness.guest import Guest
from qemunet_tests.harness.lab import Lab, files, plan
from qemunet_tests.harness.netdev import Bridge, Nic
from qemunet_tests.harness.syscalls import mount
from qemunet_tests.observe.backend import tap_of

LEASE_CLAIMS = (
    "bridge/lease-address",
    "bridge/lease-gateway",
    "bridge/lease-dns",
    "bridge/lease-known-to-server",
)


@fault("bridge/lease-address", "bridge/reachable-ping", cause="no DHCP server answers on the LAN behind br0",
       sentinels=USER_SENTINELS, core=True)  # fmt: skip
def no_dhcp_server(lab: Lab) -> None:
    """The LAN has no DHCP server."""
    lab.dhcp.stop()


@fault("bridge/acl-allow", "bridge/lease-address", cause="allows no bridge called br0",
       sentinels=USER_SENTINELS, core=True)  # fmt: skip
def acl_without_the_bridge(lab: Lab) -> None:
    """The helper's access list allows another bridge only."""
    files.allow_bridges("virbr0")


@fault("bridge/acl-not-listed", cause="allows every bridge", sentinels=USER_SENTINELS)
def acl_allows_all(lab: Lab) -> None:
    """The helper's access list allows whatever is asked for."""
    files.replace("qemu/bridge.conf", "allow all\n")


@fault("bridge/helper-found", "bridge/acl-allow", cause="does not exist", sentinels=USER_SENTINELS)
def helper_missing(lab: Lab) -> None:
    """The package with the bridge helper is not installed."""
    mount("nothing", "/usr/lib/qemu", "tmpfs")


@fault(
    "bridge/lease-address",
    "bridge/bulk-both-ways",
    cause="the bridge br0 is down",
    sentinels=USER_SENTINELS,
    core=True,
)
def bridge_down(lab: Lab) -> None:
    """The bridge is down; QEMU and the helper say nothing about it."""
    lab.host.bring_down(plan.BRIDGE)


@fault("bridge/lease-address", cause="the bridge br0 has no uplink", sentinels=USER_SENTINELS)
def uplink_taken_out(lab: Lab) -> None:
    """The host's interface was taken out of the bridge."""
    lab.host.netlink.link("set", index=lab.host.index(plan.UPLINK), master=0)


@fault("bridge/lease-address", cause="the uplink enp0s25 of br0 has no carrier", sentinels=USER_SENTINELS)
def uplink_without_carrier(lab: Lab) -> None:
    """Somebody pulled the cable between host and switch."""
    lab.switch.bring_down("to-host")


@fault("bridge/bulk-both-ways", cause="another QEMU .* the same MAC",
       sentinels=(*USER_SENTINELS, "bridge/helper-found"), core=True)  # fmt: skip
def one_mac_twice(guest: Guest, bench: Bench) -> None:
    """A second guest on the bridge has the same MAC, and talks."""
    if not isinstance(guest.nics[0].netdev, Bridge) or guest.nics[0].mac:
        return
    twin = bench.boot(Nic(guest.nics[0].netdev, guest.nics[0].model, guest.macs[0]))
    twin.check("until [ -f /run/qemunet/lease.eth0 ]; do sleep 0.1; done")
    twin.check(f"setsid ping -i 0.002 {plan.NEIGHBOUR} >/dev/null 2>&1 &")


@fault("bridge/backend-is-tap-in-bridge", cause="is in no bridge instead of br0", sentinels=USER_SENTINELS)
def tap_taken_out(guest: Guest, bench: Bench) -> None:
    """Something like NetworkManager took the guest's tap out of the bridge."""
    tap = tap_of(guest)
    if tap:
        bench.station.netlink.link("set", index=bench.station.index(tap), master=0)


@fault(
    "bridge/reachable-ssh",
    cause="Connection refused|Unable to connect|refused",
    sentinels=("bridge/lease-address", *USER_SENTINELS),
)
def no_sshd(guest: Guest, bench: Bench) -> None:
    """The guest's SSH service is not running."""
    guest.check("killall dropbear")


@fault(
    "bridge/reachable-ping",
    cause="the guest itself ignores echo requests",
    sentinels=("bridge/lease-address", *USER_SENTINELS),
)
def guest_ignores_ping(guest: Guest, bench: Bench) -> None:
    """The guest's own firewall drops echo requests."""
    guest.check("echo 1 > /proc/sys/net/ipv4/icmp_echo_ignore_all")
