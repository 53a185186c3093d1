"""The metrics besides TCP throughput: what each is, and in which order they are measured."""

from collections.abc import Callable, Iterable
from typing import Any

from qemunet_tests.throughput.subject import Subject
from qemunet_tests.throughput.transfer import Way

Measure = Callable[[Way, Subject], Iterable[tuple[str, dict[str, Any]]]]

MEASURES: tuple[tuple[Measure, str], ...] = ()
