"""Something that stands in the way, and what would clear it."""

import hashlib
from dataclasses import dataclass, field, replace

from qemunet_tests.errors import Unavailable


@dataclass(frozen=True)
class LostFrame:
    """Between which two places of its way a frame was lost.

    `places` lie in the order in which the question passes them, the first at whoever asks. `missed_at` is None where
    the frame left the last place, and what lies beyond is not ours to see.
    """

    what: str
    places: tuple[str, ...]
    seen_at: str
    missed_at: str | None


@dataclass(frozen=True)
class Obstacle:
    """One type from whoever reads a fact of the host to the report, whether a mode is impossible or a promise broken.

    `reason` is a sentence without its full stop; `remedy` the narrowest command that mends it where one exists, else
    what to do, None where nobody knows. `key` is what all claims share that it broke, where it was found as a cause.
    `lost` is where a frame was lost to it, where one was followed.
    """

    reason: str
    remedy: str | None = None
    key: str | None = field(default=None, compare=False)
    lost: LostFrame | None = field(default=None, compare=False)

    def unavailable(self) -> Unavailable:
        """The same in a test's mouth: to be raised."""
        return Unavailable(self.reason, self.remedy or "none is known")

    def found_by(self, finder: str) -> "Obstacle":
        """The same with its key: what one remedy mends is one cause, whatever each claim saw of it."""
        mended_by = hashlib.sha256((self.remedy or self.reason).encode()).hexdigest()
        return replace(self, key=f"{finder}-{mended_by[:8]}")
