"""What user networking keeps of a machine that is saved and loaded."""

import pytest

from qemunet_tests.observe.dhcp_client import client_macs, leases
from qemunet_tests.observe.snapshot import add_disk, load, save


@pytest.mark.claim("user/savevm")
def test_leases_are_saved_and_loaded(user_peer, qemus_folder, claim):
    first, second, third, other = client_macs(4)
    monitor = user_peer.qemu.monitor
    add_disk(monitor, qemus_folder / "disk")
    assert leases(user_peer, [first, second]) == ["10.0.2.15", "10.0.2.16"], "the first leases are others"
    save(monitor)
    assert leases(user_peer, [other]) == ["10.0.2.17"], "the lease after that is another"
    load(monitor)
    got = leases(user_peer, [second, third, first])
    claim.sees(", ".join(got))
    assert claim.observed == claim.expected, f"after loading the second, third and first client get {claim.observed}"
