"""Ratios and verdicts on made-up blocks whose truth is known."""

import math

import numpy
import pytest

from qemunet_tests.throughput.judging import statistics, verdicts
from qemunet_tests.throughput.judging.verdicts import FASTER, SAME, SLOWER, UNKNOWN, Health

HEALTHY = Health(True, "", 0.1)
NOISE = 0.2


def drawn(rng, truth, count=8, noise=NOISE):
    """Two boots of blocks around a true ratio."""
    blocks = [truth * math.exp(value) for value in rng.normal(0, noise, count)]
    return [blocks[: count // 2], blocks[count // 2 :]]


def verdict(boots, machine=HEALTHY):
    return verdicts.judge(statistics.ratio(boots), True, machine)[0]


def test_the_point_is_the_geometric_mean():
    found = statistics.ratio([[2.0, 8.0], [4.0]])
    assert found.point == pytest.approx(4.0)
    assert found.low <= 4.0 <= found.high


def test_a_ratio_and_its_inverse_are_as_far_from_one():
    assert statistics.ratio([[4.0, 4.1]]).effect == pytest.approx(statistics.ratio([[1 / 4.0, 1 / 4.1]]).effect)


def test_of_20_comparisons_of_the_same_at_most_one_gets_a_verdict():
    rng = numpy.random.default_rng(5)
    given = [verdict(drawn(rng, 1.0)) for _ in range(20)]
    assert sum(each in (FASTER, SLOWER) for each in given) <= 1


@pytest.mark.parametrize(("truth", "expected"), [(0.27, SLOWER), (0.5, SLOWER), (2.5, FASTER), (7.0, FASTER)])
def test_planted_effects_are_found(truth, expected):
    rng = numpy.random.default_rng(7)
    assert [verdict(drawn(rng, truth)) for _ in range(10)] == [expected] * 10


def test_no_difference_says_how_large_one_could_be():
    found = statistics.ratio([[1.0, 1.02, 0.99, 1.01], [1.0, 0.98, 1.01, 1.0]])
    said, reason = verdicts.judge(found, True, HEALTHY)
    assert said == SAME
    assert reason.startswith("above ")


def test_an_effect_inside_the_noise_of_the_machine_gets_no_verdict():
    boots = [[1.15, 1.16, 1.14, 1.15], [1.15, 1.17, 1.14, 1.16]]
    assert verdict(boots, Health(True, "", 0.05)) == FASTER
    assert verdict(boots, Health(True, "", 0.20)) == SAME


def test_fewer_than_eight_blocks_prove_nothing():
    """The sign-flip test of n blocks cannot say less than 2 / 2^n."""
    assert statistics.sign_flip([5.0] * 7) > verdicts.SIGNIFICANT
    assert statistics.sign_flip([5.0, 5.1, 5.2, 5.3, 5.4, 5.5, 5.6, 5.7]) == pytest.approx(2 / 2**8)
    assert verdict([[5.0, 5.1, 4.9], [5.2, 5.0]]) == UNKNOWN


def test_cpu_cost_is_better_when_lower():
    found = statistics.ratio([[0.2, 0.21, 0.19, 0.2], [0.2, 0.22, 0.18, 0.2]])
    assert verdicts.judge(found, False, HEALTHY)[0] == FASTER
    assert verdicts.judge(found, True, HEALTHY)[0] == SLOWER


def test_one_block_has_no_interval():
    found = statistics.ratio([[3.0]])
    assert (found.low, found.high, found.p) == (None, None, None)
    assert verdict([[3.0]]) == UNKNOWN


def test_a_boot_of_one_block_joins_the_others():
    found = statistics.ratio([[2.0], [2.1, 1.9]])
    assert found.low < found.point < found.high


def test_no_block_is_no_ratio():
    assert statistics.ratio([]) is None


def test_the_interval_covers_the_truth_as_often_as_it_says():
    """A plain percentile interval of 8 blocks covers about 90 %; the widened one comes near 95 %."""
    rng = numpy.random.default_rng(3)
    found = [statistics.ratio(drawn(rng, 1.0)) for _ in range(300)]
    assert sum(each.low <= 1.0 <= each.high for each in found) >= 0.92 * len(found)
