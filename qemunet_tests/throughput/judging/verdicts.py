"""Verdicts about ratios: the same words everywhere."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from qemunet_tests.throughput.judging.statistics import Ratio, ratio
from qemunet_tests.throughput.recording import Recording
from qemunet_tests.throughput.recording_shapes import Summary, ThroughputVerdict

FASTER: Literal["faster"] = "faster"
SLOWER: Literal["slower"] = "slower"
SAME: Literal["no difference"] = "no difference"
UNKNOWN: Literal["inconclusive"] = "inconclusive"
INVALID: Literal["invalid comparison"] = "invalid comparison"

SIGNIFICANT = 0.01
#: What is wanted of an interval, and what an A/A arm may reach at most.
PRECISE, USABLE = 0.15, 0.25
#: An A/A difference that is too small to make a verdict, however sure it is.
HARMLESS = 0.05
LEAST_EFFECT = 0.10
LEAST_AGREEMENT = 0.8
#: Whoever says "no difference above x %" has said nothing where x is larger than this.
SHOWN = 0.50
#: With fewer the sign-flip test cannot reach 1 %, whatever was measured.
LEAST_BLOCKS = 8

METRICS = {
    "tcp.g2h": ("TCP guest to host", "Mbit/s", True),
    "tcp.h2g": ("TCP host to guest", "Mbit/s", True),
    "cpu.g2h": ("CPU guest to host", "s/GB", False),
    "cpu.h2g": ("CPU host to guest", "s/GB", False),
    "tcp.rr": ("TCP request-response", "1/s", True),
    "tcp.crr": ("TCP connect-request-response", "1/s", True),
    "udp.g2h.zero_loss": ("UDP without loss guest to host", "Mbit/s", True),
    "udp.h2g.zero_loss": ("UDP without loss host to guest", "Mbit/s", True),
    "guest_time.g2h": ("TCP guest to host in guest time", "Mbit/guest s", True),
    "guest_time.h2g": ("TCP host to guest in guest time", "Mbit/guest s", True),
}
GOODPUT = ("tcp.g2h", "tcp.h2g")
GUEST_TIME = ("guest_time.g2h", "guest_time.h2g")


@dataclass(frozen=True)
class Judged:
    """One line of a table: what became of two arms of one NIC in one metric."""

    metric: str
    nic: str
    upper: str
    lower: str
    ratio: Ratio
    verdict: ThroughputVerdict
    reason: str
    twin: bool = False

    def as_summary(self) -> Summary:
        found = self.ratio
        return Summary(
            kind="summary",
            version=1,
            metric=self.metric,
            nic=self.nic,
            arms=[self.upper, self.lower],
            ratio=round(found.point, 4),
            low=_rounded(found.low),
            high=_rounded(found.high),
            p=_rounded(found.p, 6),
            verdict=self.verdict,
            reason=self.reason,
            blocks=[round(block, 4) for block in found.blocks],
            agreement=round(found.agreement, 4),
            again=self.twin,
        )


@dataclass(frozen=True)
class Health:
    """Whether the machine could measure at all, by the A/A arm. `half_width` is its widest interval's."""

    usable: bool
    reason: str
    half_width: float


def deciding(recording: Recording) -> tuple[str, ...]:
    """The metrics by which a recording says whether it can be relied on, and is long enough."""
    return GUEST_TIME if recording.session.guest_time else GOODPUT


def ratios_by_boot(recording: Recording, metric: str, nic: str, upper: str, lower: str) -> list[list[float]]:
    """For every boot the ratios of its blocks, where both arms have a valid row."""
    found: dict[tuple[int, int], dict[str, list[float]]] = {}
    for run in recording.valid_runs:
        value = run.values.get(metric)
        if run.nic == nic and value and run.arm in (upper, lower):
            found.setdefault((run.boot, run.block), {}).setdefault(run.arm, []).append(float(value))
    boots: dict[int, list[float]] = {}
    for (boot, _), arms in sorted(found.items()):
        if upper in arms and lower in arms:
            boots.setdefault(boot, []).append(arms[upper][0] / arms[lower][0])
    return list(boots.values())


