"""Hosts that are well, each in its own way, raise no alarm in a whole run: with libvirt, containers, VPNs, behind NAT.

The doctor's part is in meta_tests/doctor/test_doctor_of_packets.py.
"""

import pytest

from meta_tests.doctor.test_doctor_of_packets import NEIGHBOURS, NOT_BOTH, VPNS
from meta_tests.faults.on_hosts.troubles import FIREWALL, IN_VIRBR0, LETS_VIRBR0, OUTSIDE, TRANSLATED
from meta_tests.samples.host_machine import PEER, HostMachine

ON_THE_LAN = ("--bridge", "br0", "--peer", PEER)
#: A firewall that lets guests of libvirt's network pass, as that one's own rules do.
HOSTS = {
    "firewalled": (FIREWALL, ON_THE_LAN),
    "beside libvirt, containers and VPNs": (FIREWALL + NEIGHBOURS + VPNS + NOT_BOTH + "true", ON_THE_LAN),
    "translated": (TRANSLATED, IN_VIRBR0),
    "translated and firewalled": (LETS_VIRBR0 + TRANSLATED, IN_VIRBR0),
}  # fmt: skip


def alarms(machine: HostMachine, words: tuple[str, ...], uid: int | None) -> dict[str, tuple[str, str]]:
    verdicts = machine.run(*words, uid=uid)
    assert machine.status == 0 or any(each["verdict"] in ("broken", "inconclusive") for each in verdicts.values())
    return {
        claim: (each["verdict"], str(each["reason"]))
        for claim, each in verdicts.items()
        if each["verdict"] in ("broken", "inconclusive")
    }


@pytest.mark.slow
@pytest.mark.parametrize("uid", [0, None], ids=["root", "a user"])
@pytest.mark.parametrize("name", HOSTS)
def test_no_alarm_in_a_whole_run(machine: HostMachine, name: str, uid: int | None) -> None:
    typed, words = HOSTS[name]
    machine.type(typed)
    machine.type_at_lan(OUTSIDE)
    assert alarms(machine, words, uid) == {}, machine.said
    assert not machine.leftovers()


def test_a_translated_network_needs_no_uplink(machine: HostMachine) -> None:
    """libvirt's default network is a bridge as well, and the host itself is its router and its DHCP server."""
    machine.type(TRANSLATED)
    machine.type_at_lan(OUTSIDE)
    assert alarms(machine, (*IN_VIRBR0, "bridge/lease-address", "bridge/reach-outside"), 0) == {}, machine.said
