"""What is promised of `-netdev tap`: peers, the kernel, and no guest."""

import pytest

from qemunet_tests.conformance.refusals import assert_refused

OPENED = "ifname=, script=, downscript=, vnet_hdr=, helper=, queues=, fds=, and vhostfds= are invalid with fd="


@pytest.mark.claim("tap/fd-exclusive")
def test_what_is_open_is_not_opened(bench, claim):
    messages = {"fd=0,ifname=ready77": OPENED, "fd=0,vnet_hdr=off": OPENED}
    assert_refused(bench, claim, "tap", messages)
