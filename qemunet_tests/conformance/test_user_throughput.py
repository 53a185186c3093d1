"""That user networking is slower than bridged: the post's reason to use a bridge."""

import pytest

from qemunet_tests.errors import ControlFailed
from qemunet_tests.throughput import quick_ratio


@pytest.mark.claim("user/throughput-below-bridge")
@pytest.mark.lengthy
def test_user_mode_is_slower_than_bridged(bench, lab, claim):
    """By the latest recording of this host and QEMU, else by alternating transfers, two of them in user mode."""
    found = claim.sees(quick_ratio.beside(bench, lab))
    if found.slower is None:
        raise ControlFailed(found.reason)
    assert found.slower, found.reason
