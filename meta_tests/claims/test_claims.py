"""Claims are well formed, and every one of them is tested or excused."""

import ast
import json
from pathlib import Path

import jsonschema
import pytest

from qemunet_tests.claims import citations, cited_by, load, matching, unmatched
from qemunet_tests.claims.cause_words import cause_words
from qemunet_tests.claims.citations import TESTS, _citations_in, files_citing
from qemunet_tests.commands.claims import claims_listing
from qemunet_tests.diagnosis.causes import SPECIAL
from qemunet_tests.errors import UsageError
from qemunet_tests.plugin.claim_marker import claim_of_location
from qemunet_tests.report.shapes import SCHEMAS

pytest_plugins = "pytester"

#: The ids that the first release promises to scripts.
FIRST_IDS = {
    *(f"user/{slug}" for slug in (
        "default-network", "address", "gateway", "dns-offered", "dns-resolves", "reach-outside-tcp",
        "reach-outside-udp", "icmp-gateway", "icmp-outside-closed", "not-reachable-unforwarded",
        "hostfwd-ssh-2222", "netdev-without-device", "e1000",
    )),
    *(f"bridge/{slug}" for slug in (
        "helper-found", "acl-allow", "acl-not-listed", "lease-address", "lease-gateway", "lease-dns",
        "lease-known-to-server", "reachable-ping", "reachable-ssh", "bulk-both-ways",
        "backend-is-tap-in-bridge",
    )),
}  # fmt: skip


def test_the_ids_that_scripts_know_are_there() -> None:
    assert set(load()) >= FIRST_IDS


def test_user_comes_before_bridge_and_a_file_keeps_its_order() -> None:
    ids = list(load())
    assert ids.index("user/e1000") < ids.index("bridge/helper-found")
    assert ids.index("user/address") < ids.index("user/dns-offered")


def test_says_is_one_plain_sentence_or_two() -> None:
    for claim in load().values():
        assert claim.says.endswith("."), claim.id
        first = claim.says.split()[0]
        # A sentence may begin with what is typed: an option, a command of the monitor.
        typed = claim.says.startswith("`") or "=" in first or "_" in first or first == "guestfwd"
        assert first[0].isupper() or first[0].isdigit() or typed, claim.id


def test_every_claim_is_tested_or_excused_and_never_both() -> None:
    cited = {citation.claim for citation in citations()}
    neither = [claim.id for claim in load().values() if claim.id not in cited and claim.untested is None]
    both = [claim.id for claim in load().values() if claim.id in cited and claim.untested]
    assert neither == []
    assert both == []


def test_the_words_for_causes_are_those_that_are_looked_for() -> None:
    assert cause_words() == set(SPECIAL)
    assert {word for claim in load().values() for word in claim.diagnosis} == set(SPECIAL)


