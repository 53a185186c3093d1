"""What this host can do: every check is a value, and a new one is a function and its line in a table."""

from collections.abc import Iterable

from qemunet_tests.doctor.checks import (
    bridge,
    common_needs,
    environment,
    lab,
    other_modes,
    packets,
    passt,
    uplinks,
    user,
)
from qemunet_tests.doctor.checks.check import MODES, USUAL, Capability, Check, ModeVerdict, judge, verdicts
from qemunet_tests.doctor.host_facts import HostFacts

__all__ = ["ALL", "MODES", "USUAL", "Capability", "Check", "ModeVerdict", "judge", "look", "verdicts"]

ALL: tuple[Check, ...] = (
    *common_needs.CHECKS,
    *environment.CHECKS,
    *user.CHECKS,
    *passt.CHECKS,
    *bridge.CHECKS,
    *uplinks.CHECKS,
    *packets.CHECKS,
    *other_modes.CHECKS,
    *lab.CHECKS,
)


def look(facts: HostFacts, checks: Iterable[Check] = ALL) -> list[Capability]:
    """The outcome of every check that applies to this host."""
    return [found for check in checks if (found := judge(check, facts)) is not None]
