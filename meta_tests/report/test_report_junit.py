"""junit.xml, as somebody else's library reads it."""

from pathlib import Path

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

def test_of_nothing(): assert 0, "not ours"
"""


@pytest.fixture(scope="module", params=["0", "2"])
def cases(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[junitparser.TestCase]:
    """Every test by a run in one process, and by one with workers."""
    folder = tmp_path_factory.mktemp("junit")
    conduct(folder, TESTS, "-n", request.param, "--report", "out")
    (suite,) = junitparser.JUnitXml.fromfile(str(folder / "out" / "junit.xml"))
    assert (suite.tests, suite.failures, suite.errors, suite.skipped) == (6, 4, 0, 1)
    return list(suite)


def case_of(cases: list[junitparser.TestCase], name: str) -> tuple[str, str, str]:
    """The class of a test, and the message and the text of what became of it."""
    (case,) = [each for each in cases if each.name == name]
    (result,) = case.result or [junitparser.Failure("")]
    return case.classname, result.message or "", result.text or ""


def test_a_failure_says_claim_cause_and_remedy_before_the_traceback(cases: list[junitparser.TestCase]) -> None:
    place, message, text = case_of(cases, "user/dns-resolves test_broken")
    assert place == "test_it"
    assert message == ("user/dns-resolves is broken: the resolver <127.0.0.1> & its kin are silent. Remedy: start it.")
    assert text.startswith(f"{message}\n\n")
    assert 'assert 0, "no answer"' in text


def test_what_is_inconclusive_or_unavailable_says_so(cases: list[junitparser.TestCase]) -> None:
    place, message, text = case_of(cases, "user/e1000 test_inconclusive[b]")
    assert place == "test_it.TestMore"
    assert message == "user/e1000 is inconclusive: OSError: no disk."
    assert "raise OSError" in text
    _, message, _ = case_of(cases, "bridge/acl-allow test_unavailable")
    assert message == "bridge/acl-allow is unavailable: no helper. Remedy: install it."


def test_what_holds_has_its_claim_in_its_name_and_no_failure(cases: list[junitparser.TestCase]) -> None:
    assert case_of(cases, "user/address test_holds") == ("test_it", "", "")


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
