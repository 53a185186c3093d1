"""docs/generations.md, as it is written: every claim has its row, and every difference its explanation."""

from pathlib import Path

import pytest

from meta_tests import generations
from meta_tests.samples.results import results_of
from qemunet_tests.claims import load
from qemunet_tests.host import system
from qemunet_tests.report.session_results import write_results
from qemunet_tests.report.shapes import Results
from qemunet_tests.report.verdict_of_test import Verdict, VerdictOfTest

PAGE = Path(__file__).parents[2] / "docs/generations.md"
CLAIMS = ("user/address", "user/icmp-outside-raw")


def ran_on(qemu: str, slirp: str, *findings: VerdictOfTest) -> Results:
    return results_of(*findings, qemu={"path": "/q", "version": qemu, "slirp": slirp}, accel={"used": "tcg"})


OLD = ran_on(
    "7.2.22",
    "4.7.0",
    VerdictOfTest(CLAIMS[0], Verdict.HOLDS, "t"),
    VerdictOfTest(CLAIMS[1], Verdict.HOLDS, "t", observed="reply"),
)
NEW = ran_on(
    "11.1.3",
    "4.9.5",
    VerdictOfTest(CLAIMS[0], Verdict.HOLDS, "t"),
    VerdictOfTest(CLAIMS[1], Verdict.DEVIATES, "t", observed="nothing", reason="libslirp says | so"),
)


def test_columns_go_from_old_to_new_and_differences_are_explained() -> None:
    page = generations.document(generations.generations([NEW, OLD]))
    assert "| claim | 7.2.22 + 4.7.0 | 11.1.3 + 4.9.5 |" in page
    assert f"| {CLAIMS[0]} | holds | holds |" in page
    assert f"| {CLAIMS[1]} | holds | deviates |" in page
    assert f"**{CLAIMS[0]}**" not in page
    assert "  - 7.2.22 + 4.7.0: holds: reply" in page
    assert "  - 11.1.3 + 4.9.5: deviates: libslirp says | so (observed: nothing)" in page
    assert "| user/gateway | not tried | not tried |" in page
    assert generations.claims_in(page) == list(load())


def test_a_later_run_on_the_same_pair_adds_what_it_tried(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    again = ran_on("7.2.22", "4.7.0", VerdictOfTest("user/gateway", Verdict.HOLDS, "t"))
    for name, results in (("old", OLD), ("again", again)):
        (tmp_path / name).mkdir()
        write_results(results, tmp_path / name)
    generations.main([str(tmp_path / "old"), str(tmp_path / "again" / "results.json")])
    page = capsys.readouterr().out
    assert "| claim | 7.2.22 + 4.7.0 |" in page
    assert "| user/gateway | holds |" in page
    assert f"| {CLAIMS[0]} | holds |" in page


def test_a_page_that_was_written_before_is_written_on() -> None:
    alone = ran_on("7.2.22", "4.7.0", VerdictOfTest("user/gateway", Verdict.HOLDS, "t"))
    page = generations.document(
        generations.generations([alone], generations.document(generations.generations([OLD, NEW])))
    )
    assert "| user/gateway | holds | not tried |" in page
    assert f"| {CLAIMS[1]} | holds | deviates |" in page
    assert "  - 7.2.22 + 4.7.0: holds: reply" in page
    assert "  - 11.1.3 + 4.9.5: deviates: libslirp says | so (observed: nothing)" in page
    assert f"libslirp 4.7.0: {system.read().distribution}, tcg" in page
    assert ": 3 holds; exit code 0." in page
    assert generations.document(generations.generations([], page)) == page


def test_a_run_of_all_that_was_known_takes_its_place() -> None:
    """What became of the first one, exit code 1, is not said of the second, nor of what the second left out."""
    both = [VerdictOfTest(claim, Verdict.HOLDS, "t") for claim in CLAIMS[:2]]
    once = [VerdictOfTest(CLAIMS[0], Verdict.BROKEN, "t"), both[1]]
    before = generations.document(generations.generations([ran_on("7.2.22", "4.7.0", *once)]))
    assert "1 holds, 1 broken; exit code 1." in before or "1 broken, 1 holds; exit code 1." in before
    for again, codes in ((both, "0"), (both[:1], "1 and 0")):
        page = generations.document(generations.generations([ran_on("7.2.22", "4.7.0", *again)], before))
        assert f": 2 holds; exit code {codes}." in page


def test_a_page_is_written_on_without_a_report(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(generations.document(generations.generations([OLD])).replace("| user/gateway | not tried |\n", ""))
    generations.main(["--out", str(page)])
    assert "| user/gateway | not tried |" in page.read_text()
    assert f"| {CLAIMS[0]} | holds |" in page.read_text()


def test_what_is_no_report_is_said_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        generations.main([str(tmp_path)])
    said = capsys.readouterr().err
    assert (ended.value.code, said.count("\n")) == (2, 1)
    assert "is no report of qemunet" in said


def test_the_page_has_a_row_for_every_claim_and_no_other() -> None:
    assert generations.claims_in(PAGE.read_text()) == list(load()), (
        "write docs/generations.md anew: python -m meta_tests.generations REPORT… --out docs/generations.md"
    )


def test_the_page_is_about_the_four_pairs() -> None:
    (head,) = [line for line in PAGE.read_text().splitlines() if line.startswith("| claim |")]
    columns = [cell.strip() for cell in head.split("|")[2:-1]]
    pairs = [[".".join(version.split(".")[:2]) for version in column.split(" + ")] for column in columns]
    assert pairs == [["7.2", "4.7"], ["10.0", "4.8"], ["11.1", "4.8"], ["11.1", "4.9"]]


def test_nothing_on_the_page_is_broken() -> None:
    cells = [line.split("|")[2:-1] for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    assert not [row for row in cells if " broken " in row]
