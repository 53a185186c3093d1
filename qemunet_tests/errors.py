"""Why something could not be done: three kinds, because they lead to three different verdicts."""


class HarnessError(Exception):
    """The bench failed, so nothing was learned about the promise: the verdict is `inconclusive`."""


class TimedOut(HarnessError):
    """An awaited event did not come before its deadline."""


class ControlFailed(HarnessError):
    """A claim that compares times or rates, and whose control did not come out: so the comparison says nothing."""


class Unavailable(Exception):
    """Cannot be tried on this target: the verdict is `unavailable`.

    `reason` says what is missing, `remedy` what would make it possible.
    """

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(f"{reason} ({remedy})")
        self.reason = reason
        self.remedy = remedy


class UsageError(Exception):
    """The user asked for something that cannot be: one line on standard error, exit code 2."""
