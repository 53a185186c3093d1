"""The rung above a guest: with its lease, of the mode that the test's claim is about."""

from pathlib import Path

import junitparser
import pytest

from meta_tests.qemunet_command import conduct

TESTS = """
import pytest
from pathlib import Path
from types import SimpleNamespace

class Guest(SimpleNamespace):
    folder = Path("/nowhere")
    def await_lease(self, nic, within_seconds): return self.told

@pytest.fixture
def user_guest(): return Guest(name="user", told="ip=10.0.2.15")

@pytest.fixture
def bridge_guest(): return Guest(name="bridge", told=None)

@pytest.fixture
def bench(): pass

@pytest.fixture
def target(): pass

@pytest.mark.claim("user/address")
def test_leased(leased_guest): assert leased_guest.name == "user"

@pytest.mark.claim("bridge/lease-address")
def test_not_leased(leased_guest): raise OSError("a test without its lease was begun")

@pytest.mark.claim("bridge/lease-dns")
def test_of_its_own(guest): assert guest.name == "bridge"

@pytest.mark.parametrize("mode", ["user"])
def test_without_a_claim(leased_guest): assert leased_guest.name == "user"

def test_of_no_mode(guest): pass
"""


@pytest.fixture(scope="module")
def became(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The elements of junit.xml that say what became of each test."""
    folder: Path = tmp_path_factory.mktemp("leased")
    conduct(folder, TESTS, "-n", "0", "--report", "out")
    (suite,) = junitparser.JUnitXml.fromfile(str(folder / "out" / "junit.xml"))
    return {
        case.name.split(" ")[-1].split("[")[0]: [f"{type(each).__name__}: {each.message}" for each in case.result or ()]
        for case in suite
    }


def test_a_guest_is_of_the_mode_that_the_claim_is_about(became: dict[str, list[str]]) -> None:
    assert (became["test_leased"], became["test_of_its_own"], became["test_without_a_claim"]) == ([], [], [])
    assert ["cites a claim" in each for each in became["test_of_no_mode"]] == [True]


def test_without_a_lease_a_test_fails_before_its_first_line_and_is_no_error(became: dict[str, list[str]]) -> None:
    assert became["test_not_leased"] == ["Failure: bridge/lease-address is broken: the guest got no lease."]
