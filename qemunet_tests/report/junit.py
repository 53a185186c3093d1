"""junit.xml in the words of claims: what a CI server shows of a failure is its first line and its test's name."""

from collections.abc import Mapping
from xml.etree import ElementTree

from qemunet_tests.report.shapes import KnownShape, Results
from qemunet_tests.report.verdict_of_test import Verdict, VerdictOfTest

#: What is known, by claim.
Known = Mapping[str, KnownShape]

#: What pytest makes of a test that did not pass.
_OUTCOMES = ("failure", "error", "skipped")
#: Of those, what turns a job red.
_RED = ("failure", "error")
#: The type of what was skipped, as pytest has `pytest.skip`.
KNOWN_TYPE = "qemunet.known"


def known_in(results: Results) -> Known:
    """What `--known` says of the verdicts of a run."""
    return {each.claim: each.known for each in results.verdicts if each.known}


def in_words_of_claims(document: str, known: Known) -> str:
    """What pytest wrote, with claim, cause and remedy where readers look. Tests without a claim stay as they are.

    What is `known` is no failure: a CI server that reads this is red for news only, as the exit code is.
    """
    suites = ElementTree.fromstring(document)
    first: dict[tuple[str | None, ...], str] = {}
    for case in suites.iter("testcase"):
        properties = [(each.get("name", ""), each.get("value", "")) for each in case.iterfind("properties/property")]
        if finding := VerdictOfTest.from_properties(properties):
            _name(case, finding)
            _explain(case, finding, first.setdefault(_shared(finding), finding.claim))
            if entry := known.get(finding.claim):
                _excuse(case, entry)
    for suite in suites.iter("testsuite") if known else ():
        _count(suite)
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


def _excuse(case: ElementTree.Element, entry: KnownShape) -> None:
    for each in [each for each in case if each.tag in _OUTCOMES]:
        each.set("message", f"known, {entry}: {each.get('message', '')}")
        if each.tag in _RED:
            each.tag = "skipped"
            each.set("type", KNOWN_TYPE)
    properties = case.find("properties")
    if properties is not None:
        ElementTree.SubElement(properties, "property", name="known", value=str(entry))


def _count(suite: ElementTree.Element) -> None:
    """What was known moves from what a suite counts as red to what it counts as skipped."""
    for tag, counter in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        suite.set(counter, str(len(suite.findall(f"testcase/{tag}"))))


def sentence(finding: VerdictOfTest, first: str | None = None) -> str:
    """What became of a claim, why, and what helps; or of which claim, the `first`, all that is said already."""
    if first is not None and first != finding.claim:
        what = "cause" if finding.verdict is Verdict.BROKEN else "reason"
        return f"{finding.claim} is {finding.verdict.value}, for the same {what} as {first}."
    reason = (finding.reason or "no reason is known").rstrip(".")
    remedy = f" Remedy: {finding.remedy.rstrip('.')}." if finding.remedy else ""
    return f"{finding.claim} is {finding.verdict.value}: {reason}.{remedy}"
