"""The shapes of what `compare` says of two runs, a line each. Fields may be added, never renamed."""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from qemunet_tests.report.verdict_of_test import Verdict
from qemunet_tests.shape import Shape

#: What became of a claim from one run to another.
Turn = Literal["worse", "better", "other", "value", "new", "gone"]


class ChangeLine(Shape):
    """A line of `qemunet compare --json` about two runs."""

    version: Literal[1] = Field(alias="schema")


class ChangedClaim(ChangeLine):
    """A claim of which the verdict changed, or what it rests on (`turn` is then `value`); null where a run has it not.

    `reason` and `remedy` are the later one's. `same_as` is another claim of which both were told before: it took its
    turn by the same cause, or could not be tried for the same reason.
    """

    kind: Literal["claim"]
    claim: str
    turn: Turn
    before: Verdict | None
    after: Verdict | None
    observed_before: str | None
    observed: str | None
    reason: str | None
    remedy: str | None
    expected_before: str | None = None
    expected: str | None = None
    reason_before: str | None = None
    same_as: str | None = None


class HostChange(Shape):
    """Something that a run was made with and that is not the same in the other; null where there was none."""

    name: str
    before: str | None
    after: str | None


class ChangesEnd(ChangeLine):
    """The answer as a whole. `common` is how many claims both runs have.

    `differences` are sentences of what `host` has in parts. `by_chance` are the claims of which only that changed
    which is another one in every run, and `chance` the kinds of it.
    """

    kind: Literal["end"]
    reason: str
    exit: Literal[0, 1, 3]
    common: int
    differences: list[str]
    notes: list[str]
    host: list[HostChange] = Field([])
    by_chance: list[str] = Field([])
    chance: list[str] = Field([])


#: A line of what `compare` says of two runs.
CHANGES: TypeAdapter[ChangedClaim | ChangesEnd] = TypeAdapter(
    Annotated[ChangedClaim | ChangesEnd, Field(discriminator="kind")]
)
