"""The guest's own switch for its network: `qemunet-network`."""

import pytest

from qemunet_tests.harness.bench import Bench
from qemunet_tests.harness.netdev import Nic, User


@pytest.mark.parametrize("microseconds", [0, 5_000, 10_000, 20_000])
def test_a_network_that_is_down_gets_no_lease_whatever_its_client_was_doing(bench: Bench, microseconds: int) -> None:
    """The client may just have been started, be about to call its hook, or be in it."""
    guest = bench.boot(Nic(User()))
    for _ in range(5):
        guest.check(f"qemunet-network up; usleep {microseconds}; qemunet-network down; usleep 300000")
        assert guest.run("ls /run/qemunet/lease.*; ip -4 -o addr show eth0").text == ""
    bench.discard(guest)
