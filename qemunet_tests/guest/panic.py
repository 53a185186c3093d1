"""Kernels that panic at boot because the machine below them was too busy to let their timer tick, and boot next time.

Linux waits some ticks' time for the timer's interrupts, counting turns of a loop, and panics where none comes:
check_timer() in arch/x86/kernel/apic/io_apic.c. In software, on a machine with much else to do, that says nothing of
the guest and nothing of its network.
"""

import re
from collections.abc import Callable
from typing import TypeVar

from qemunet_tests.errors import HarnessError

Booted = TypeVar("Booted")

PANIC = re.compile(r"Kernel panic - not syncing: (.*)")
_OF_THE_TIMER = re.compile(r"\btimer doesn't work", re.IGNORECASE)
#: How often a guest is booted that missed its timer.
TRIES = 3


class GuestDied(HarnessError):
    """The guest ended or its kernel panicked while something was asked of it."""


class TimerMissed(GuestDied):
    """The guest's kernel saw no tick of its timer, and panicked."""


def panic_in(console: str) -> str | None:
    """What a kernel panicked about, if it did."""
    match = PANIC.search(console)
    return match[1].strip() if match else None


def died(sentence: str, panic: str | None) -> GuestDied:
    """The error to raise for a guest that ended."""
    return (TimerMissed if panic and _OF_THE_TIMER.search(panic) else GuestDied)(sentence)


def despite_its_timer(boot: Callable[[], Booted], note: Callable[[str], None]) -> Booted:
    """Boot, and boot again where the guest missed its timer, which `note` is told. Raises TimerMissed in the end."""
    for _ in range(TRIES - 1):
        try:
            return boot()
        except TimerMissed:
            note("a guest's kernel missed its timer and panicked, as happens on a busy machine: it was booted again")
    return boot()
