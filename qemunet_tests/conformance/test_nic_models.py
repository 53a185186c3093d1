"""Every model of NIC, plugged into a guest: it has to find it, to drive it, and to reach others by it."""

import pytest

from qemunet_tests.conformance.promises import promise
from qemunet_tests.guest.plugging import MAC
from qemunet_tests.network.target import Endpoint
from qemunet_tests.observe.lease import known_to_server, lease
from qemunet_tests.observe.nic import carrier, seen_nic
from qemunet_tests.observe.tcp import bulk

SIZE_BYTES = 1024 * 1024
#: Of a machine that is not slowed down: a guest notices a NIC and loads its driver.
FOUND_SECONDS = 2.0

#: Once, with QEMU 10.0.13 on a busy machine, a guest received nothing any more after a burst, and went on sending. By
#: QEMU's hw/net/ne2000.c this card, whose ring holds eight full frames, tells of no overflow (ENISR_OVER): where a slow
#: driver acknowledges the last frame it knows of while the ring fills, nobody empties it. So bursts are kept shorter.
WINDOW_BYTES = {"ne2k_pci": 8192}


def echo(mode, target):
    """A service that whoever has a NIC of that mode reaches."""
    return Endpoint("10.0.2.2", target.loopback_echo.port) if mode == "user" else target.neighbour_echo


def its_mac(mode, target, seen, got):
    """Whether the guest, and the server that leased it an address, know it by the MAC that was asked for."""
    known = mode == "user" or known_to_server(target, MAC) == got.address
    return "its MAC" if (seen.mac, known) == (MAC, True) else f"{seen.mac}{'' if known else ', which nobody leased'}"


@pytest.mark.parametrize(("mode", "told"), [("user", "interface"), ("bridge", "address")], ids=["user", "bridge"])
@pytest.mark.parametrize(
    "model",
    [
        promise("nic/virtio-net-pci", "virtio-net-pci"),
        promise("nic/virtio-net-pci-transitional", "virtio-net-pci-transitional"),
        promise("nic/virtio-net-pci-non-transitional", "virtio-net-pci-non-transitional"),
        promise("nic/e1000", "e1000"),
        promise("nic/e1000-82544gc", "e1000-82544gc"),
        promise("nic/e1000-82545em", "e1000-82545em"),
        promise("nic/e1000e", "e1000e"),
        promise("nic/igb", "igb"),
        promise("nic/rtl8139", "rtl8139"),
        promise("nic/vmxnet3", "vmxnet3"),
        promise("nic/pcnet", "pcnet"),
        promise("nic/ne2k-pci", "ne2k_pci"),
        promise("nic/tulip", "tulip"),
        promise("nic/usb-net", "usb-net"),
        promise("nic/i82550", "i82550"),
        promise("nic/i82557a", "i82557a"),
        promise("nic/i82557b", "i82557b"),
        promise("nic/i82557c", "i82557c"),
        promise("nic/i82558a", "i82558a"),
        promise("nic/i82558b", "i82558b"),
        promise("nic/i82559a", "i82559a"),
        promise("nic/i82559b", "i82559b"),
        promise("nic/i82559c", "i82559c"),
        promise("nic/i82559er", "i82559er"),
        promise("nic/i82562", "i82562"),
        promise("nic/i82801", "i82801"),
    ],
)
def test_a_guest_drives_every_model(plugged, network, target, claim, mode, told, model):
    guest = plugged(mode, model)
    seen = seen_nic(guest, FOUND_SECONDS)
    claim.sees(f"{seen.driver or 'nobody'} drives {seen.device or 'it'}")
    assert claim.expected.startswith(f"{claim.observed}:"), f"of the {model} {claim.observed}"
    guest.check(guest.tools.network_up)
    got = lease(guest)
    assert got, f"{claim.observed}: it got no lease"
    link = "a link" if carrier(guest) else "no link"
    given = "a lease" if network.leases(getattr(got, told)) else f"a lease of {got.interface}"
    transfer = bulk(guest, echo(mode, target).by("TCP"), SIZE_BYTES, window_bytes=WINDOW_BYTES.get(model))
    passed = "1 MiB there and back" if transfer.intact else str(transfer)
    guest.check(guest.tools.network_down)
    claim.sees(f"{claim.observed}: {its_mac(mode, target, seen, got)}, {link}, {given}, {passed}")
    assert claim.observed == claim.expected, f"of the {model} {claim.observed}"
