"""Ratios with their uncertainty, by scipy, which is imported when it is needed: it starts threads.

A block gives one log ratio of two arms that were measured next to each other. The point is their geometric mean.
The interval is a percentile bootstrap over blocks, each resampled within its boot (two boots are too few to
resample), at a level widened for small samples (T. Hesterberg, What Teachers Should Know About the Bootstrap, 2015,
section 3: "expanded percentile"): at 8 blocks the plain 95 % interval covers 90 %, this one 95 %. The p value is
that of the sign-flip permutation test on the log ratios, exact up to 14 blocks.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

RESAMPLES = 4999
EXACT_BLOCKS = 14


@dataclass(frozen=True)
class Ratio:
    """A ratio of two arms. `low` and `high` are its interval, None with fewer than two blocks."""

    point: float
    low: float | None
    high: float | None
    p: float | None
    #: Every block's own ratio.
    blocks: tuple[float, ...]

    @property
    def half_width(self) -> float:
        """How far the interval reaches from its middle, as a fraction: 0.15 is ±15 %. Infinite without interval."""
        if not self.low or not self.high:
            return math.inf
        return math.exp(math.log(self.high / self.low) / 2) - 1

    @property
    def effect(self) -> float:
        """How far the point is from 1, the same for a ratio and its inverse."""
        return math.exp(abs(math.log(self.point))) - 1

    @property
    def agreement(self) -> float:
        """The share of blocks that are on the point's side of 1."""
        side = self.point > 1
        return sum(1 for block in self.blocks if (block > 1) == side) / len(self.blocks)


def ratio(boots: Sequence[Sequence[float]], level: float = 0.95) -> Ratio | None:
    """The ratio that `boots`, lists of ratios of blocks, have in common; None without any block."""
    blocks = [block for boot in boots for block in boot]
    if not blocks:
        return None
    logs = [[math.log(block) for block in boot] for boot in boots if boot]
    point = math.exp(sum(map(sum, logs)) / len(blocks))
    low, high = _interval(logs, level) if len(blocks) > 1 else (None, None)
    return Ratio(point, low, high, sign_flip(blocks) if len(blocks) > 1 else None, tuple(blocks))


def sign_flip(blocks: Sequence[float]) -> float:
    """How often chance alone would put the blocks as far to one side: two-sided."""
    return _sign_flip(tuple(blocks))


@lru_cache(maxsize=256)
def _sign_flip(blocks: tuple[float, ...]) -> float:
    # Asked again for every level of an interval, and whenever a recording wonders whether it is long enough.
    import numpy
    from scipy import stats

    logs = numpy.log(numpy.asarray(blocks))
    tested = stats.permutation_test(
        (logs,),
        lambda sample, axis: numpy.mean(sample, axis=axis),
        permutation_type="samples",
        n_resamples=math.inf if len(blocks) <= EXACT_BLOCKS else 9999,
        vectorized=True,
        rng=numpy.random.default_rng(1),
    )
    return float(tested.pvalue)


def two_samples(left: Sequence[float], right: Sequence[float]) -> float:
    """How often chance alone would part two recordings' ratios as far: permutation of blocks between them."""
    import numpy
    from scipy import stats

    tested = stats.permutation_test(
        (numpy.log(left), numpy.log(right)),
        lambda x, y, axis: numpy.mean(x, axis=axis) - numpy.mean(y, axis=axis),
        permutation_type="independent",
        n_resamples=9999,
        vectorized=True,
        rng=numpy.random.default_rng(1),
    )
    return float(tested.pvalue)


def quotient(left: Sequence[Sequence[float]], right: Sequence[Sequence[float]]) -> Ratio | None:
    """The ratio of two recordings' ratios, right over left. Its blocks are those of `right` over left's mean."""
    before, after = [b for boot in left for b in boot], [b for boot in right for b in boot]
    if not before or not after:
        return None
    mean = math.exp(sum(map(math.log, before)) / len(before))
    blocks = tuple(block / mean for block in after)
    point = math.exp(sum(map(math.log, blocks)) / len(blocks))
    if min(len(before), len(after)) < 2:
        return Ratio(point, None, None, None, blocks)
    low, high = _interval_of_difference([math.log(b) for b in before], [math.log(a) for a in after])
    return Ratio(point, low, high, two_samples(after, before), blocks)


def _interval(logs: list[list[float]], level: float) -> tuple[float, float]:
    import numpy
    from scipy import stats

    # A boot of one block has nothing to resample: it joins the others.
    samples = [boot for boot in logs if len(boot) > 1]
    single = [value for boot in logs if len(boot) == 1 for value in boot]
    if single:
        samples = [*samples[:-1], [*(samples[-1] if samples else []), *single]]
    size = sum(map(len, samples))

    def mean(*drawn: "numpy.ndarray[tuple[int, ...], numpy.dtype[numpy.float64]]", axis: int) -> object:
        return sum(numpy.sum(sample, axis=axis) for sample in drawn) / size

    if all(value == samples[0][0] for sample in samples for value in sample):
        return math.exp(samples[0][0]), math.exp(samples[0][0])
    found = stats.bootstrap(
        tuple(numpy.asarray(sample) for sample in samples),
        mean,
        n_resamples=RESAMPLES,
        confidence_level=_widened(level, size, len(samples)),
        method="percentile",
        vectorized=True,
        rng=numpy.random.default_rng(1),
    ).confidence_interval
    return math.exp(float(found.low)), math.exp(float(found.high))


def _interval_of_difference(before: list[float], after: list[float], level: float = 0.95) -> tuple[float, float]:
    import numpy
    from scipy import stats

    if len(set(before)) == 1 and len(set(after)) == 1:
        same = math.exp(after[0] - before[0])
        return same, same
    found = stats.bootstrap(
        (numpy.asarray(after), numpy.asarray(before)),
        lambda x, y, axis: numpy.mean(x, axis=axis) - numpy.mean(y, axis=axis),
        n_resamples=RESAMPLES,
        confidence_level=_widened(level, min(len(before), len(after)), 1),
        method="percentile",
        vectorized=True,
        rng=numpy.random.default_rng(1),
    ).confidence_interval
    return math.exp(float(found.low)), math.exp(float(found.high))


def _widened(level: float, size: int, strata: int) -> float:
    """The level at which percentiles of resampled means reach as far as Student's t does."""
    from scipy import stats

    freedom = max(size - strata, 1)
    reach = math.sqrt(size / freedom) * float(stats.t.ppf((1 + level) / 2, freedom))
    return min(1 - 2 * float(stats.norm.sf(reach)), 0.9999)
