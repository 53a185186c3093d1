"""Something that stands in the way, and what would clear it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Obstacle:
    """`reason` is a sentence without its full stop; `remedy` a command where one exists, else what to do."""

    reason: str
    remedy: str
