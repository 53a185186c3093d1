"""What is promised of frames that travel as datagrams: peers at the ends of real backends, and no guest."""

import pytest

from qemunet_tests.conformance.promises import promise
from qemunet_tests.conformance.refusals import assert_refused
from qemunet_tests.modes import dgram


@pytest.mark.claim("dgram/remote-optional")
def test_the_remote_end_may_be_left_out(bench, target, claim):
    port = dgram.tunnel(target.host)[0].local_port
    words = f"dgram,id=alone,local.type=inet,local.host=127.0.0.1,local.port={port}"
    alone = bench.attempt("-netdev", words)
    claim.sees("QEMU starts" if alone.started else alone.complaints.refusal.rpartition(": ")[2])
    if not alone.started:
        assert alone.complaints.refusal.endswith("requires remote parameter"), str(alone.complaints)
        claim.deviates(name="demanded")


@pytest.mark.parametrize(
    "messages",
    [
        promise(
            "dgram/local-missing",
            {
                "": "dgram requires local= parameter",
                "remote.type=inet,remote.host=127.0.0.1,remote.port=7390": "dgram requires local= parameter",
            },
        ),
        promise(
            "dgram/types-differ",
            {
                "local.type=inet,local.host=127.0.0.1,local.port=7390,remote.type=unix,remote.path=nobody": "remote and"
                " local types must be the same",
                "local.type=fd,local.str=0,remote.type=unix,remote.path=nobody": "don't set remote with local.fd",
            },
        ),
    ],
)
def test_what_cannot_be_is_refused(bench, claim, messages):
    assert_refused(bench, claim, "dgram", messages)
