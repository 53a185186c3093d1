"""Kernels that panic or mistake the time at boot because the machine below was too busy, and boot rightly next time.

Linux waits some ticks' time for the timer's interrupts, counting turns of a loop, and panics where none comes:
check_timer() in arch/x86/kernel/apic/io_apic.c. It measures the processor's clock against the timer as well, and where
it was held up meanwhile its time runs too fast from then on: a guest was seen that asked for a lease 1388 times in ten
minutes. In software, on a machine with much else to do, that says nothing of the guest and nothing of its network.
"""

import re
import time
from collections.abc import Callable
from typing import TypeVar

from qemunet_tests.errors import HarnessError
from qemunet_tests.host.asking import Completed

Booted = TypeVar("Booted")

PANIC = re.compile(r"Kernel panic - not syncing: (.*)")
_OF_THE_TIMER = re.compile(r"\btimer doesn't work", re.IGNORECASE)
#: How often a guest is booted that missed its timer.
TRIES = 3
#: How much longer than its QEMU a guest may say that it has been up: what comes of rounding, and of clocks that drift.
LEEWAY, LEEWAY_SECONDS = 1.05, 1.0


class GuestDied(HarnessError):
    """The guest ended or its kernel panicked while something was asked of it."""


class TimerMissed(GuestDied):
    """The guest's kernel saw no tick of its timer, and panicked, or took it for a faster one."""


def panic_in(console: str) -> str | None:
    """What a kernel panicked about, if it did."""
    match = PANIC.search(console)
    return match[1].strip() if match else None


def died(sentence: str, panic: str | None) -> GuestDied:
    """The error to raise for a guest that ended."""
    return (TimerMissed if panic and _OF_THE_TIMER.search(panic) else GuestDied)(sentence)


def require_timekeeping(run: Callable[[str], Completed], started: float) -> None:
    """Raises TimerMissed where a guest says that it has been up longer than it can have been.

    `run` gives its shell a command; `started` is the moment before its QEMU was, of time.monotonic().
    """
    said = run("cat /proc/uptime").text.split()
    passed_seconds = time.monotonic() - started
    if said and float(said[0]) > passed_seconds * LEEWAY + LEEWAY_SECONDS:
        raise TimerMissed(
            f"the guest's clock runs wild: it has been up {said[0]} s, and was started {passed_seconds:.1f} s ago"
        )


def despite_its_timer(boot: Callable[[], Booted], note: Callable[[str], None]) -> Booted:
    """Boot, and boot again where the guest missed its timer, which `note` is told. Raises TimerMissed in the end."""
    for _ in range(TRIES - 1):
        try:
            return boot()
        except TimerMissed as missed:
            note(f"a guest's kernel missed its timer, as happens on a busy machine: it was booted again ({missed})")
    return boot()
