"""junit.xml in the words of claims: what a CI server shows of a failure is its first line and its test's name."""

from xml.etree import ElementTree

from qemunet_tests.report.verdict_of_test import Verdict, VerdictOfTest

#: What pytest makes of a test that did not pass.
_OUTCOMES = ("failure", "error", "skipped")


def in_words_of_claims(document: str) -> str:
    """What pytest wrote, with claim, cause and remedy where readers look. Tests without a claim stay as they are."""
    suites = ElementTree.fromstring(document)
    first: dict[tuple[str | None, ...], str] = {}
    for case in suites.iter("testcase"):
        properties = [(each.get("name", ""), each.get("value", "")) for each in case.iterfind("properties/property")]
        if finding := VerdictOfTest.from_properties(properties):
            _name(case, finding)
            _explain(case, finding, first.setdefault(_shared(finding), finding.claim))
    return f'<?xml version="1.0" encoding="utf-8"?>{ElementTree.tostring(suites, encoding="unicode")}\n'


def _name(case: ElementTree.Element, finding: VerdictOfTest) -> None:
    """The claim's id first; the class is the test's module, package and all."""
    place, _, _ = finding.test.rpartition("::")
    case.set("classname", place.replace("::", ".") or case.get("classname", ""))
    case.set("name", f"{finding.claim} {case.get('name', '')}")


def _shared(finding: VerdictOfTest) -> tuple[str | None, ...]:
    """What this finding has in common with others of which all is said by saying it once."""
    if finding.verdict is Verdict.BROKEN and finding.cause:
        return finding.verdict, finding.cause
    if finding.verdict is Verdict.UNAVAILABLE:
        return finding.verdict, finding.reason, finding.remedy
    return finding.verdict, finding.claim


def _explain(case: ElementTree.Element, finding: VerdictOfTest, first: str) -> None:
    message = sentence(finding, first)
    for outcome in _OUTCOMES:
        for each in case.iterfind(outcome):
            each.set("message", message)
            each.text = f"{message}\n\n{each.text or ''}"


def sentence(finding: VerdictOfTest, first: str | None = None) -> str:
    """What became of a claim, why, and what helps; or of which claim, the `first`, all that is said already."""
    if first is not None and first != finding.claim:
        what = "cause" if finding.verdict is Verdict.BROKEN else "reason"
        return f"{finding.claim} is {finding.verdict.value}, for the same {what} as {first}."
    reason = (finding.reason or "no reason is known").rstrip(".")
    remedy = f" Remedy: {finding.remedy.rstrip('.')}." if finding.remedy else ""
    return f"{finding.claim} is {finding.verdict.value}: {reason}.{remedy}"
