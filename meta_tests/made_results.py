"""Findings of every verdict, and the results that hold them."""

from typing import Any

from qemunet_tests.report.book import Book
from qemunet_tests.report.facts import SessionFacts
from qemunet_tests.report.finding import Finding, Verdict
from qemunet_tests.report.shapes import Results

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
