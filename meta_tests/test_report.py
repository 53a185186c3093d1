"""The report: results.json, its schema, the card, the conclusion, the summary, exit codes, and progress."""

import html
import io
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from markdown_it import MarkdownIt
from rich.console import Console

from qemunet_tests.report.book import Book, exit_code, write_results
from qemunet_tests.report.card import card_text
from qemunet_tests.report.conclusion import conclusion
from qemunet_tests.report.facts import SessionFacts, merged
from qemunet_tests.report.finding import Finding, Verdict
from qemunet_tests.report.progress import LiveLine, PlainLines, display
from qemunet_tests.report.shapes import DOCUMENTS, SCHEMAS, Results, schema_text
from qemunet_tests.report.summary import markdown

pytest_plugins = "pytester"

LONG_PATH = "/var/tmp/" + "a-long-folder-name/" * 6 + "repro.sh"
FINDINGS = (
    Finding("user/address", Verdict.HOLDS, "t::a", 1.1, "10.0.2.15/24", "10.0.2.15/24"),
    Finding(
        "user/dns-resolves",
        Verdict.BROKEN,
        "t::b",
        2.0,
        "the answer that the host gets",
        "SERVFAIL [bold]not markup[/bold]",
        "the resolver that comes first in /etc/resolv.conf, 127.0.0.1, does not answer anything at all",
        "repair it",
        (LONG_PATH,),
    ),
    Finding("user/icmp-gateway", Verdict.DEVIATES, "t::c", reason="libslirp answers by itself"),
    Finding("user/e1000", Verdict.INCONCLUSIVE, "t::d", reason="the guest died"),
    Finding("bridge/acl-allow", Verdict.UNAVAILABLE, "t::e", expected="x", reason="no helper", remedy="install it"),
)
SAYS = {"user/dns-resolves": "10.0.2.3 resolves names.", "bridge/acl-allow": "The line allow br0 allows br0."}


def results_of(*findings: Finding, **facts: Any) -> Results:
    book = Book()
    book.findings.extend(findings)
    book.facts["gw0"] = SessionFacts(**facts)
    return book.results("lab")


def verdict_of(verdict: Verdict, slug: str = "address", reason: str | None = None) -> Finding:
    return Finding(f"user/{slug}", verdict, f"t::{slug}", reason=reason)


# Files


def test_the_schemas_are_those_of_the_models() -> None:
    for document in DOCUMENTS:
        file = SCHEMAS / f"{document}.json"
        assert json.loads(file.read_text()) == json.loads(schema_text(document)), (
            f"write report/schemas/{document}.json anew from shapes.schema_text({document!r})"
        )


def test_the_interface_is_what_the_schema_demands() -> None:
    schema = json.loads((SCHEMAS / "results.json").read_text())
    assert {"schema", "target", "seconds", "host", "qemu", "accel", "guests", "phases", "verdicts"} <= set(
        schema["required"]
    )
    assert set(schema["$defs"]["ClaimVerdict"]["required"]) == {
        "claim", "mode", "verdict", "expected", "observed", "reason", "remedy", "tests", "seconds",
        "artifacts",
    }  # fmt: skip
    assert schema["$defs"]["Verdict"]["enum"] == [verdict.value for verdict in Verdict]
    assert {"kernel", "distribution", "cpus"} <= set(schema["$defs"]["HostDescription"]["required"])


def test_the_doctors_schema_takes_the_documented_shape_and_no_other() -> None:
    schema = json.loads((SCHEMAS / "doctor.json").read_text())
    capability = {"id": "kvm", "state": "caution", "modes": ["user"], "reason": "odd", "remedy": None}
    document = {
        "schema": 1,
        "capabilities": [capability],
        "modes": {"user": {"possible": True, "reason": None}},
    }
    jsonschema.validate(document, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**document, "capabilities": [{**capability, "state": "maybe"}]}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"capabilities": [], "modes": {}}, schema)


def test_results_keep_the_shape_and_name_the_machine(tmp_path: Path) -> None:
    facts = {
        "qemu": {"path": "/q", "version": "7.2.22", "slirp": "4.7.0"},
        "accel": {"used": "tcg", "reason": "r"},
    }
    results = results_of(*FINDINGS, **facts, host={"distribution": "Debian", "bios": "SeaBIOS"})
    document = json.loads(write_results(results, tmp_path).read_text())
    jsonschema.validate(document, json.loads((SCHEMAS / "results.json").read_text()))
    assert document["schema"] == 1
    assert document["accel"] == {"used": "tcg", "reason": "r"}
    # What fixtures know goes before, and beside, what this process sees.
    assert document["host"]["distribution"] == "Debian"
    assert document["host"]["bios"] == "SeaBIOS"
    assert document["host"]["cpus"] >= 1
    assert [each["claim"] for each in document["verdicts"]] == [
        "user/address", "user/dns-resolves", "user/icmp-gateway", "user/e1000", "bridge/acl-allow"
    ]  # fmt: skip


