"""Two recordings against each other, or a recording's QEMU against its baseline: regression or noise.

Absolute rates of two sessions differ by noise alone; what is compared are ratios of arms that took turns. A line
fails only on p < 0.01, an effect above 10 % and above twice what the A/A arms allow for, and agreement of 80 % of the
blocks. For a baseline of the same run every boot must say so: one is the repeat of the other.
"""

import math
from collections.abc import Collection, Iterator

from qemunet_tests.errors import UsageError
from qemunet_tests.throughput.judging import verdicts
from qemunet_tests.throughput.judging.factors import Difference, differences
from qemunet_tests.throughput.judging.outcome import Comparison, OutcomeLine
from qemunet_tests.throughput.judging.statistics import Ratio, quotient, ratio
from qemunet_tests.throughput.judging.unusual_settings import oddities
from qemunet_tests.throughput.judging.verdicts import FASTER, INVALID, SAME, SLOWER, UNKNOWN, Health
from qemunet_tests.throughput.recording import Recording
from qemunet_tests.throughput.recording_shapes import MeasuredPair, ThroughputVerdict

METRICS = (*verdicts.GOODPUT, "cpu.g2h", "cpu.h2g", *verdicts.GUEST_TIME)
#: What guest time shows of an arm; slirp's waiting makes user mode less steady.
GUEST_TIME_EFFECT, GUEST_TIME_EFFECT_OF_USER = 0.05, 0.15
IDENTICAL = "the same measurements"
#: Rows that are transfers by TCP.
TRANSFERS = ("tcp.g2h", "tcp.h2g", "guest_time.")


def compare(before: Recording, after: Recording, factors: Collection[str]) -> Comparison:
    """`factors` are the differences that were asked for. Raises UsageError where the two have nothing in common."""
    found = differences(before, after)
    undeclared = tuple(each for each in found if each.factor not in factors and "any" not in factors)
    declared = tuple(each for each in found if each not in undeclared)
    machines = verdicts.health(before), verdicts.health(after)
    of_lane = _lines_of_guest_time if before.session.guest_time else _lines_of_two
    lines = tuple(of_lane(before, after, machines))
    warnings = tuple(_warnings(before, after))
    unproven = [*_unproven(before), *_unproven(after)]
    if not lines and not unproven:
        raise UsageError(f"{before.path} and {after.path} have no pair of arms and NIC in common")
    if unproven or undeclared:
        return Comparison(lines, undeclared, declared, INVALID, _invalid(lines, unproven, undeclared), warnings)
    for recording, machine in zip((before, after), machines, strict=True):
        if not machine.usable:
            why = f"A/A failed in {recording.path.name}: {machine.reason}"
            return Comparison(lines, (), declared, UNKNOWN, why, warnings)
    return Comparison(lines, (), declared, *_whole(lines), warnings)


def _invalid(lines: Collection[OutcomeLine], unproven: Collection[str], undeclared: Collection[Difference]) -> str:
    """Why the two are not to be compared, and what that seems to have done."""
    said = list(unproven)
    if undeclared:
        named = dict.fromkeys(each.name for each in undeclared)
        said.append(f"the recordings differ in more than was asked: {', '.join(named)}")
    slower = [f"{line.metric} {line.nic} {line.reason}" for line in lines if line.verdict == SLOWER]
    if slower:
        said.append(f"what was measured is slower all the same: {'; '.join(slower)}")
    return "; ".join(said)


def _unproven(recording: Recording) -> Iterator[str]:
    """Arms of which not one transfer can be used."""
    for arm in recording.session.arms:
        rows = [run for run in recording.runs if run.of(arm) and run.measures.startswith(TRANSFERS)]
        if rows and not any(run.valid for run in rows):
            yield f"in {recording.path.name} all {len(rows)} transfers of {arm} are invalid: {rows[0].why_invalid}"


def against_baseline(recording: Recording) -> Comparison:
    """The recording's QEMU against the one it names as baseline. Raises UsageError where it names none."""
    pairs = [pair for pair in recording.session.pairs if pair.arms[1].endswith("-baseline")]
    if not pairs:
        raise UsageError(f"{recording.path} has no baseline: make one with `qemunet record --baseline PATH`")
    machine = verdicts.health(recording)
    lines = tuple(line for pair in pairs for line in _lines_of_one(recording, pair, machine))
    if not machine.usable:
        return Comparison(lines, (), (), UNKNOWN, f"A/A failed: {machine.reason}")
    return Comparison(lines, (), (), *_whole(lines))


def _whole(lines: Collection[OutcomeLine]) -> tuple[ThroughputVerdict, str]:
    for verdict in (SLOWER, UNKNOWN, FASTER):
        of_these = [line for line in lines if line.verdict == verdict]
        if of_these:
            return verdict, "; ".join(f"{line.metric} {line.nic}: {line.reason}" for line in of_these)
    if all(line.reason == IDENTICAL for line in lines):
        return SAME, f"these are {IDENTICAL}"
    largest = max((verdicts.largest(line.change) for line in lines if line.change.low), default=0.0)
    return SAME, f"above {largest:.0%} shown"


