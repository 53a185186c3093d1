"""What is promised of `-netdev vhost-vdpa`, where no such device is needed."""

import pytest

from qemunet_tests.conformance.refusals import assert_refused, spelled
from qemunet_tests.host import devices


@pytest.mark.claim("vhost-vdpa/default-device")
def test_a_device_is_taken_unasked(bench, claim):
    alone = bench.attempt("-netdev", spelled("vhost-vdpa", ""))
    said = alone.complaints.refusal
    claim.sees(devices.VHOST_VDPA if alone.started or devices.VHOST_VDPA in said else said.rpartition("vdpa: ")[2])
    if claim.observed != claim.expected:
        assert claim.observed == "neither vhostdev= nor vhostfd= was specified", str(alone.complaints)
        claim.deviates(name="demanded")


@pytest.mark.claim("vhost-vdpa/absent")
def test_a_device_that_is_not_there(bench, claim):
    messages = {"vhostdev=/nonexistent": "Could not open '/nonexistent': No such file or directory"}
    assert_refused(bench, claim, "vhost-vdpa", messages)