def test_every_deviation_that_a_test_reports_is_described() -> None:
    reported = {
        (citation.claim, keyword.value.value)
        for citation in citations()
        for node in ast.walk(ast.parse(citation.file.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name == citation.function
        for call in ast.walk(node)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "deviates"
        for keyword in call.keywords
        if isinstance(keyword.value, ast.Constant)
    }
    assert ("user/icmp-outside-raw", "errors-as-answers") in reported
    described = {(claim.id, name) for claim in load().values() for name in claim.deviations}
    assert reported <= described


def test_a_few_claims_are_in_a_few_files_and_all_are_in_all() -> None:
    few = files_citing({"user/lease-time", "bridge/acl-allow"})
    assert {file.name for file in few} == {"test_bridge_acl.py", "test_user.py"}
    # A promise that all modes make is beside those of its mode.
    assert len(files_citing({each for each in load() if each.startswith("stream/")})) > 1
    assert files_citing(load()) == {*TESTS.glob("test_*.py")}


def test_no_test_cites_a_claim_that_does_not_exist() -> None:
    assert [citation for citation in citations() if citation.claim not in load()] == []


def test_every_conformance_test_cites_exactly_one_claim() -> None:
    written = [
        (file.name, node.name)
        for file in TESTS.glob("test_*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    ]
    cited = [(citation.file.name, citation.function) for citation in citations()]
    tables = [
        (file.name, node.name)
        for file in TESTS.glob("test_*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef) and "promise" in ast.dump(ast.List(node.decorator_list))
    ]
    assert [test for test in written if cited.count(test) != 1 and test not in tables] == []
    assert [test for test in tables if test not in cited] == []
    # Without this, an empty folder would pass everything above.
    assert {file for file, _ in written} >= {"test_user.py", "test_bridge.py"}


def test_globs_match_ids_and_say_which_matched_nothing() -> None:
    assert set(matching(["user/reach-outside-*"])) == {"user/reach-outside-tcp", "user/reach-outside-udp"}
    assert set(matching(["*/e1000", "user/address"])) >= {"user/e1000", "user/address"}
    assert set(matching([])) == set(load())
    assert unmatched(["user/*", "User/*", "user", "wifi/*"]) == ["User/*", "user", "wifi/*"]


def test_citations_are_found_wherever_a_marker_can_stand(tmp_path: Path) -> None:
    file = tmp_path / "test_it.py"
    file.write_text(
        """
import pytest
raise SystemExit("importing a test module is not allowed")

@pytest.mark.claim("user/address")
def test_decorated(): ...

@pytest.mark.slow
@pytest.mark.parametrize("nic", [pytest.param("a", marks=pytest.mark.claim("user/e1000")), "b"])
async def test_parameter(nic): ...

@pytest.mark.parametrize("told", [promise("user/lease-time", "seconds"), promise("bridge/lease-dns", "user/e1000")])
def test_rows(told): promise("user/reach-lan-tcp")

@pytest.mark.claim("user/gateway")
class TestGroup:
    def test_inside(self): ...
    def helper(self): ...

def test_uncited(): ...
"""
    )
    found = {(citation.claim, citation.test) for citation in citations(tmp_path)}
    assert found == {
        ("user/address", "test_it::test_decorated"),
        ("user/e1000", "test_it::test_parameter"),
        ("user/lease-time", "test_it::test_rows"),
        ("bridge/lease-dns", "test_it::test_rows"),
        ("user/gateway", "test_it::TestGroup::test_inside"),
    }
    assert cited_by(file, "test_uncited") == []
    assert cited_by(tmp_path / "nowhere.py", "test_decorated") == []


def test_a_module_wide_marker_counts(tmp_path: Path) -> None:
    file = tmp_path / "test_it.py"
    file.write_text("import pytest\npytestmark = [pytest.mark.claim('user/address')]\ndef test_a(): ...\n")
    assert [citation.claim for citation in _citations_in(file)] == ["user/address"]


def test_the_listing_has_the_promised_shape() -> None:
    document = json.loads(claims_listing([]).as_json())
    jsonschema.validate(document, json.loads((SCHEMAS / "claims.json").read_text()))
    assert list(document) == ["schema", "claims"]
    address = next(each for each in document["claims"] if each["id"] == "user/address")
    assert list(address) == ["id", "mode", "says", "source", "since", "until", "tests", "untested", "option"]
    assert address["source"] == {
        "document": "Basic networking with QEMU",
        "section": "User networking",
        "url": None,
    }
    assert next(each for each in document["claims"] if each["id"] == "user/traceroute")["since"] == "slirp 4.4"
    assert address["tests"]
    assert all(test.startswith("qemunet_tests.conformance.test_") for test in address["tests"])


def test_a_glob_that_matches_nothing_is_a_mistake() -> None:
    with pytest.raises(UsageError, match=r"wifi/\*"):
        claims_listing(["user/*", "wifi/*"])


@pytest.mark.parametrize(
    ("row", "claim"),
    [
        ("[virtio-net-pci-user/reach-lan-tcp]", "user/reach-lan-tcp"),
        ("[bridge/reach-lan]", "bridge/reach-lan"),
        ("[e1000-bridge/reach-outside2-x]", "bridge/reach-outside"),
        ("", None),
        ("[user/reach-lan]", None),
    ],
)
def test_a_row_that_never_ended_is_known_by_its_name(row: str, claim: str | None, tmp_path: Path) -> None:
    assert claim_of_location(f"test_every_mode.py::test_the_guest_reaches_others{row}", tmp_path) == claim


def test_where_one_claims_name_begins_like_anothers_the_longer_is_meant(tmp_path: Path) -> None:
    row = "test_net_monitor.py::test_a_nic_announces_itself[net/announce-interface]"
    assert claim_of_location(row, tmp_path) == "net/announce-interface"
