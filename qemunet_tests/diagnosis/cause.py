"""A cause and its repair."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Cause:
    """`reason` is what is wrong, `remedy` the command or deed that mends it, where one is known."""

    reason: str
    remedy: str | None = None
