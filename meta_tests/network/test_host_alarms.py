"""A healthy host raises no alarm, however often it is asked.

`QEMUNET_HEALTHY_RUNS=3 pytest meta_tests/network/test_host_alarms.py` asks three times instead of twenty.
"""

import os
from collections.abc import Iterator

import pytest

from meta_tests.samples.host_machine import PEER, HostMachine

RUNS = int(os.environ.get("QEMUNET_HEALTHY_RUNS", "20"))


@pytest.fixture(scope="module")
def healthy() -> Iterator[HostMachine]:
    made = HostMachine()
    yield made
    made.close()


@pytest.mark.slow
@pytest.mark.parametrize("number", range(1, RUNS + 1))
def test_no_alarm(healthy: HostMachine, number: int) -> None:
    verdicts = healthy.run("--bridge", "br0", "--peer", PEER)
    alarms = {claim: each for claim, each in verdicts.items() if each["verdict"] in ("broken", "inconclusive")}
    assert not alarms, f"run {number}: {alarms}"
    assert healthy.status == 0
    held = [claim for claim, each in verdicts.items() if each["verdict"] in ("holds", "deviates")]
    # A run that tried nothing would raise no alarm either.
    assert {claim.partition("/")[0] for claim in held} >= {"user", "bridge"}
    assert len(held) > 30, healthy.said
    assert not healthy.leftovers()
