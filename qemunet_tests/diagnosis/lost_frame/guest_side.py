"""Causes inside the guest and at its NIC."""

import re

from qemunet_tests.deadline import Deadline
from qemunet_tests.diagnosis.failure import Failure
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.observe.nic import carrier, interfaces

#: A line of `info usernet`: protocol, descriptor, host address and port, and then the guest's.
FORWARD = re.compile(r"HOST_FORWARD\]\s+\d+\s+\S+\s+\d+\s+(\S+)")
#: An e1000 negotiates for so long under KVM.
LINK_SECONDS = 1.0
OWN_ADDRESS = re.compile(r"inet (\S+)/")


def unplugged(failure: Failure) -> Obstacle | None:
    """A NIC without carrier, or no NIC at all."""
    guest = failure.guest
    if guest is None or not guest.nics:
        return None
    if not interfaces(guest):
        model = guest.nics[0].model
        return Obstacle(f"the guest sees no NIC: its kernel has no driver for {model}", "use another NIC model")
    # A link that is slow to come up, or not up yet, is no pulled cable.
    in_time = Deadline(guest.pace.seconds(LINK_SECONDS), "the link to come up")
    if in_time.sees(lambda: carrier(guest) is not False, interval_seconds=0.1):
        return None
    return Obstacle(
        "the cable of the guest's NIC is unplugged: it has no carrier", "in QEMU's monitor: set_link net0 on"
    )


def ignores_ping(failure: Failure) -> Obstacle | None:
    """A setting of the guest's own kernel."""
    if failure.guest is None or failure.guest.run("cat /proc/sys/net/ipv4/icmp_echo_ignore_all").text != "1":
        return None
    return Obstacle("the guest itself ignores echo requests", "in the guest: sysctl -w net.ipv4.icmp_echo_ignore_all=0")


def address_gone(failure: Failure) -> Obstacle | None:
    """A guest that has not the address any more that its DHCP client was given: whoever calls it there is not heard."""
    got = failure.lan_lease if failure.guest else None
    if failure.guest is None or got is None:
        return None
    own = OWN_ADDRESS.findall(failure.guest.check("ip -4 -o addr show scope global"))
    if got.address in own:
        return None
    return Obstacle(
        f"the guest has {' and '.join(own) or 'no address'} now, and not {got.address}, which its DHCP client was "
        "given: something in the guest took that away",
        "see what else than its DHCP client manages the guest's interface: ip addr, ps",
    )


def forward_elsewhere(failure: Failure) -> Obstacle | None:
    """A forward does not follow the guest: it leads to an address, whoever has it."""
    if failure.guest is None or failure.on_lan:
        return None
    aims = FORWARD.findall(failure.guest.monitor.ask("info usernet"))
    own = OWN_ADDRESS.findall(failure.guest.check("ip -4 -o addr show scope global"))
    missed = [aim for aim in aims if aim not in own]
    if not missed:
        return None
    return Obstacle(
        f"a forward leads to {missed[0]}, and the guest has {' and '.join(own) or 'no address'}",
        f"name the guest's address in the rule: hostfwd=tcp::PORT-{own[0] if own else 'ADDRESS'}:PORT",
    )
