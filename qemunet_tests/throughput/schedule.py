"""In which order arms take turns: randomised blocks, arms that are compared next to each other."""

import random
from collections.abc import Iterator, Sequence

from qemunet_tests.throughput.variants import Arm, Plan

DIRECTIONS = ("g2h", "h2g")


def block(plan: Plan, directions: Sequence[str], chance: random.Random) -> Iterator[tuple[Arm, str]]:
    """Every arm in every direction, once, in random order; arms of one NIC and direction are adjacent."""
    groups = [(nic, direction) for nic in plan.nics for direction in directions]
    chance.shuffle(groups)
    for nic, direction in groups:
        arms = [arm for arm in plan.arms if arm.nic == nic]
        chance.shuffle(arms)
        for arm in arms:
            yield arm, direction