def health(recording: Recording) -> Health:
    """The A/A arm: the same configuration twice. It must not differ from itself, and be known to ±25 %."""
    return healthy({
        metric: ratios_by_boot(recording, metric, pair.nic, *pair.arms)
        for pair in recording.session.pairs if pair.twin for metric in deciding(recording)
    })  # fmt: skip


def healthy(again: Mapping[str, Sequence[Sequence[float]]]) -> Health:
    """The same of ratios of a configuration to itself, boot by boot and block by block, by metric.

    It differs where the 99 % interval excludes 1, the permutation test agrees, and the difference is more than 5 %.
    At 95 % every tenth healthy session, which has two such intervals, would be thrown away.
    """
    widest, reasons, seen = 0.0, [], False
    for metric, boots in again.items():
        found, wide = ratio(boots), ratio(boots, level=0.99)
        if found is None or wide is None or wide.low is None or wide.high is None:
            continue
        seen = True
        widest = max(widest, found.half_width)
        by_chance = len(found.blocks) >= LEAST_BLOCKS and (found.p or 0.0) >= SIGNIFICANT
        if not wide.low <= 1 <= wide.high and found.effect > HARMLESS and not by_chance:
            reasons.append(f"{metric}: the same configuration differs from itself by {found.effect:.0%}")
        elif found.half_width > USABLE:
            reasons.append(f"{metric}: the same configuration is known to ±{found.half_width:.0%} only")
    if not seen:
        return Health(False, "the A/A arm has fewer than two valid blocks", float("inf"))
    return Health(not reasons, "; ".join(reasons), widest)


def judge(found: Ratio, higher_is_better: bool, machine: Health) -> tuple[ThroughputVerdict, str]:
    """A verdict about the first arm against the second, and why."""
    if not machine.usable:
        return UNKNOWN, f"A/A failed: {machine.reason}"
    significant = found.p is not None and found.p < SIGNIFICANT and found.agreement >= LEAST_AGREEMENT
    if significant and found.effect > max(LEAST_EFFECT, machine.half_width):
        better = (found.point > 1) == higher_is_better
        return (FASTER if better else SLOWER), f"{found.point:.3g} times in {len(found.blocks)} blocks"
    if len(found.blocks) < 2 or found.low is None or found.high is None:
        return UNKNOWN, "one block says nothing about chance"
    if (shown := largest(found)) <= SHOWN:
        return SAME, f"above {shown:.0%} shown"
    if len(found.blocks) < LEAST_BLOCKS:
        return UNKNOWN, f"{len(found.blocks)} blocks are too few: {LEAST_BLOCKS} are needed"
    return UNKNOWN, f"precision not reached: ±{found.half_width:.0%}, ±{PRECISE:.0%} was wanted"


def largest(found: Ratio) -> float:
    """The largest difference that the interval leaves possible, as a fraction."""
    return max((found.high or math.inf) - 1, 1 / (found.low or 1e-9) - 1)


def summarise(recording: Recording, machine: Health) -> list[Judged]:
    """Every pair of arms in every metric that was measured; `machine` is the recording's own health."""
    judged = []
    for pair in recording.session.pairs:
        for metric, (_, _, higher_is_better) in METRICS.items():
            found = ratio(ratios_by_boot(recording, metric, pair.nic, *pair.arms))
            if found is None:
                continue
            verdict, reason = judge(found, higher_is_better, machine)
            upper, lower = pair.arms
            judged.append(Judged(metric, pair.nic, upper, lower, found, verdict, reason, pair.twin))
    return judged


def precise(recording: Recording) -> bool:
    """Whether every ratio of TCP goodput is known to ±15 %."""
    for pair in recording.session.pairs:
        for metric in deciding(recording):
            found = ratio(ratios_by_boot(recording, metric, pair.nic, *pair.arms))
            if found and found.half_width > PRECISE:
                return False
    return True


def median(recording: Recording, metric: str, arm: str | None, nic: str | None) -> float | None:
    """The median of an arm's valid rows."""
    values = sorted(recording.rates(metric, arm, nic))
    if not values:
        return None
    middle = len(values) // 2
    return values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) / 2


def _rounded(value: float | None, digits: int = 4) -> float | None:
    return None if value is None else round(value, digits)
