"""Something that stands in the way, and what would clear it."""

from dataclasses import dataclass

from qemunet_tests.errors import Unavailable


@dataclass(frozen=True)
class Obstacle:
    """One type from whoever reads a fact of the host to the report, whether a mode is impossible or a promise broken.

    `reason` is a sentence without its full stop; `remedy` the narrowest command that mends it where one exists, else
    what to do, None where nobody knows.
    """

    reason: str
    remedy: str | None = None

    def unavailable(self) -> Unavailable:
        """The same in a test's mouth: to be raised."""
        return Unavailable(self.reason, self.remedy or "none is known")
