"""The metrics besides TCP throughput: what each is, and how often it is measured."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from qemunet_tests.modes import Way
from qemunet_tests.throughput.latency import latency
from qemunet_tests.throughput.recording_shapes import Measurement
from qemunet_tests.throughput.resident_guest import ResidentGuest
from qemunet_tests.throughput.transfer import TransferPlan
from qemunet_tests.throughput.udp import zero_loss
from qemunet_tests.throughput.variants import Arm


@dataclass(frozen=True)
class Extra:
    """`measure` gives rows, named by metric; `seconds` is what it costs an arm under TCG. `--extras` takes `word`."""

    word: str
    name: str
    measure: Callable[[TransferPlan, ResidentGuest], Iterable[tuple[str, Measurement]]]
    seconds: float
    #: Whether it is measured once a recording and not once a boot, because it takes long.
    once: bool = False
    #: Whether there is no such thing for a way.
    without: Callable[[Way], bool] = lambda _: False

    def of(self, arms: Collection[Arm]) -> list[Arm]:
        """The arms that have it. What is measured once is too coarse for an A/A arm."""
        return [arm for arm in arms if not self.without(arm.configuration) and not (self.once and arm.is_again)]


def _uncalled(way: Way) -> bool:
    """The host opens the connection, which not every guest waits for."""
    return way.between_guests or not way.answers


EXTRAS = (
    Extra("latency", "latency", latency, 3.2, without=_uncalled),
    Extra("udp", "UDP without loss", zero_loss, 11.0, once=True),
)
WORDS = tuple(extra.word for extra in EXTRAS)
