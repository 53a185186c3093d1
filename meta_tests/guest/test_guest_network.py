"""The guest's own switch for its network: `qemunet-network`."""

import pytest

from qemunet_tests import images
from qemunet_tests.guest.bench import Bench
from qemunet_tests.modes.user import UserNetdev
from qemunet_tests.qemu.netdev import Nic


@pytest.mark.parametrize("microseconds", [0, 5_000, 10_000, 20_000])
def test_a_network_that_is_down_gets_no_lease_whatever_its_client_was_doing(bench: Bench, microseconds: int) -> None:
    """The client may just have been started, be about to call its hook, or be in it."""
    guest = bench.boot(Nic(UserNetdev()))
    for _ in range(5):
        guest.check(f"qemunet-network up; usleep {microseconds}; qemunet-network down; usleep 300000")
        assert guest.run("ls /run/qemunet/lease.*; ip -4 -o addr show eth0").text == ""
    bench.discard(guest)


def test_the_lease_is_what_the_client_wrote_down(bench: Bench) -> None:
    guest = bench.boot(Nic(UserNetdev()))
    try:
        assert guest.await_lease(0, 10) == guest.read("/run/qemunet/lease.eth0")
        guest.check("qemunet-network down")
        assert guest.await_lease(0, 0.1) is None
    finally:
        bench.discard(guest)


@pytest.mark.parametrize("model", images.profile().nics)
def test_a_thawed_guests_driver_lets_go_of_its_nic_and_takes_it_again(bench: Bench, model: str) -> None:
    """QEMU 7.2 died of it, where a virtio-net had been told not to announce itself."""
    guest = bench.boot(Nic(UserNetdev(), model), network=False)
    try:
        guest.check(
            "nic=$(readlink -f /sys/class/net/eth0/device); cd $nic/driver; echo ${nic##*/} >unbind; "
            "[ ! -e /sys/class/net/eth0 ]; echo ${nic##*/} >bind; qemunet-network up"
        )
        assert guest.await_lease(0, 10)
    finally:
        bench.discard(guest)
