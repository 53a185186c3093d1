"""`qemunet compare` of two runs: what became of each claim."""

import json
from pathlib import Path

import jsonschema
import pytest

from meta_tests.samples.results import results_of
from qemunet_tests.__main__ import exit_code
from qemunet_tests.report.session_results import write_results
from qemunet_tests.report.shapes import schema
from qemunet_tests.report.verdict_of_test import Verdict, VerdictOfTest

CLAIM = "user/address"


def run(folder: Path, verdict: Verdict | str | None, claim: str = CLAIM) -> str:
    folder.mkdir()
    tests = [VerdictOfTest(claim, Verdict(verdict), "test_it", reason="because")] if verdict else []
    write_results(results_of(*tests), folder)
    return str(folder)


@pytest.mark.parametrize(
    ("before", "after", "turn", "code"),
    [
        ("holds", "holds", None, 0),
        ("holds", "deviates", "worse", 1),
        ("holds", "broken", "worse", 1),
        ("holds", "inconclusive", "worse", 1),
        ("holds", "unavailable", "worse", 1),
        ("deviates", "broken", "worse", 1),
        ("deviates", "unavailable", "worse", 1),
        ("broken", "unavailable", "worse", 1),
        ("inconclusive", "unavailable", "worse", 1),
        ("deviates", "inconclusive", "other", 0),
        ("unavailable", "broken", "other", 0),
        ("broken", "deviates", "better", 0),
        ("unavailable", "holds", "better", 0),
        ("broken", "holds", "better", 0),
        ("holds", None, "gone", 3),
        (None, "broken", "new", 3),
    ],
)
def test_every_turn(tmp_path, capsys, before, after, turn, code):
    words = ["compare", run(tmp_path / "a", before), run(tmp_path / "b", after), "--json"]
    assert exit_code(words) == code
    *changed, end = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(each["kind"], each["claim"], each["turn"]) for each in changed] == [("claim", CLAIM, turn)] * bool(turn)
    assert (end["kind"], end["exit"]) == ("end", code)
    for line in (*changed, end):
        jsonschema.validate(line, schema("changes"))


def test_people_and_pages_are_told_why(tmp_path, capsys):
    before, after = run(tmp_path / "a", "holds"), run(tmp_path / "b", "broken")
    page = tmp_path / "page.md"
    assert exit_code(["compare", f"{before}/results.json", after, "--markdown", str(page)]) == 1
    said = capsys.readouterr().out
    assert said.splitlines()[0] == "1 took a turn for the worse, of 1 claim that both have"
    assert "  worse: user/address: holds -> broken\n    reason    because" in said
    assert "| user/address | holds | broken | because |" in page.read_text()


def test_what_is_no_result_is_refused_in_one_line(tmp_path, capsys):
    good = run(tmp_path / "a", "holds")
    for content in ("", "{}", '{"schema": 1}', "[]"):
        (tmp_path / "results.json").write_text(content)
        assert exit_code(["compare", good, str(tmp_path)]) == 2
        assert exit_code(["compare", good, str(tmp_path / "results.json")]) == 2
    assert exit_code(["compare", good, str(tmp_path / "nowhere")]) == 2
    assert exit_code(["compare", good, good, "--factor", "any"]) == 2
    assert exit_code(["compare", good]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 11
