"""What is promised of L2TPv3 tunnels: peers at the ends of real backends, and no guest."""

import pytest

from qemunet_tests.conformance.promises import promise
from qemunet_tests.conformance.refusals import assert_refused

ENDS, PORTS = "src=127.0.0.1,dst=127.0.0.1", "srcport=7590,dstport=7591"
BOTH_PORTS = "need both src and dst port for udp"
BOTH_COOKIES = "require both 'rxcookie' and 'txcookie' or neither"


@pytest.mark.parametrize(
    "messages",
    [
        promise(
            "l2tpv3/ports-needed",
            {
                f"{ENDS},udp=on,txsession=1,srcport=7590": BOTH_PORTS,
                f"{ENDS},udp=on,txsession=1,dstport=7591": BOTH_PORTS,
            },
        ),
        promise(
            "l2tpv3/needed",
            {
                f"{ENDS},udp=on,{PORTS}": "Parameter 'txsession' is missing",
                f"src=127.0.0.1,udp=on,{PORTS},txsession=1": "Parameter 'dst' is missing",
            },
        ),
        promise(
            "l2tpv3/cookie-pair",
            {
                f"{ENDS},udp=on,{PORTS},txsession=1,rxcookie=7": BOTH_COOKIES,
                f"{ENDS},udp=on,{PORTS},txsession=1,txcookie=7": BOTH_COOKIES,
            },
        ),
        promise(
            "l2tpv3/own-address",
            {f"src=192.0.2.77,dst=127.0.0.1,udp=on,{PORTS},txsession=1": "could not bind socket err=99"},
        ),
    ],
)
def test_what_cannot_be_is_refused(bench, claim, messages):
    assert_refused(bench, claim, "l2tpv3", messages)
