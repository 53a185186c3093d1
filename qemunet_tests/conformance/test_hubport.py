"""What is promised of hubs inside QEMU: peers at their ports, and no guest."""

import pytest

from qemunet_tests.conformance.refusals import assert_refused


@pytest.mark.claim("hubport/missing")
def test_a_port_without_a_hub_is_refused(bench, claim):
    messages = {"": "Parameter 'hubid' is missing", "hubid=1,netdev=nobody": "netdev 'nobody' not found"}
    assert_refused(bench, claim, "hubport", messages)
