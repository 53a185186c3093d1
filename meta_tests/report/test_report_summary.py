"""The summary in Markdown, on a CI job's page."""

import html
import re
from datetime import date

import pytest
from markdown_it import MarkdownIt

from meta_tests.samples.pages import HELPER, HELPER_REMEDY, PRIVILEGE, broken_host
from meta_tests.samples.results import FINDINGS, LONG_PATH, SAYS, results_of, verdict_of
from qemunet_tests.claims.known_file import KnownEntry
from qemunet_tests.report.known_claims import KnownClaims
from qemunet_tests.report.summary import markdown
from qemunet_tests.report.verdict_of_test import Verdict, VerdictOfTest

pytest_plugins = "pytester"

HOSTILE = "a | b `c` <img src=x> *d* [e](f) _g_ &amp; \\| ## h\nsecond  line $x$ ~~i~~ br0_nf"


def cells_of(text: str) -> list[list[str]]:
    """The rows of all tables, as a reader of the page sees them."""
    page = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(text)
    rows = re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL)
    return [[html.unescape(cell) for cell in re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row, re.DOTALL)] for row in rows]


def test_one_cause_is_said_once_with_all_that_it_broke() -> None:
    results = broken_host()
    text = markdown(results, SAYS)
    assert text.count(HELPER_REMEDY) == 1
    rows = cells_of(text)
    broken = [each.claim for each in results.verdicts if each.cause == "helper-1"]
    start = rows.index([f"{len(broken)} claims by one cause", "broken"])
    assert rows[start + 1 : start + 3] == [["cause", HELPER], ["remedy", HELPER_REMEDY]]
    listed = rows[start + 4 : start + 4 + len(broken)]
    assert [row[0] for row in listed] == [f"<code>{claim}</code>" for claim in broken]
    untried = [row for row in rows if len(row) == 3 and row[1] == PRIVILEGE]
    assert [row[0].count("<code>") for row in untried] == [3]


def test_the_summary_says_first_what_is_broken_with_cause_and_remedy() -> None:
    text = markdown(results_of(*FINDINGS, phases={"templates": 3.25}), SAYS)
    assert text.startswith("## qemunet: 1 of 5 claims is broken\n")
    rows = cells_of(text)
    assert rows[:2] == [["broken", "inconclusive", "deviates", "holds", "unavailable"], ["1"] * 5]
    start = rows.index(["<code>user/dns-resolves</code>", "broken"])
    assert rows[start + 1 : start + 7] == [
        ["promise", "10.0.2.3 resolves names."],
        ["expected", "the answer that the host gets"],
        ["observed", "SERVFAIL [bold]not markup[/bold]"],
        ["cause", "the resolver that comes first in /etc/resolv.conf, 127.0.0.1, does not answer anything at all"],
        ["remedy", "repair it"],
        ["artifacts", LONG_PATH],
    ]
    # Columns that would be empty are left out.
    assert ["<code>user/icmp-gateway</code>", "libslirp answers by itself"] in rows
    assert ["<code>bridge/acl-allow</code>", "no helper", "install it"] in rows
    assert ["<code>user/dns-resolves</code>", "2.0"] in rows
    assert "templates 3.2 s" in text
    headings = [line for line in text.splitlines() if line.startswith("### ")]
    assert headings[0] == "### Broken"
    assert re.search(r"^- user: 1 of 4 promises hold; .*broken: dns-resolves", text, re.MULTILINE)


def test_what_a_guest_says_is_no_markup_in_the_summary() -> None:
    finding = VerdictOfTest("user/address", Verdict.BROKEN, "t::a", observed=HOSTILE, reason="x" * 5_000)
    text = markdown(results_of(finding), {})
    rows = cells_of(text)
    first, second = HOSTILE.split("\n")
    assert ["observed", f"{first}<br>{' '.join(second.split())}"] in rows
    assert ["cause", "x" * 599 + "…"] in rows


@pytest.mark.parametrize(
    ("verdicts", "headline"),
    [
        ([Verdict.HOLDS, Verdict.DEVIATES, Verdict.UNAVAILABLE], "nothing is broken in 3 claims"),
        ([Verdict.HOLDS, Verdict.INCONCLUSIVE], "nothing is broken, 1 of 2 claims is inconclusive"),
        ([Verdict.BROKEN, Verdict.BROKEN, Verdict.INCONCLUSIVE], "2 of 3 claims are broken"),
        ([Verdict.UNAVAILABLE], "nothing could be tried"),
        ([], "nothing could be tried"),
    ],
)
def test_the_headline_of_the_summary(verdicts: list[Verdict], headline: str) -> None:
    slugs = ("address", "gateway", "e1000")
    results = results_of(*(verdict_of(each, slug) for each, slug in zip(verdicts, slugs, strict=False)))
    assert markdown(results, SAYS).splitlines()[0] == f"## qemunet: {headline}"
    if Verdict.BROKEN not in verdicts:
        stopped = results.model_copy(update={"interrupted": True})
        assert "interrupted" in markdown(stopped, SAYS).splitlines()[0]


@pytest.mark.parametrize(
    ("verdicts", "headline"),
    [
        (["broken", "holds"], "nothing new is broken in 2 claims; 1 is known, which is no news"),
        (["broken", "broken", "broken"], "1 of 3 claims is broken; 2 are known, which is no news"),
        (["inconclusive", "deviates", "broken"], "1 of 3 claims is broken; 1 is known, which is no news"),
        (["broken", "inconclusive", "inconclusive"],
         "nothing new is broken, 1 of 3 claims is inconclusive; 2 are known, which is no news"),
    ],
)  # fmt: skip
def test_the_headline_of_the_summary_is_about_news(verdicts: list[str], headline: str) -> None:
    slugs = ("address", "gateway", "e1000")
    results = results_of(*(verdict_of(Verdict(each), slug) for each, slug in zip(verdicts, slugs, strict=False)))
    entries = [
        KnownEntry(f"user/{slug}", verdict, "BUG-1", date(2999, 1, 1))
        for slug in ("address", "gateway")
        for verdict in ("broken", "inconclusive")
    ]
    text = markdown(KnownClaims(entries, "known.toml").marked(results), SAYS)
    assert text.splitlines()[0] == f"## qemunet: {headline}"
    assert "BUG-1, until 2999-01-01" in text


CITING = """
import pytest
@pytest.mark.claim("user/address")
def test_it(claim):
    claim.expects("a")
    assert claim.sees("b") == "a"
"""


def test_a_session_adds_its_summary_to_the_jobs_page(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = pytester.path / "page.md"
    page.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    pytester.makepyfile(CITING)
    pytester.runpytest_inprocess("--qemunet-target", "host", "--qemunet-report", "out")
    summary = (pytester.path / "out" / "summary.md").read_text()
    assert "1 of 1 claim is broken" in summary
    assert page.read_text() == f"before\n{summary}"


def test_a_session_about_something_else_leaves_the_jobs_page_alone(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = pytester.path / "page.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    pytester.makepyfile("def test_it(): pass")
    pytester.runpytest_inprocess()
    assert not page.exists()


def test_a_page_that_cannot_be_written_is_mentioned_and_fails_nothing(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "/proc/nothing/page.md")
    pytester.makepyfile(CITING.replace('"b"', '"a"'))
    done = pytester.runpytest_inprocess("--qemunet-target", "host", "--qemunet-report", "out")
    assert done.ret == 0
    assert "the job's page has no summary: " in done.stdout.str()
    assert (pytester.path / "out" / "summary.md").is_file()
