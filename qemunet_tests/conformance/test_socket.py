"""What is promised of `-netdev socket`: peers at the ends of real backends, and no guest."""

import pytest

from qemunet_tests.conformance.promises import promise
from qemunet_tests.conformance.refusals import assert_refused, spelled

ONE = "exactly one of listen=, connect=, mcast= or udp= is required"


@pytest.mark.parametrize(
    "messages",
    [
        promise("socket/exactly-one", {"": ONE, "listen=127.0.0.1:7490,connect=127.0.0.1:7491": ONE}),
        promise(
            "socket/address-syntax",
            {
                "listen=7490": "host address '7490' doesn't contain ':' separating host from port",
                "connect=127.0.0.1:http": "port number 'http' is invalid",
            },
        ),
        promise(
            "socket/udp-bad",
            {
                "udp=127.0.0.1:7490": "localaddr= is mandatory with udp=",
                "listen=127.0.0.1:7490,localaddr=127.0.0.1": "localaddr= is only valid with mcast= or udp=",
            },
        ),
        promise(
            "socket/not-multicast",
            {"mcast=192.0.2.4:7490": "specified mcastaddr 192.0.2.4 (0xc0000204) does not contain a multicast address"},
        ),
    ],
)
def test_what_cannot_be_is_refused(bench, target, claim, messages):  # noqa: ARG001
    assert_refused(bench, claim, "socket", messages)


@pytest.mark.claim("socket/ipv6")
def test_two_qemus_meet_by_ipv6(bench, target, claim):
    alone = bench.attempt("-netdev", spelled("socket", f"listen=[::1]:{target.host.free_port('tcp', 7400)}"))
    claim.sees("QEMU starts" if alone.started else alone.complaints.refusal.rpartition(": ")[2])
    if not alone.started:
        assert "can't resolve host address '['" in claim.observed, str(alone.complaints)
        claim.deviates()
