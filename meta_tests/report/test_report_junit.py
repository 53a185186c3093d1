"""junit.xml, as somebody else's library reads it."""

from pathlib import Path
from xml.etree import ElementTree

import junitparser
import pytest

from meta_tests.qemunet_command import conduct
from qemunet_tests.report.junit import sentence
from qemunet_tests.report.verdict_of_test import Verdict, VerdictOfTest

TESTS = """
import pytest
from qemunet_tests.errors import Unavailable

@pytest.mark.claim("user/address")
def test_holds(): pass

@pytest.mark.claim("user/dns-resolves")
def test_broken(claim):
    claim.blames("the resolver <127.0.0.1> & its kin are silent", "start it")
    assert 0, "no answer"

class TestMore:
    @pytest.mark.claim("user/e1000")
    @pytest.mark.parametrize("nic", ["a", "b"])
    def test_inconclusive(self, nic): raise OSError("no disk.")

@pytest.fixture
def lacking(): raise Unavailable("no helper", "install it.")

@pytest.mark.claim("bridge/acl-allow")
def test_unavailable(lacking): pass

@pytest.mark.claim("bridge/acl-deny")
def test_unavailable_too(lacking): pass

@pytest.mark.claim("user/gateway")
def test_zz_broken_too(claim):
    claim.blames("the resolver <127.0.0.1> & its kin are silent", "start it")
    assert 0, "nothing"

def test_of_nothing(): assert 0, "not ours"
"""


@pytest.fixture(scope="module", params=["0", "2"])
def cases(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[junitparser.TestCase]:
    """Every test by a run in one process, and by one with workers."""
    folder = tmp_path_factory.mktemp("junit")
    conduct(folder, TESTS, "-n", request.param, "--report", "out")
    (suite,) = junitparser.JUnitXml.fromfile(str(folder / "out" / "junit.xml"))
    assert (suite.tests, suite.failures, suite.errors, suite.skipped) == (8, 5, 0, 2)
    return list(suite)


def case_of(cases: list[junitparser.TestCase], name: str) -> tuple[str, str, str]:
    """The class of a test, and the message and the text of what became of it."""
    (case,) = [each for each in cases if each.name == name]
    (result,) = case.result or [junitparser.Failure("")]
    return case.classname, result.message or "", result.text or ""


def test_a_failure_says_claim_cause_and_remedy_before_the_traceback(cases: list[junitparser.TestCase]) -> None:
    names = ("user/dns-resolves test_broken", "user/gateway test_zz_broken_too")
    # With workers it is not known which of two comes first and says all.
    (name,) = [each for each in names if "for the same" not in case_of(cases, each)[1]]
    place, message, text = case_of(cases, name)
    assert place == "test_it"
    claim = name.partition(" ")[0]
    assert message == f"{claim} is broken: the resolver <127.0.0.1> & its kin are silent. Remedy: start it."
    assert text.startswith(f"{message}\n\n")
    assert "assert 0, " in text


def test_a_cause_and_a_reason_are_said_once(cases: list[junitparser.TestCase]) -> None:
    said = {case.name: (case.result[0].message or "") for case in cases if case.result}
    twice = [text for text in said.values() if "for the same" in text]
    assert sorted(twice) in (
        [
            f"bridge/{two} is unavailable, for the same reason as bridge/{one}.",
            f"user/{other} is broken, for the same cause as user/{first}.",
        ]
        for one, two in (("acl-allow", "acl-deny"), ("acl-deny", "acl-allow"))
        for first, other in (("dns-resolves", "gateway"), ("gateway", "dns-resolves"))
    )
    assert sum("kin are silent" in text for text in said.values()) == 1
    assert sum("install it" in text for text in said.values()) == 1


def test_what_is_inconclusive_or_unavailable_says_so(cases: list[junitparser.TestCase]) -> None:
    place, message, text = case_of(cases, "user/e1000 test_inconclusive[b]")
    assert place == "test_it.TestMore"
    assert message == "user/e1000 is inconclusive: OSError: no disk."
    assert "raise OSError" in text
    names = ("bridge/acl-allow test_unavailable", "bridge/acl-deny test_unavailable_too")
    (message,) = [text for each in names if "for the same" not in (text := case_of(cases, each)[1])]
    assert message.endswith(" is unavailable: no helper. Remedy: install it.")


def test_what_holds_has_its_claim_in_its_name_and_no_failure(cases: list[junitparser.TestCase]) -> None:
    assert case_of(cases, "user/address test_holds") == ("test_it", "", "")


def test_what_is_known_is_no_failure(tmp_path: Path) -> None:
    entries = [("user/dns-resolves", "broken"), ("user/e1000", "inconclusive"), ("bridge/acl-allow", "unavailable")]
    (tmp_path / "known.toml").write_text(
        "".join(
            f"[[known]]\nclaim = '{claim}'\nverdict = '{verdict}'\nreason = 'BUG-<1>'\nuntil = 2999-01-01\n"
            for claim, verdict in entries
        )
    )
    conduct(tmp_path, TESTS, "-n", "0", "--report", "out", "--known", "known.toml")
    (suite,) = junitparser.JUnitXml.fromfile(str(tmp_path / "out" / "junit.xml"))
    # What remains is the claim that the file does not name, and the test that cites none.
    assert (suite.tests, suite.failures, suite.errors, suite.skipped) == (8, 2, 0, 5)
    cases = {each.name: each for each in suite}
    (result,) = cases["user/dns-resolves test_broken"].result
    assert (result.type, result.message) == (
        "qemunet.known",
        "known, BUG-<1>, until 2999-01-01: user/dns-resolves is broken: the resolver <127.0.0.1> & its kin are silent."
        " Remedy: start it.",
    )
    said = ElementTree.parse(tmp_path / "out" / "junit.xml").iterfind(".//property[@name='known']")
    assert [each.get("value") for each in said] == ["BUG-<1>, until 2999-01-01"] * 4


def test_a_test_without_a_claim_is_left_as_it_is(cases: list[junitparser.TestCase]) -> None:
    _, message, _ = case_of(cases, "test_of_nothing")
    assert message.startswith("AssertionError: not ours")


def test_the_package_is_in_the_class(tmp_path: Path) -> None:
    assert sentence(VerdictOfTest("user/e1000", Verdict.BROKEN, "t::e")) == "user/e1000 is broken: no reason is known."
    package = tmp_path / "deeper"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "test_there.py").write_text(TESTS)
    conduct(tmp_path, "", "-n", "0", "--report", "out")
    (suite,) = junitparser.JUnitXml.fromfile(str(tmp_path / "out" / "junit.xml"))
    assert "deeper.test_there.TestMore" in {each.classname for each in suite}
