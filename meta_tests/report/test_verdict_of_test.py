"""What tests say of one claim is put together, whoever says it first, and arrives as it was said."""

from qemunet_tests.report.session_results import verdicts_of
from qemunet_tests.report.verdict_of_test import ARTIFACT, Verdict, VerdictOfTest, worst


def test_worst_of_all_pairs() -> None:
    ranking = [Verdict.BROKEN, Verdict.INCONCLUSIVE, Verdict.DEVIATES, Verdict.HOLDS, Verdict.UNAVAILABLE]
    for place, verdict in enumerate(ranking):
        for other in ranking[place:]:
            assert worst([verdict, other]) == worst([other, verdict]) == verdict


def test_merging_does_not_depend_on_the_order_in_which_workers_finish() -> None:
    findings = [
        VerdictOfTest("user/address", Verdict.BROKEN, "test_b", reason="b"),
        VerdictOfTest("user/address", Verdict.BROKEN, "test_a", reason="a"),
        VerdictOfTest("user/address", Verdict.HOLDS, "test_c"),
    ]
    assert verdicts_of(findings, {}) == verdicts_of(findings[::-1], {})
    assert verdicts_of(findings, {})[0].reason == "a"


def test_a_finding_survives_its_journey() -> None:
    finding = VerdictOfTest(
        "user/address", Verdict.BROKEN, "test_a", 1.25, "e", "o", "r", "m", ("/x", "/y"), "key", 2.5
    )
    carried = [*[(ARTIFACT, path) for path in finding.artifacts], ("mine", 1), *finding.as_properties()]
    assert VerdictOfTest.from_properties(carried) == finding
    assert VerdictOfTest.from_properties([("claim", "of somebody else"), ("verdict", "guilty")]) is None
