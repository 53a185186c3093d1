"""Something that stands in the way, and what would clear it."""

from dataclasses import dataclass

from qemunet_tests.errors import Unavailable


@dataclass(frozen=True)
class Obstacle:
    """`reason` is a sentence without its full stop; `remedy` a command where one exists, else what to do."""

    reason: str
    remedy: str

    def unavailable(self) -> Unavailable:
        """The same in a test's mouth: to be raised."""
        return Unavailable(self.reason, self.remedy)
