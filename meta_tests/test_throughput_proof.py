"""Rows without proof of path are invalid; what iperf3 says is read from the right end."""

import itertools
import random

import pytest

from qemunet_tests.harness.errors import HarnessError, Unavailable, UsageError
from qemunet_tests.throughput import arms, iperf, proof, schedule, watch
from qemunet_tests.throughput.watch import Tick


def evidence(found="user", counted=1000_000, sent=1020_000, received=1000_000):
    return proof.Evidence("user", found, "QEMU's own host sockets", counted, sent, received)


def test_counters_that_agree_prove_the_path():
    assert proof.objection(evidence()) is None


def test_what_was_in_flight_at_the_end_may_have_passed_or_not():
    assert proof.objection(evidence(counted=1020_000)) is None
    assert proof.objection(evidence(counted=1000_000, sent=1300_000)) is None


def test_another_backend_behind_the_name_is_named():
    assert "monitor shows tap, not user" in proof.objection(evidence(found="tap"))
    assert "shows none" in proof.objection(evidence(found=""))


@pytest.mark.parametrize("counted", [0, 900_000, 1200_000])
def test_counters_that_disagree_are_no_proof(counted):
    assert "counters mismatch" in proof.objection(evidence(counted=counted))


def test_headers_are_no_payload():
    assert proof.payload(1514 * 1000, 1000) == 1448 * 1000
    assert proof.payload(0, 0) == 0


@pytest.mark.parametrize("version", ["3.16", "3.17"])
def test_versions_that_crash_are_refused(version):
    with pytest.raises(Unavailable, match=version):
        iperf.usable(f"iperf {version} (cJSON 1.7.15)", "this host's")


def test_usable_versions_and_different_ones():
    assert iperf.usable("iperf 3.12 (cJSON 1.7.15)\nLinux", "this host's") == "3.12"
    assert iperf.usable("iperf 3.18 (cJSON 1.7.15)", "this host's") == "3.18"
    iperf.require_same("3.12", "3.12")
    with pytest.raises(Unavailable, match=r"3\.18 on this host and 3\.12"):
        iperf.require_same("3.18", "3.12")


def ends(received_bytes=(100, 200, 300, 400)):
    intervals = [
        {"sum": {"start": n * 0.25, "end": (n + 1) * 0.25, "bytes": count}} for n, count in enumerate(received_bytes)
    ]
    receiver = {"intervals": intervals, "end": {"sum_sent": {"bytes": 0}}}
    client = {"intervals": [], "end": {"sum_sent": {"bytes": 1100, "retransmits": 3}, "sum_received": {"bytes": 1000}}}
    return client, receiver


def test_goodput_is_the_receivers_without_the_first_half_second():
    client, server = ends()
    found = iperf.flow(client, server, "g2h", 0.5)
    assert found.mbit_per_second == pytest.approx(700 * 8 / 0.5 / 1e6)
    assert (found.sent_bytes, found.received_bytes, found.retransmits) == (1100, 1000, 3)
    assert found.stalls == 0
    assert iperf.flow(*ends((1, 0, 0, 5)), "g2h", 0.5).stalls == 2


def test_a_transfer_that_is_too_short_is_no_measurement():
    with pytest.raises(HarnessError, match="less than"):
        iperf.flow(*ends((1,)), "g2h", 0.5)


def test_iperf3s_own_complaint_is_quoted():
    with pytest.raises(HarnessError, match="unable to connect"):
        iperf.parse('{"start": {}, "error": "unable to connect to server"}', "guest")
    with pytest.raises(HarnessError, match="no whole JSON"):
        iperf.parse('{"start": ', "guest")


def test_cpu_cost_is_that_of_the_steady_part():
    ticks = [Tick(n * 0.1, 10 + n * 0.05, 0.0, n * 10_000_000) for n in range(11)]
    assert watch.cpu_seconds_per_gb(ticks, 0.5) == pytest.approx(5.0)
    assert watch.cpu_seconds_per_gb([], 0.5) is None
    assert watch.cpu_seconds_per_gb([Tick(0, 0, 0, 0), Tick(1, 1, 0, 10)], 0.5) is None


def test_where_nobody_looked_in_time_the_rest_must_do():
    ticks = [Tick(1.0, 1.0, 0.0, 50_000_000), Tick(1.2, 1.2, 0.0, 100_000_000)]
    assert watch.cpu_seconds_per_gb(ticks, 0.5) == pytest.approx(4.0)


def test_arms_that_are_compared_are_neighbours_in_every_block():
    plan = arms.make_plan(["user", "bridge"], ["virtio-net", "e1000"])
    chance = random.Random(1)
    orders = set()
    for _ in range(20):
        order = list(schedule.block(plan, schedule.DIRECTIONS, chance))
        assert sorted((arm.key, direction) for arm, direction in order) == sorted(
            (arm.key, direction) for arm in plan.arms for direction in ("g2h", "h2g")
        )
        groups = [(arm.nic, direction) for arm, direction in order]
        assert sum(left != right for left, right in itertools.pairwise(groups)) == 3
        orders.add(tuple(arm.name for arm, _ in order))
    assert len(orders) > 1


def test_every_plan_has_an_a_a_arm_and_compares_with_user():
    plan = arms.make_plan(["user", "bridge", "tap"], ["e1000"])
    assert [(pair.upper.name, pair.lower.name) for pair in plan.pairs] == [
        ("bridge", "user"),
        ("tap", "user"),
        ("user-again", "user"),
    ]
    assert plan.pairs[-1].is_twin


def test_a_baseline_is_compared_arm_by_arm():
    plan = arms.make_plan(["user"], ["e1000"], baseline=True)
    assert ("user", "user-baseline") in [(pair.upper.name, pair.lower.name) for pair in plan.pairs]


@pytest.mark.parametrize(("ways", "nics"), [(["usr"], ["e1000"]), (["user"], ["ne2000"])])
def test_unknown_arms_and_nics_are_the_users_mistake(ways, nics):
    with pytest.raises(UsageError, match=r"there is no arm|no driver"):
        arms.make_plan(ways, nics)
