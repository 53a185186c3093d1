"""Which mode? What people ask, answered for each mode by verdicts of a run, with the claims they are about."""

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from qemunet_tests import modes
from qemunet_tests.report.shapes import (
    AnsweredQuestion,
    ClaimVerdict,
    ModeComparison,
    ModesAnswer,
    RecordedThroughput,
    Results,
)
from qemunet_tests.report.verdict_of_test import Verdict, worst

TABLE = Path(__file__).parent / "mode_questions.toml"
NOT_TRIED, NO_CLAIM, NOT_RECORDED = "not tried", "no claim about it", "not recorded"


class Cell(BaseModel):
    """The claims that answer a question for a mode, and what it means that all of them hold."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    claims: list[str] = Field(min_length=1)
    means: str = Field(min_length=1)


class AskedQuestion(BaseModel):
    """A row of the table. `recorded`: the last recording answers it, and no claim."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    asks: str
    modes: dict[str, Cell] = {}
    recorded: bool = False


def questions() -> list[AskedQuestion]:
    """The table as it is written."""
    return [AskedQuestion(**each) for each in tomllib.loads(TABLE.read_text(encoding="utf-8"))["questions"]]


def answers(results: Results | None) -> ModeComparison:
    """All answers of a run; without one nothing was tried."""
    seen = {each.claim: each for each in results.verdicts} if results else {}
    recording = results.recording if results else None
    return ModeComparison(
        at=results.at if results else None,
        modes=list(modes.every()),
        questions=[
            AnsweredQuestion(asks=asked.asks, answers=[_answer(asked, mode, seen, recording) for mode in modes.every()])
            for asked in questions()
        ],
    )


def _answer(
    asked: AskedQuestion, mode: str, seen: Mapping[str, ClaimVerdict], recording: RecordedThroughput | None
) -> ModesAnswer:
    if asked.recorded:
        return ModesAnswer(mode=mode, claims=[], verdict=None, says=_recorded(mode, recording))
    cell = asked.modes.get(mode)
    claims = cell.claims if cell else []
    tried = [seen[claim] for claim in claims if claim in seen]
    verdict = worst(each.verdict for each in tried) if tried else None
    # A part of what was asked is no answer, unless it is known not to be as promised.
    if cell is None:
        return ModesAnswer(mode=mode, claims=[], verdict=None, says=NO_CLAIM)
    if verdict is None or (len(tried) < len(claims) and verdict is Verdict.HOLDS):
        return ModesAnswer(mode=mode, claims=claims, verdict=None, says=NOT_TRIED)
    if verdict is Verdict.HOLDS and all(each.verdict is Verdict.HOLDS for each in tried):
        return ModesAnswer(mode=mode, claims=claims, verdict=verdict, says=cell.means)
    return _otherwise(mode, claims, tried)


def _otherwise(mode: str, claims: list[str], tried: Iterable[ClaimVerdict]) -> ModesAnswer:
    """What decides is the claim that is not as it was promised; one that could not be tried leaves all of it open."""
    amiss = [each for each in tried if each.verdict is not Verdict.HOLDS]
    deciding = min(amiss, key=lambda each: list(Verdict).index(each.verdict))
    said = deciding.reason or deciding.observed or "no reason is known"
    return ModesAnswer(mode=mode, claims=claims, verdict=deciding.verdict, says=said)


def _recorded(mode: str, recording: RecordedThroughput | None) -> str:
    """The rates of the mode's own arm on the first NIC that it was recorded with."""
    found = next((each for each in recording.arms if each.arm == mode), None) if recording else None
    if recording is None or found is None:
        return NOT_RECORDED
    if not recording.usable:
        return f"recorded, and not to be relied on: {recording.why_unusable}"
    rates = [
        f"{value:.0f} Mbit/s {way}{f' at {cost:.2g} s of CPU a GB' if cost else ''}"
        for value, cost, way in (
            (found.g2h_mbit_per_second, found.g2h_cpu_seconds_per_gb, "out"),
            (found.h2g_mbit_per_second, found.h2g_cpu_seconds_per_gb, "in"),
        )
        if value
    ]
    return f"{', '.join(rates) or 'no valid row'} ({found.nic}, {recording.at[:10]})"
