"""Modes that need little more than QEMU: what they lack is what a test of theirs would say."""

from collections.abc import Callable

from qemunet_tests import modes
from qemunet_tests.doctor.checks.check import USUAL, Check, CheckResult, impossible, ok
from qemunet_tests.doctor.host_facts import HostFacts
from qemunet_tests.modes import Mode


def _asked(mode: Mode) -> Callable[[HostFacts], CheckResult | None]:
    def look(facts: HostFacts) -> CheckResult | None:
        if facts.qemu is None:
            return None
        missing = mode.plain.missing(facts.qemu)
        return impossible(missing) if missing else ok(f"nothing that {mode.word} mode needs is missing")

    return look


CHECKS = tuple(
    Check(f"{mode.word}-mode", (mode.word,), (mode.word,), _asked(mode))
    for mode in modes.every().values()
    if mode.word not in USUAL
)
