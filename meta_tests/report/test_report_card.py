"""The report card, and its sentence about a mode."""

import io
import re

import pytest
from rich.console import Console

from meta_tests.samples.pages import PRIVILEGE, broken_host, many_claims
from meta_tests.samples.results import FINDINGS, LONG_PATH, SAYS, results_of, verdict_of
from qemunet_tests.report.card import MOST_LISTED, card_text, print_card
from qemunet_tests.report.mode_summary import mode_summary
from qemunet_tests.report.verdict_of_test import Verdict, VerdictOfTest

TOPICS_OF_MANY = {(each.mode, each.topic) for each in many_claims().verdicts}
BROKEN_BY_THE_HELPER = sum(each.cause == "helper-1" for each in broken_host().verdicts)


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


def test_a_cause_is_said_once_and_what_it_broke_named_beside_it() -> None:
    whole = broken_host()
    few = [
        each for each in whole.verdicts if each.mode == "bridge" or each.claim in ("user/address", "user/no-privilege")
    ]
    text = card_text(whole.model_copy(update={"verdicts": few}), {}, width=100)
    lines = text.splitlines()
    assert "  broken        acl-allow                 as bridge/helper-found: no tap" in lines
    assert "  unavailable   setuid-works              as user/no-privilege" in lines
    assert [line for line in lines if "(mode 0755)" in line and line.startswith(" " * 16)] != []
    assert text.count("is neither setuid root nor") == 2  # where it is told, and where the mode is given up on
    assert f"{BROKEN_BY_THE_HELPER} claims are broken by one cause, that of bridge/helper-found; sudo" in text
    assert text.count(PRIVILEGE[:40]) == 1


def test_claims_that_look_alike_without_a_known_cause_are_told_each() -> None:
    alike = [verdict_of(Verdict.BROKEN, slug, "no answer") for slug in ("address", "gateway")]
    text = card_text(results_of(*alike), {})
    assert text.count("                reason    no answer") == 2
    assert "by one cause" not in text


SEEN = "0 of 3 echo requests answered: neither ping_group_range nor a capability lets QEMU ping"
LONG_SLUGS = ("hostfwd-ipv4-off", "ip6-dhcpv6-server-id-of-thirty")


@pytest.mark.parametrize("width", [80, 60, 50])
@pytest.mark.parametrize("slugs", [("icmp-predicted",), LONG_SLUGS], ids=["short", "long"])
def test_what_was_seen_of_what_holds_is_whole_at_a_terminal(width: int, slugs: tuple[str, ...]) -> None:
    found = [verdict_of(Verdict.HOLDS, slug, observed=SEEN) for slug in slugs]
    lines = card_text(results_of(*found), {}, width).splitlines()
    listed = lines[lines.index("user") + 1 : lines.index("", lines.index("user"))]
    said = " ".join(listed).split()
    assert said == [word for slug in slugs for word in ["holds", slug, *SEEN.split()]]
    assert [line for line in listed if len(line) > width] == []


def test_what_broke_by_one_cause_is_whole_at_a_terminal() -> None:
    lines = card_text(broken_host(), {}, width=60).splitlines()
    assert [line for line in lines if "…" in line] == []


def test_in_a_pipe_what_was_seen_is_one_line() -> None:
    stream = io.StringIO()
    print_card(Console(file=stream, width=80), results_of(verdict_of(Verdict.HOLDS, observed=SEEN * 3)), {})
    assert f"  holds         address  {SEEN * 3}\n" in stream.getvalue()


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
            "user: the one promise of those tried that could be judged is broken, address: no DHCP",
        ),
        ([verdict_of(Verdict.BROKEN, reason="no DHCP")], "user: the one promise tried is broken, address: no DHCP"),
        (
            [verdict_of(Verdict.BROKEN, reason="no DHCP"), verdict_of(Verdict.BROKEN, "gateway")],
            "user: none of the promises tried is seen to hold; address, gateway are broken: no DHCP",
        ),
        (
            [
                verdict_of(Verdict.BROKEN, slug, reason="no DHCP")
                for slug in ("address", "gateway", "e1000", "dns-offered", "dns-resolves")
            ],
            "user: not usable: no DHCP",
        ),
        ([verdict_of(Verdict.INCONCLUSIVE, reason="QEMU died")], "user: nothing was learned: QEMU died"),
        ([verdict_of(Verdict.UNAVAILABLE, reason="no KVM")], "user: cannot be tried here: no KVM"),
    ],
)
def test_the_conclusion_of_a_mode(findings: list[VerdictOfTest], sentence: str) -> None:
    assert mode_summary("user", results_of(*findings).verdicts) == sentence


def test_of_what_is_not_named_the_number_is_told() -> None:
    findings = [verdict_of(Verdict.BROKEN), verdict_of(Verdict.DEVIATES, "gateway"), verdict_of(Verdict.HOLDS, "e1000")]
    said = mode_summary("user", results_of(*findings).verdicts, unnamed={Verdict.DEVIATES})
    assert said == "user: 1 of 3 promises hold; 1 is broken: address; 1 deviates"


def test_of_many_claims_the_topics_are_told_and_each_reason_once() -> None:
    """Two screens: what holds is a line a topic, what could not be tried a line a reason, and what broke comes last."""
    lines = card_text(many_claims(), {}, width=100).splitlines()
    topics = [number for number, line in enumerate(lines) if re.search(r" \d+ of \d+ hold", line)]
    assert len(topics) == len(TOPICS_OF_MANY)
    assert not [line for line in lines if line.startswith("  holds")]
    assert max(topics) < min(number for number, line in enumerate(lines) if line.startswith("  broken"))
    untried = [each for each in many_claims().verdicts if each.verdict is Verdict.UNAVAILABLE]
    reasons = {(each.reason, each.remedy) for each in untried}
    assert len([line for line in lines if line.startswith("unavailable")]) == len(reasons)


def test_whoever_wants_it_sees_each_of_many_claims() -> None:
    stream = io.StringIO()
    print_card(Console(file=stream, width=100), many_claims(), {}, detail="full")
    listed = [line for line in stream.getvalue().splitlines() if re.match(rf"  ({'|'.join(Verdict)}) ", line)]
    assert len(listed) == len(many_claims().verdicts)


def test_of_a_mode_of_many_claims_in_which_nothing_works_that_is_said() -> None:
    dead = [verdict_of(Verdict.BROKEN, f"claim-{number}", "no DHCP") for number in range(MOST_LISTED + 1)]
    assert "user: not usable: no DHCP" in card_text(results_of(*dead), {})
