"""Netdevs and NICs are spelled as QEMU reads them."""

from dataclasses import replace

import pytest

from qemunet_tests import images
from qemunet_tests.guest.bench import Bench
from qemunet_tests.modes.bridge import BridgeNetdev
from qemunet_tests.modes.user import UserNetdev
from qemunet_tests.observe.lease import lease
from qemunet_tests.qemu.netdev import DEFAULT_NIC_MODEL, Netdev, Nic


@pytest.mark.parametrize(
    ("netdev", "spelled"),
    [
        (UserNetdev(), "user,id=net0"),
        (UserNetdev(hostfwd=("tcp::2222-:22",)), "user,id=net0,hostfwd=tcp::2222-:22"),
        (
            UserNetdev(
                hostfwd=("tcp::2222-:22", "udp:127.0.0.1:53-10.0.2.15:53"), options=("ipv6=off", "net=10.9.0.0/24")
            ),
            "user,id=net0,hostfwd=tcp::2222-:22,hostfwd=udp:127.0.0.1:53-10.0.2.15:53,ipv6=off,net=10.9.0.0/24",
        ),
        (BridgeNetdev(), "bridge,id=net0,br=br0"),
        (BridgeNetdev("virbr0", options=("helper=/opt/helper",)), "bridge,id=net0,br=virbr0,helper=/opt/helper"),
    ],
)
def test_a_netdev_is_spelled(netdev: Netdev, spelled: str) -> None:
    assert netdev.spell("net0") == spelled


def test_a_nic_is_its_netdev_and_its_device() -> None:
    assert Nic(UserNetdev(), "e1000").spell("net3", "52:54:00:71:00:01") == [
        "-netdev",
        "user,id=net3",
        "-device",
        "e1000,netdev=net3,mac=52:54:00:71:00:01,romfile=",
    ]


def test_values_are_values() -> None:
    assert Nic(UserNetdev()) == Nic(UserNetdev(), DEFAULT_NIC_MODEL)
    assert len({UserNetdev(), UserNetdev(), BridgeNetdev(), BridgeNetdev("br1")}) == 3


@pytest.mark.parametrize("model", images.profile().nics)
def test_qemu_takes_every_model(bench: Bench, model: str) -> None:
    words = Nic(UserNetdev(), model).spell("net0", "52:54:00:71:ff:01")
    machine = ["-M", bench.qemu.machine, "-S"]
    assert bench.attempt(*machine, *words).started


@pytest.mark.parametrize(
    "netdev", [UserNetdev(hostfwd=("tcp:127.0.0.1:2222-:22", "udp::5353-:53"), options=("ipv6=off",)), BridgeNetdev()]
)
def test_qemu_takes_every_netdev(bench: Bench, netdev: Netdev) -> None:
    assert bench.attempt(netdevs=[netdev]).started


@pytest.mark.parametrize(
    "netdev",
    [
        UserNetdev(hostfwd=("tcp::2222",)),
        UserNetdev(options=("no-such-option=1",)),
        UserNetdev(options=("net=10.0.2.0/24", "host=10.0.3.2")),
        BridgeNetdev("no-such-bridge"),
        BridgeNetdev(options=("helper=/no/such/helper",)),
    ],
)
def test_qemu_refuses_what_is_wrong(bench: Bench, netdev: Netdev) -> None:
    attempt = bench.attempt(netdevs=[netdev])
    assert (attempt.started, attempt.status) == (False, 1)
    assert "-netdev" in attempt.message


@pytest.mark.slow
def test_a_guest_is_at_home_on_the_other_pc(bench: Bench) -> None:
    """Where the documented PC is gone or to be deleted, q35 is what is left."""
    with bench.varied(qemu=replace(bench.qemu, machine="q35")):
        guest = bench.boot(Nic(UserNetdev()), cold=True)
    assert (got := lease(guest))
    assert got.address == "10.0.2.15"
