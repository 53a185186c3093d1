"""What is promised of `-netdev tap`: peers, the kernel, and no guest."""

import pytest

from qemunet_tests.conformance.refusals import assert_refused

#: As QEMU 7.2 and as QEMU 11.1 says it.
OPENED = (
    "ifname=, script=, downscript=, vnet_hdr=, helper=, queues=, fds=, and vhostfds= are invalid with fd=",
    "ifname=, script=, downscript=, vnet_hdr= are invalid with fd=/fds=/helper=",
)


@pytest.mark.claim("tap/fd-exclusive")
def test_what_is_open_is_not_opened(bench, claim):
    messages = {"fd=0,ifname=ready77": OPENED, "fd=0,vnet_hdr=off": OPENED}
    assert_refused(bench, claim, "tap", messages)
