"""What of an earlier run is to be repeated: the claims that did not hold there (`run --failed DIR`)."""

from collections.abc import Callable

from qemunet_tests.claims import load, matching
from qemunet_tests.errors import UsageError
from qemunet_tests.report.changes import results_in
from qemunet_tests.report.shapes import Results
from qemunet_tests.report.verdict_of_test import Verdict
from qemunet_tests.settings import Settings


def narrowed(settings: Settings, flag: Callable[[str], str]) -> tuple[Settings, list[str]]:
    """The settings with the claims to repeat, and what to tell of that; without `--failed` they stay as they are.

    To be called before a new report takes the place of the earlier one. Raises UsageError.
    """
    if settings.failed is None:
        return settings, []
    earlier = _earlier(settings, flag("failed"))
    failed = [each.claim for each in earlier.verdicts if each.verdict is not Verdict.HOLDS]
    repeated = tuple(claim for claim in failed if claim in matching(settings.claims))
    remarks = []
    if gone := [claim for claim in failed if claim not in load()]:
        remarks.append(f"not repeated, because this qemunet has no such claim: {', '.join(gone)}")
    if earlier.interrupted:
        remarks.append(f"the run in {settings.failed} was interrupted: what it did not come to is not repeated")
    if not repeated:
        among = f" that {' or '.join(settings.claims)} matches" if settings.claims else ""
        remarks.append(f"nothing to repeat: every {'other ' if gone else ''}claim{among} holds in {settings.failed}")
    return settings.model_copy(update={"repeated": repeated}), remarks


def _earlier(settings: Settings, flag: str) -> Results:
    folder = settings.failed
    try:
        earlier = results_in(folder) if folder else None
    except UsageError as error:
        raise UsageError(f"{flag}: there is no run to repeat: {error}") from None
    if earlier is None:
        raise UsageError(f"{flag}: {folder} has no results of a run: name the folder of a report")
    if not earlier.verdicts:
        raise UsageError(f"{flag}: the run in {folder} tried nothing, so nothing is known of what to repeat")
    return earlier
