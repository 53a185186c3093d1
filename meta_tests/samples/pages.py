"""Results that a page is drawn from: a broken host, whoever wishes its reader ill, and more claims than there are."""

from typing import Any

from meta_tests.samples.results import results_of
from qemunet_tests.claims import load
from qemunet_tests.host.obstacle import LostFrame
from qemunet_tests.report.shapes import Results
from qemunet_tests.report.verdict_of_test import Verdict, VerdictOfTest

QEMU = {"path": "/usr/bin/qemu-system-x86_64", "version": "7.2.22", "slirp": "4.7.0"}
ACCEL = {"used": "tcg", "reason": "there is no /dev/kvm, though the processor could do it (sudo modprobe kvm_intel)"}
HELPER = "/usr/lib/qemu/qemu-bridge-helper is neither setuid root nor has it CAP_NET_ADMIN (mode 0755)"
HELPER_REMEDY = "sudo dpkg-statoverride --update --add root root 4755 /usr/lib/qemu/qemu-bridge-helper"
FIREWALL = "table inet wall, chain guard: tcp dport 7007 drop"
FIREWALL_REMEDY = "sudo nft delete rule inet wall guard handle 2"
LOST = LostFrame("TCP connection to 192.168.1.10:7007", ("the guest's NIC", "br0"), "the guest's NIC", "br0")
PRIVILEGE = "this user namespace has no root that a setuid bit could turn QEMU's user into"


def lab_results(*findings: VerdictOfTest, **facts: Any) -> Results:
    return results_of(*findings, **{"qemu": QEMU, "accel": ACCEL, **facts})


def healthy_run() -> Results:
    return lab_results(*(_holds(claim) for claim in load()))


def broken_host() -> Results:
    """Every claim of bridged mode lacks the setuid bit, two of user mode meet a firewall; some cannot be tried."""
    return lab_results(*(_on_a_broken_host(claim) for claim in load()))


def _on_a_broken_host(claim: str) -> VerdictOfTest:
    mode, _, slug = claim.partition("/")
    test = f"qemunet_tests.conformance.test_{mode}::test_{slug.replace('-', '_')}"
    if f"{mode}/{slug}" in ("bridge/setuid-works", "bridge/acl-missing", "user/no-privilege"):
        return VerdictOfTest(claim, Verdict.UNAVAILABLE, test, reason=PRIVILEGE, remedy="run as root")
    if mode == "bridge":
        return VerdictOfTest(
            claim, Verdict.BROKEN, test, 2.0, "a lease", "no tap", HELPER, HELPER_REMEDY, cause="helper-1"
        )
    if slug in ("reach-lan-tcp", "bulk-both-ways"):
        why = f"the TCP connection was seen at the guest's NIC and not at br0, where this stands: {FIREWALL}"
        observed = "192.168.1.10:7007 does not answer by TCP"
        return VerdictOfTest(
            claim, Verdict.BROKEN, test, 9.0, "192.168.1.10:7007 answers by TCP", observed, why, FIREWALL_REMEDY,
            artifacts=(f"out/artifacts/test_{slug}/guest-1",), cause="where_lost-2", lost=LOST,
        )  # fmt: skip
    if slug == "lease-time":
        return VerdictOfTest(claim, Verdict.BROKEN, test, 1.0, "86400 s", "43200 s", "assert 43200 == 86400")
    if slug == "hostfwd-udp":
        return VerdictOfTest(claim, Verdict.DEVIATES, test, 3.0, "answers", "no answer", "known of libslirp 4.7")
    return _holds(claim)


def _holds(claim: str) -> VerdictOfTest:
    return VerdictOfTest(claim, Verdict.HOLDS, f"test::{claim}", 1.1, "as promised", "as promised", cpu_seconds=0.9)


#: What a name server, a console or the name of a host may say, and a page must show as it is.
HOSTILE = (
    "<script>document.title='taken'</script>",
    "</script><script>document.title='taken'</script>",
    "<img src=x onerror=\"document.title='taken'\">",
    "\"' onmouseover='document.title=1' x='",
    "<!-- <script>",
    "{{ 7 * 7 }}{% raw %}",
    "</style><style>body{display:none}</style>",
    "</title><base href='http://127.0.0.1:9/'>",
    "javascript:document.title='taken'",
)


def hostile_run() -> Results:
    """Every text of the document is hostile, one after the other."""
    findings = [
        VerdictOfTest(
            f"user/{text}", list(Verdict)[number % 5], text, 1.0, text, text, text, text,
            artifacts=(f"/x/artifacts/{text}/{text}",), cause=text, lost=LostFrame(text, (text, "br0"), text, "br0"),
        )
        for number, text in enumerate(HOSTILE)
    ]  # fmt: skip
    made = results_of(*findings, qemu={"path": HOSTILE[0], "version": HOSTILE[1]}, notes=list(HOSTILE))
    packets = [{"nic": HOSTILE[0], "line": HOSTILE[2], "count": 2, "first_seconds": 0.0, "last_seconds": 1.0}]
    verdicts = [
        {**each.model_dump(), "says": text, "topic": text, "packets": packets,
         "source": {"document": text, "section": text, "url": None}}
        for each, text in zip(made.verdicts, HOSTILE, strict=True)
    ]  # fmt: skip
    host = {**made.host.model_dump(), "name": HOSTILE[1], "distribution": HOSTILE[2]}
    return Results.model_validate(
        {**made.model_dump(by_alias=True), "host": host, "verdicts": verdicts, "command": HOSTILE[3]}
    )


def many_claims(count: int = 400) -> Results:
    """As many claims as the contract may have: those of the broken host, over and over."""
    known = broken_host()
    verdicts = [
        each.model_copy(update={"claim": f"{each.claim}-{number}"})
        for number in range(count)
        for each in [known.verdicts[number % len(known.verdicts)]]
    ]
    modes = list(dict.fromkeys(each.mode for each in known.verdicts))
    ordered = sorted(verdicts, key=lambda each: modes.index(each.mode))
    return known.model_copy(update={"verdicts": ordered})
