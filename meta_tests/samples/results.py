"""Findings of every verdict, and the results that hold them."""

from typing import Any

from qemunet_tests.report.session_info import SessionFacts
from qemunet_tests.report.session_results import SessionResults
from qemunet_tests.report.shapes import Results
from qemunet_tests.report.verdict_of_test import Verdict, VerdictOfTest

LONG_PATH = "/var/tmp/" + "a-long-folder-name/" * 6 + "repro.sh"
FINDINGS = (
    VerdictOfTest("user/address", Verdict.HOLDS, "t::a", 1.1, "10.0.2.15/24", "10.0.2.15/24"),
    VerdictOfTest(
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
    VerdictOfTest("user/icmp-gateway", Verdict.DEVIATES, "t::c", reason="libslirp answers by itself"),
    VerdictOfTest("user/e1000", Verdict.INCONCLUSIVE, "t::d", reason="the guest died"),
    VerdictOfTest(
        "bridge/acl-allow", Verdict.UNAVAILABLE, "t::e", expected="x", reason="no helper", remedy="install it"
    ),
)
SAYS = {"user/dns-resolves": "10.0.2.3 resolves names.", "bridge/acl-allow": "The line allow br0 allows br0."}


def results_of(*findings: VerdictOfTest, **facts: Any) -> Results:
    session = SessionResults()
    session.findings.extend(findings)
    session.facts["gw0"] = SessionFacts(**facts)
    return session.results("lab")


def verdict_of(
    verdict: Verdict, slug: str = "address", reason: str | None = None, observed: str | None = None
) -> VerdictOfTest:
    return VerdictOfTest(f"user/{slug}", verdict, f"t::{slug}", reason=reason, observed=observed)
