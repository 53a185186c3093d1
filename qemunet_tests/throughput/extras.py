"""The metrics besides TCP throughput: what each is, and how often it is measured."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from qemunet_tests.throughput.latency import latency
from qemunet_tests.throughput.subject import Subject
from qemunet_tests.throughput.transfer import Way
from qemunet_tests.throughput.udp import zero_loss


@dataclass(frozen=True)
class Extra:
    """`measure` gives rows, named by metric; `seconds` is what it costs an arm under TCG."""

    name: str
    measure: Callable[[Way, Subject], Iterable[tuple[str, dict[str, Any]]]]
    seconds: float
    #: Whether it is measured once a recording and not once a boot, because it takes long.
    once: bool = False


EXTRAS = (Extra("latency", latency, 3.2), Extra("UDP without loss", zero_loss, 13.0, once=True))
