"""Rows without proof of path are invalid; what iperf3 says is read from the right end."""

import contextlib
import itertools
import os
import random
import socket
import time
from typing import Any

import pytest

from qemunet_tests.errors import HarnessError, Unavailable, UsageError
from qemunet_tests.throughput import clock, iperf, path_proof, sampler, schedule, sockets, variants
from qemunet_tests.throughput.sampler import Tick


def evidence(found="user", counted=1000_000, sent=1020_000, received=1000_000):
    return path_proof.Evidence("user", found, "QEMU's own host sockets", counted, sent, received)


def test_counters_that_agree_prove_the_path():
    assert path_proof.objection(evidence()) is None


def test_what_was_in_flight_at_the_end_may_have_passed_or_not():
    assert path_proof.objection(evidence(counted=1020_000)) is None
    assert path_proof.objection(evidence(counted=1000_000, sent=1300_000)) is None


def test_another_backend_behind_the_name_is_named():
    assert "monitor shows tap, not user" in path_proof.objection(evidence(found="tap"))
    assert "shows none" in path_proof.objection(evidence(found=""))


@pytest.mark.parametrize("counted", [0, 900_000, 1200_000])
def test_counters_that_disagree_are_no_proof(counted):
    assert "counters mismatch" in path_proof.objection(evidence(counted=counted))


def test_a_guests_own_nic_must_agree_as_well():
    def between(**nics):
        return path_proof.Evidence("stream", "stream", "the connection", 1000_000, 1020_000, 1000_000, nics)

    assert path_proof.objection(between(near=1010_000, far=1000_000)) is None
    assert "the far guest's NIC counted 500000" in path_proof.objection(between(near=1000_000, far=500_000))


@pytest.mark.parametrize("direction", ["g2h", "h2g"])
def test_what_nics_counted_is_told_by_direction(direction):
    sends, takes = path_proof.NicCount(100_066, 1, 66, 1), path_proof.NicCount(66, 1, 100_066, 1)
    zero = path_proof.NicCount(0, 0, 0, 0)
    before = path_proof.Counts(None, (zero, zero))
    after = path_proof.Counts(None, (sends, takes) if direction == "g2h" else (takes, sends))
    assert after.payload_since(before, direction) == {"near": 100_000, "far": 100_000}
    assert after.packets_since(before, direction) == 1


def test_what_was_sent_again_is_counted_by_a_tap_and_by_no_socket():
    def seen(again):
        return path_proof.Evidence("tap", "tap", "the tap", 34_951_536, 29_222_088, 27_230_400, None, again)

    assert path_proof.objection(seen(5198 * 1460)) is None
    assert "counters mismatch" in path_proof.objection(seen(0))


def test_headers_are_no_payload():
    assert path_proof.payload(1514 * 1000, 1000) == 1448 * 1000
    assert path_proof.payload(0, 0) == 0


@pytest.mark.parametrize("version", ["3.16", "3.17"])
def test_versions_that_crash_are_refused(version):
    with pytest.raises(Unavailable, match=version):
        iperf.usable(f"iperf {version} (cJSON 1.7.15)", "this host's")


def test_usable_versions():
    assert iperf.usable("iperf 3.12 (cJSON 1.7.15)\nLinux", "this host's") == "3.12"
    assert iperf.usable("iperf 3.18 (cJSON 1.7.15)", "this host's") == "3.18"


def ends(received_bytes: tuple[int, ...] = (100, 200, 300, 400)) -> tuple[dict[str, Any], dict[str, Any]]:
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


def test_a_transfer_that_stalls_is_no_rate():
    assert "nothing arrived after the first 0.5 s" in iperf.objection(iperf.flow(*ends((9, 9, 0, 0)), "g2h", 0.5), 0.5)
    assert iperf.objection(iperf.flow(*ends(), "g2h", 0.5), 0.5) is None


def test_iperf3s_own_complaint_is_quoted():
    with pytest.raises(HarnessError, match="unable to connect"):
        iperf.parse('{"start": {}, "error": "unable to connect to server"}', "guest")
    with pytest.raises(HarnessError, match="no whole JSON"):
        iperf.parse('{"start": ', "guest")