def test_results_are_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_results(results_of(FINDINGS[0]), tmp_path)
    before = file.read_text()

    def full(self: Path, text: str, encoding: str) -> None:
        with self.open("w") as stream:
            stream.write(text[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space left"):
        write_results(results_of(*FINDINGS), tmp_path)
    assert file.read_text() == before
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]


def test_facts_of_several_processes() -> None:
    first = SessionFacts(phases={"image": 0.0, "templates": 3.0, "tests": 0.0}, notes=["a"])
    second = SessionFacts(host={"kernel": "6"}, guests={"booted": 2, "thawed": 5, "peers": 0}, notes=["a", "b"])
    third = SessionFacts(host={"kernel": "7"}, guests={"booted": 1, "thawed": 0, "peers": 9}, phases={"templates": 4.0})
    whole = merged([first, second, third])
    assert whole.host == {"kernel": "6"}
    assert whole.guests == {"booted": 3, "thawed": 5, "peers": 9}
    assert whole.phases["templates"] == 4.0
    assert whole.notes == ["a", "b"]


# Exit codes


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        ([Verdict.HOLDS], 0),
        ([Verdict.HOLDS, Verdict.DEVIATES, Verdict.UNAVAILABLE], 0),
        ([Verdict.DEVIATES], 0),
        ([Verdict.HOLDS, Verdict.INCONCLUSIVE], 3),
        ([Verdict.BROKEN, Verdict.INCONCLUSIVE, Verdict.HOLDS], 1),
        ([Verdict.UNAVAILABLE, Verdict.UNAVAILABLE], 3),
        ([], 3),
    ],
)
def test_exit_codes(verdicts: list[Verdict], code: int) -> None:
    slugs = ("address", "gateway", "e1000")
    findings = [verdict_of(verdict, slug) for verdict, slug in zip(verdicts, slugs, strict=False)]
    results = results_of(*findings)
    assert exit_code(results) == code
    assert exit_code(results, trouble=True) == (1 if code == 1 else 3)
    interrupted = results.model_copy(update={"interrupted": True})
    assert exit_code(interrupted) == (1 if code == 1 else 3)


# The card


@pytest.mark.parametrize("width", [80, 100, 60])
def test_the_card_fits_its_width_and_breaks_no_path(width: int) -> None:
    text = card_text(results_of(*FINDINGS, qemu={"version": "7.2.22", "path": "/q"}), SAYS, width)
    assert "\x1b" not in text
    too_long = [line for line in text.splitlines() if len(line) > width and "/" not in line]
    assert too_long == []
    assert LONG_PATH in text
    assert [line for line in text.splitlines() if line != line.rstrip()] == []


def test_the_card_says_what_a_reader_needs() -> None:
    text = card_text(results_of(*FINDINGS), SAYS)
    lines = [line.rstrip() for line in text.splitlines()]
    assert "  holds         address       10.0.2.15/24" in lines
    assert "  broken        dns-resolves" in lines
    assert "                promise   10.0.2.3 resolves names." in lines
    assert "                expected  the answer that the host gets" in lines
    assert "                observed  SERVFAIL [bold]not markup[/bold]" in lines
    assert "                remedy    repair it" in lines
    assert "  deviates      icmp-gateway" in lines
    assert "                reason    libslirp answers by itself" in lines
    # What could not be tried has no expectation to compare with.
    unavailable = lines[lines.index("  unavailable   acl-allow") :]
    assert unavailable[1:4] == [
        "                reason    no helper",
        "                remedy    install it",
        "",
    ]
    assert "5 claims: 1 holds, 1 deviates, 1 broken, 1 inconclusive, 1 unavailable" in lines


def test_an_interrupted_card_says_so() -> None:
    results = results_of(FINDINGS[0]).model_copy(update={"interrupted": True})
    assert "interrupted" in card_text(results, SAYS)
    assert "interrupted" not in card_text(results_of(FINDINGS[0]), SAYS)