def _lines_of_two(before: Recording, after: Recording, machines: tuple[Health, Health]) -> Iterator[OutcomeLine]:
    for pair in before.session.pairs:
        if pair.twin or pair not in after.session.pairs:
            continue
        for metric in METRICS:
            place = (metric, pair.nic, *pair.arms)
            left, right = verdicts.ratios_by_boot(before, *place), verdicts.ratios_by_boot(after, *place)
            change, old, new = quotient(left, right), ratio(left), ratio(right)
            if change is None or old is None or new is None:
                continue
            noise = max(machine.half_width for machine in machines)
            same = left == right
            verdict, reason, subject = _judge_two(before, after, pair, metric, change, noise, same)
            yield OutcomeLine(metric, pair.nic, _both(pair), old.point, new.point, change, verdict, reason, subject)


def _lines_of_guest_time(before: Recording, after: Recording, _: tuple[Health, Health]) -> Iterator[OutcomeLine]:
    """Guest time is not subject to the machine's moods: every arm is compared with itself."""
    for arm in before.session.arms:
        if arm.again or arm not in after.session.arms:
            continue
        for metric in verdicts.GUEST_TIME:
            left, right = (recording.rates(metric, arm.name, arm.nic) for recording in (before, after))
            change = quotient([left], [right])
            if change is None:
                continue
            verdict, reason = _not_significant(change)
            floor = GUEST_TIME_EFFECT_OF_USER if arm.way == "user" else GUEST_TIME_EFFECT
            if left == right:
                verdict, reason = SAME, IDENTICAL
            elif change.p is not None and change.p < verdicts.SIGNIFICANT and change.effect > floor:
                verdict, reason = (FASTER if change.point > 1 else SLOWER), f"{arm.name} {change.point:.3g} times"
            old = verdicts.median(before, metric, arm.name, arm.nic) or 0.0
            new = verdicts.median(after, metric, arm.name, arm.nic) or 0.0
            both = arm.name, arm.name
            yield OutcomeLine(metric, arm.nic, both, old, new, change, verdict, reason, arm.name)


def _both(pair: MeasuredPair) -> tuple[str, str]:
    upper, lower = pair.arms
    return upper, lower


def _judge_two(
    before: Recording, after: Recording, pair: MeasuredPair, metric: str, change: Ratio, noise: float, same: bool
) -> tuple[ThroughputVerdict, str, str | None]:
    if same:
        return SAME, IDENTICAL, None
    if not _significant(change, metric, noise):
        return *_not_significant(change), None
    moved = {arm: _change(before, after, metric, arm, pair.nic) for arm in pair.arms}
    subject = max(moved, key=lambda arm: abs(math.log(moved[arm])))
    better = (moved[subject] > 1) == verdicts.METRICS[metric][2]
    said = ", ".join(f"{arm} {factor:.2f} times" for arm, factor in moved.items())
    reason = f"{'/'.join(pair.arms)} changed {change.point:.3g} times ({said})"
    return (FASTER if better else SLOWER), reason, subject


def _lines_of_one(recording: Recording, pair: MeasuredPair, machine: Health) -> Iterator[OutcomeLine]:
    for metric in METRICS:
        boots = verdicts.ratios_by_boot(recording, metric, pair.nic, *pair.arms)
        found = ratio(boots)
        if found is None:
            continue
        verdict, reason = _not_significant(found)
        if _significant(found, metric, machine.half_width):
            better = (found.point > 1) == verdicts.METRICS[metric][2]
            repeats = [ratio([boot]) for boot in boots]
            confirmed = len(repeats) > 1 and all(each and (each.point > 1) == (found.point > 1) for each in repeats)
            verdict = (FASTER if better else SLOWER) if confirmed else UNKNOWN
            reason = f"{found.point:.3g} times, {'in every boot' if confirmed else 'not confirmed by a second boot'}"
        yield OutcomeLine(metric, pair.nic, _both(pair), 1.0, found.point, found, verdict, reason, pair.arms[0])


def _significant(change: Ratio, metric: str, noise: float) -> bool:
    if change.p is None or change.p >= verdicts.SIGNIFICANT or change.agreement < verdicts.LEAST_AGREEMENT:
        return False
    # Guest time does not see the machine's noise.
    floor = GUEST_TIME_EFFECT if metric.startswith("guest_time") else max(verdicts.LEAST_EFFECT, 2 * noise)
    return change.effect > floor


def _not_significant(change: Ratio) -> tuple[ThroughputVerdict, str]:
    if change.low is None or change.high is None:
        return UNKNOWN, "too few blocks"
    shown = verdicts.largest(change)
    if shown > verdicts.SHOWN:
        return UNKNOWN, f"only a difference above {shown:.0%} is ruled out"
    return SAME, f"above {shown:.0%} shown"


def _change(before: Recording, after: Recording, metric: str, arm: str, nic: str) -> float:
    old, new = verdicts.median(before, metric, arm, nic), verdicts.median(after, metric, arm, nic)
    return new / old if old and new else 1.0


def _warnings(before: Recording, after: Recording) -> Iterator[str]:
    """What is odd in either, and absolute rates, which never fail a comparison: machines change their speed."""
    for recording in (before, after) if before.path != after.path else (before,):
        yield from (f"{recording.path.name}: {oddity}" for oddity in oddities(recording))
    for arm in before.session.arms:
        for metric in ("tcp.g2h", "tcp.h2g"):
            change = _change(before, after, metric, arm.name, arm.nic)
            if change < 1 / (1 + verdicts.SHOWN):
                yield f"{arm} {metric} is {change:.2f} times what it was, in absolute terms"
