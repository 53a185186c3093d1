"""How a long build tells what it is doing."""

from typing import Protocol


class Progress(Protocol):
    """Whoever shows progress implements this; the library itself never prints."""

    def step(self, text: str, fraction: float) -> None:
        """`text` says what is being done now, `fraction` (0 to 1) how much lies behind."""


class Silent:
    """For callers that show nothing."""

    def step(self, text: str, fraction: float) -> None:
        """Says nothing."""