def test_a_card_about_nothing() -> None:
    assert "no claim was tried" in card_text(results_of(), SAYS)


@pytest.mark.parametrize(
    ("findings", "sentence"),
    [
        ([verdict_of(Verdict.HOLDS)], "user: the one promise tried holds"),
        (
            [verdict_of(Verdict.HOLDS), verdict_of(Verdict.HOLDS, "gateway")],
            "user: all 2 promises hold",
        ),
        (
            [verdict_of(Verdict.HOLDS), verdict_of(Verdict.DEVIATES, "gateway")],
            "user: 1 of 2 promises hold; 1 deviates: gateway",
        ),
        (
            [
                verdict_of(Verdict.HOLDS),
                verdict_of(Verdict.BROKEN, "gateway"),
                verdict_of(Verdict.BROKEN, "e1000"),
                verdict_of(Verdict.UNAVAILABLE, "dns-offered"),
            ],
            "user: 1 of 4 promises hold; 2 are broken: gateway, e1000; 1 could not be tried: dns-offered",
        ),
        (
            [verdict_of(Verdict.BROKEN, reason="no DHCP"), verdict_of(Verdict.INCONCLUSIVE, "gateway")],
            "user: not usable: no DHCP",
        ),
        ([verdict_of(Verdict.INCONCLUSIVE, reason="QEMU died")], "user: nothing was learned: QEMU died"),
        ([verdict_of(Verdict.UNAVAILABLE, reason="no KVM")], "user: cannot be tried here: no KVM"),
    ],
)
def test_the_conclusion_of_a_mode(findings: list[Finding], sentence: str) -> None:
    assert conclusion("user", results_of(*findings).verdicts) == sentence


# The summary on a CI job's page


HOSTILE = "a | b `c` <img src=x> *d* [e](f) _g_ &amp; \\| ## h\nsecond  line $x$ ~~i~~ br0_nf"


def cells_of(text: str) -> list[list[str]]:
    """The rows of all tables, as a reader of the page sees them."""
    page = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(text)
    rows = re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL)
    return [[html.unescape(cell) for cell in re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row, re.DOTALL)] for row in rows]


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
    assert ["<code>user/icmp-gateway</code>", "", "", "libslirp answers by itself"] in rows
    assert ["<code>bridge/acl-allow</code>", "no helper", "install it"] in rows
    assert ["<code>user/dns-resolves</code>", "2.0"] in rows
    assert "templates 3.2 s" in text
    headings = [line for line in text.splitlines() if line.startswith("### ")]
    assert headings[0] == "### Broken"
    assert re.search(r"^- user: 1 of 4 promises hold; .*broken: dns-resolves", text, re.MULTILINE)


def test_what_a_guest_says_is_no_markup_in_the_summary() -> None:
    finding = Finding("user/address", Verdict.BROKEN, "t::a", observed=HOSTILE, reason="x" * 5_000)
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


# Progress


def console(terminal: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=80, _environ={"TERM": "xterm"})


def shown(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_plain_lines_come_one_per_finished_claim_test() -> None:
    paper = console(terminal=False)
    lines = display(paper, ticking=True)
    assert isinstance(lines, PlainLines)
    lines.expect(12)
    lines.started("a", "user/address")
    lines.finished("a", FINDINGS[0])
    lines.finished("unmarked", None)
    lines.finished("b", FINDINGS[1])
    lines.close()
    assert shown(paper) == "[ 1/12] user/address  holds  1.1 s\n[ 3/12] user/dns-resolves  broken  2.0 s\n"


def test_the_live_line_shows_what_runs_and_says_at_once_what_does_not_hold() -> None:
    screen = console(terminal=True)
    live = display(screen, ticking=False)
    assert isinstance(live, LiveLine)
    live.expect(3)
    live.started("a", "user/address")
    assert "user/address" in shown(screen)
    live.finished("a", FINDINGS[0])
    live.started("b", "user/dns-resolves")
    live.finished("b", FINDINGS[1])
    assert "broken" in shown(screen)
    assert "the resolver that comes first" in shown(screen)
    live.close()
    assert shown(screen).rstrip().endswith("\x1b[2K") or "\x1b[?25h" in shown(screen)


def test_a_dumb_terminal_gets_plain_lines() -> None:
    dumb = Console(file=io.StringIO(), force_terminal=True, _environ={"TERM": "dumb"})
    assert isinstance(display(dumb, ticking=False), PlainLines)
