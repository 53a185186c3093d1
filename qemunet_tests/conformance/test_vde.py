"""What is promised of `-netdev vde`: peers at the ports of a real switch, and no guest."""

import pytest

from qemunet_tests.conformance.refusals import assert_refused


@pytest.mark.claim("vde/switch-absent")
def test_a_switch_that_is_not_there(bench, claim):
    assert_refused(bench, claim, "vde", {"sock=/nonexistent": "Could not open vde: No such file or directory"})
