"""Faults of user networking: the resolver, ports, the ping gate, the guest's cable."""

import socket

from meta_tests.faults.fault import BRIDGE_SENTINELS, fault
from qemunet_tests.harness.bench import Bench
from qemunet_tests.harness.guest import Guest
from qemunet_tests.harness.lab import Lab
from qemunet_tests.harness.netdev import User

_held: list[socket.socket] = []


@fault(
    "user/dns-resolves",
    cause=r"the resolver 192\.168\.1\.254, .* does not answer",
    sentinels=BRIDGE_SENTINELS,
    core=True,
)
def resolver_dead(lab: Lab) -> None:
    """The first resolver of the host's resolv.conf is dead."""
    lab.resolvers[lab.router].stop()


@fault("user/hostfwd-ssh-2222", cause="port 2222 is taken by", sentinels=BRIDGE_SENTINELS, core=True)
def port_taken(lab: Lab) -> None:
    """Something listens on port 2222 of the host."""
    listener = lab.host.open_socket()
    listener.bind(("", 2222))
    listener.listen()
    _held.append(listener)


@fault("user/address", "user/e1000", cause="the cable of the guest's NIC is unplugged",
       sentinels=BRIDGE_SENTINELS, core=True)  # fmt: skip
def nic_unplugged(guest: Guest, bench: Bench) -> None:
    """The cable was out when the guest configured its network."""
    if isinstance(guest.nics[0].netdev, User):
        guest.check("qemunet-network down; rm -f /run/qemunet/lease.*")
        guest.unplug()
        guest.check("qemunet-network up")


@fault("user/icmp-outside-closed", cause="ping_group_range", sentinels=BRIDGE_SENTINELS, core=True)
def ping_gate_open(lab: Lab) -> None:
    """The host lets every group that exists here open ping sockets, where the claim is about a closed gate."""
    from qemunet_tests.harness.identity import unprivileged

    gid = unprivileged().gid
    lab.host.set_sysctl("net.ipv4.ping_group_range", f"{gid} {gid}")


@fault("user/not-reachable-unforwarded", cause="QEMU forwards a port", sentinels=BRIDGE_SENTINELS)
def forward_added(guest: Guest, bench: Bench) -> None:
    """A guest that should have no forwards has one."""
    if isinstance(guest.nics[0].netdev, User):
        guest.monitor.ask("hostfwd_add tcp::2223-:22")


@fault("user/reach-outside-tcp", "user/reach-outside-udp", cause="the host itself does not reach 203.0.113.10",
       sentinels=BRIDGE_SENTINELS)  # fmt: skip
def outside_cut_off(lab: Lab) -> None:
    """The router has lost its line to the outside."""
    lab.router.bring_down("wan0")