def test_cpu_cost_is_that_of_the_steady_part():
    ticks = [Tick(n * 0.1, 10 + n * 0.05, 0.0, n * 10_000_000) for n in range(11)]
    assert sampler.cpu_seconds_per_gb(ticks, 0.5) == pytest.approx(5.0)
    assert sampler.cpu_seconds_per_gb([], 0.5) is None
    assert sampler.cpu_seconds_per_gb([Tick(0, 0, 0, 0), Tick(1, 1, 0, 10)], 0.5) is None


def test_a_transfer_that_came_to_a_stand_is_judged_as_a_whole():
    ticks = [Tick(1.0 + n * 0.1, 1 + n * 0.1, 0.0, min(n, 5) * 10_000_000 + max(n - 5, 0)) for n in range(11)]
    assert sampler.cpu_seconds_per_gb(ticks, 0.5) == pytest.approx(22.5)


def test_where_nobody_looked_in_time_the_rest_must_do():
    ticks = [Tick(1.0, 1.0, 0.0, 50_000_000), Tick(1.2, 1.2, 0.0, 100_000_000)]
    assert sampler.cpu_seconds_per_gb(ticks, 0.5) == pytest.approx(4.0)


def test_arms_that_are_compared_are_neighbours_in_every_block():
    plan = variants.make_plan(["user", "bridge"], ["virtio-net", "e1000"])
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
    plan = variants.make_plan(["user", "bridge", "tap"], ["e1000"])
    assert [(pair.upper.name, pair.lower.name) for pair in plan.pairs] == [
        ("bridge", "user"),
        ("tap", "user"),
        ("user-again", "user"),
    ]
    assert plan.pairs[-1].is_twin


def test_a_baseline_is_compared_arm_by_arm():
    plan = variants.make_plan(["user"], ["e1000"], baseline=True)
    assert ("user", "user-baseline") in [(pair.upper.name, pair.lower.name) for pair in plan.pairs]


def test_arms_between_guests_are_compared_with_each_other():
    def pairs(*ways):
        return [(pair.upper.name, pair.lower.name) for pair in variants.make_plan(ways, ["e1000"]).pairs]

    assert pairs("stream", "bridge-guests", "bridge", "user") == [
        ("bridge", "user"),
        ("stream", "bridge-guests"),
        ("user-again", "user"),
    ]
    assert pairs("stream", "user") == [("stream", "user"), ("user-again", "user")]
    assert pairs("stream") == [("stream-again", "stream")]


def test_clocks_that_disagree_make_a_row_invalid():
    assert clock.objection(1.001, 1.01) is None
    assert "1.13 s by the guest's and 0.05 s by the server's" in clock.objection(1.1277, 0.054)
    assert "clocks disagree" in clock.objection(0.0, 1.0)
    assert clock.right(1.2, 0.1)
    assert not clock.right(20.0, 0.1)
    assert not clock.right(0.4, 0.1)


@pytest.fixture
def here():
    """This machine's own network as a station."""

    class Here:
        entered = staticmethod(contextlib.nullcontext)

    return Here()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hears of connections that ended")
def test_a_look_at_connections_is_quick_however_many_others_there_were(here):
    """Hundreds wait in TIME_WAIT after request-response; decoding them took longer than a transfer."""
    with contextlib.closing(sockets.Account(here)) as account, socket.create_server(("127.0.0.1", 0)) as other:
        for _ in range(300):
            with socket.create_connection(other.getsockname()), other.accept()[0]:
                pass
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            with socket.create_connection(("127.0.0.1", port)) as near, server.accept()[0] as far:
                near.sendall(b"x" * 1000)
                far.recv(1000, socket.MSG_WAITALL)
                began = time.process_time()
                seen, ended = account.alive(port), list(account.ended(port))
                spent_seconds = time.process_time() - began
            assert sorted(each.received_bytes for each in seen) == [0, 1000]
            assert ended == []
            assert spent_seconds < 0.1


def test_an_unknown_arm_is_the_users_mistake():
    with pytest.raises(UsageError, match="there is no arm"):
        variants.make_plan(["usr"], ["e1000"])
