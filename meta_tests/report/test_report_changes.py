"""`qemunet compare` of two runs: what became of each claim."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from meta_tests.samples.results import results_of, verdict_of
from qemunet_tests.__main__ import exit_code
from qemunet_tests.report.changes import LIMIT_BYTES, changes
from qemunet_tests.report.session_results import write_results
from qemunet_tests.report.shapes import Results, schema
from qemunet_tests.report.showing_changes import lines
from qemunet_tests.report.verdict_of_test import Verdict, VerdictOfTest

CLAIM = "user/address"


def run(folder: Path, verdict: Verdict | str | None, claim: str = CLAIM, **facts: Any) -> str:
    folder.mkdir()
    tests = [VerdictOfTest(claim, Verdict(verdict), "test_it", reason="because")] if verdict else []
    write_results(results_of(*tests, **facts), folder)
    return str(folder)


def seen(claim: str, expected: str | None, observed: str, verdict: str = "holds", reason: str | None = None) -> Results:
    """A run of one claim."""
    return results_of(VerdictOfTest(claim, Verdict(verdict), "test_it", 1.0, expected, observed, reason))


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


POOL = "192.168.1.100 to 192.168.1.199"
LAN = "10.7.0.0/24"


@pytest.mark.parametrize(
    ("claim", "expected", "before", "after", "kinds"),
    [
        # Drawn.
        ("bridge/lease-address", POOL, "192.168.1.113", "192.168.1.150", ["leases"]),
        ("tap/lease-address", LAN, "10.7.0.113/24", "10.7.0.150/24", ["leases"]),
        ("bridge/reachable-tcp", None, "192.168.1.110:34567 answers", "192.168.1.111:34567 answers", ["leases"]),
        ("user/hostfwd-several", None, "tcp:127.0.0.1:40001-:22", "tcp:127.0.0.1:50123-:22", ["ports"]),
        ("user/hostfwd-several", None, "QEMU listens at port 40001", "QEMU listens at port 60123", ["ports"]),
        ("bridge/mac-unique", None, "52:54:00:9a:01:02 behind tap0", "52:54:00:11:99:ff behind tap3",
         ["MAC addresses", "interfaces"]),
        ("user/x", None, "fec0::5054:ff:fe9a:102 is up", "fec0::5054:ff:fe11:99ff is up", ["interface ids"]),
        ("user/x", None, "smbd has pid 4123, CPU 1", "smbd has pid 23, CPU 0", ["pids", "processors"]),
        ("user/x", None, "in /tmp/qemunet-ab12/x", "in /tmp/qemunet-zz98/x", ["temporary files"]),
        ("user/x", None, "at 2026-11-28T22:10:03+00:00", "at 2026-11-29T01:00:59+00:00", ["times"]),
        ("user/x", None, f"SHA256:{'a' * 43}", f"SHA256:{'b' * 43}", ["digests"]),
        # Measured.
        ("bridge/stp-delays-lease", "a lease after 30 s with spanning tree, at once without",
         "offered a lease after 38.7 s with spanning tree, 7.9 s without",
         "offered a lease after 31 s with spanning tree, 0.4 s without", ["seconds"]),
        ("user/throughput-below-bridge", "a ratio below 1", "0.07 to 0.08 of bridged mode's rate, 3.2 Gbit/s",
         "0.4 to 0.51 of bridged mode's rate, 900 Mbit/s", ["rates", "ratios"]),
        ("user/bulk-both-ways", "all of it", "10485000 of 10485760 bytes", "7 of 10485760 bytes", ["sizes"]),
        ("user/x", "30 s", "31.2 s", "30.4 s", ["seconds"]),
    ],
)  # fmt: skip
def test_what_differs_by_chance_is_no_change(
    claim: str, expected: str | None, before: str, after: str, kinds: list[str]
) -> None:
    found = changes(seen(claim, expected, before), seen(claim, expected, after))
    assert (found.claims, found.by_chance, sorted(found.kinds)) == ((), (claim,), sorted(kinds))
    assert found.reason == "no difference in 1 claim that both have"
    assert found.exit_code == 0


@pytest.mark.parametrize(
    ("claim", "expected", "before", "after", "verdict"),
    [
        # An address that nobody draws; one that comes from elsewhere; one that is promised.
        ("user/address", "10.0.2.15/24", "10.0.2.15/24", "10.0.2.16/24", "holds"),
        ("bridge/lease-address", POOL, "192.168.1.113", "192.168.1.99", "holds"),
        ("bridge/lease-dns", "10.7.0.1", "10.7.0.1", "10.7.0.2", "broken"),
        ("user/x", LAN, "10.7.0.113/24", "10.7.0.150/24", "holds"),
        ("user/address", "10.0.2.15/24", "10.0.2.15/24", "10.0.2.15/16", "holds"),
        ("user/x", "fec0::2", "fec0::2", "fec0::3", "holds"),
        ("user/x", None, "fec0::5054:ff:fe9a:102", "fd00::5054:ff:fe9a:102", "holds"),
        # What everybody has alike.
        ("user/x", None, "52:54:00:12:34:56", "52:54:00:12:34:57", "holds"),
        ("user/x", None, "from 52:55:0a:00:02:02", "from 52:55:0a:00:02:03", "holds"),
        ("user/x", None, "192.168.1.10:7007 answers", "192.168.1.10:7008 answers", "holds"),
        # Words and counts.
        ("user/icmp-gateway", None, "3 of 3 echo requests answered", "2 of 3 echo requests answered", "broken"),
        ("user/x", None, "GRE, SCTP arrived", "GRE arrived", "deviates"),
        ("user/x", None, "MTU 1500", "MTU 1400", "holds"),
        ("user/x", None, "SMB 3.1 is spoken", "SMB 2.1 is spoken", "holds"),
        # Measures that are what the promise is about.
        ("user/lease-time", "86400 s", "86400 s", "43200 s", "holds"),
        ("user/lease-time", "86400 s", "60 s", "120 s", "broken"),
        ("user/x", "of 1472 bytes 3 of 3", "of 1472 bytes 3 of 3", "of 1400 bytes 3 of 3", "holds"),
    ],
)  # fmt: skip
def test_every_other_value_is_told(claim: str, expected: str | None, before: str, after: str, verdict: str) -> None:
    found = changes(seen(claim, expected, before, verdict), seen(claim, expected, after, verdict))
    assert [(each.turn, each.before, each.after) for each in found.claims] == [("value", verdict, verdict)]
    assert (found.claims[0].observed_before, found.claims[0].observed) == (before, after)
    assert (found.exit_code, found.by_chance) == (0, ())
    said = list(lines(found))
    assert said[:3] == [
        "1 rests on other values, of 1 claim that both have", f"  value: {claim}: {verdict}",
        f"    observed  {after} (before: {before})",
    ]  # fmt: skip


def test_the_same_verdict_for_another_reason_and_another_promise_are_told() -> None:
    broken = [seen(CLAIM, None, "no lease", "broken", why) for why in ("br0 is down, for 3 s", "br0 is down, for 4 s")]
    assert changes(*broken).claims == ()
    other = changes(broken[0], seen(CLAIM, None, "no lease", "broken", "the firewall drops it"))
    assert "    reason    the firewall drops it (before: br0 is down, for 3 s)" in list(lines(other))
    promised = changes(seen(CLAIM, "10.7.0.1", "10.7.0.1"), seen(CLAIM, "10.7.0.9", "10.7.0.9"))
    assert "    expected  10.7.0.9 (before: 10.7.0.1)" in list(lines(promised))
    drawn = changes(seen(CLAIM, "192.168.1.120", "192.168.1.120"), seen(CLAIM, "192.168.1.121", "192.168.1.121"))
    assert (drawn.claims, drawn.kinds) == ((), ("leases",))


def test_what_changed_on_the_host_is_told_in_parts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    host = {"kernel": "6.1", "distribution": "Debian 12", "cpus": 2, "id": "a", "name": "a"}
    folders = [
        run(tmp_path / "a", "holds", host=host, qemu={"version": "7.2.22", "slirp": "4.7.0", "path": "/usr/bin/q"}),
        run(tmp_path / "b", "holds", host={**host, "kernel": "6.12"},
            qemu={"version": "11.1.3", "slirp": "4.9.5", "path": "/usr/bin/q"}),
    ]  # fmt: skip
    for folder, packages in zip(
        folders, ({"passt": "1", "samba": "2"}, {"passt": "3", "dnsmasq-base": "4"}), strict=True
    ):
        file = Path(folder) / "results.json"
        document = json.loads(file.read_text())
        document["host"]["packages"] = packages
        file.write_text(json.dumps(document))
    page = tmp_path / "page.md"
    assert exit_code(["compare", *folders, "--json", "--markdown", str(page)]) == 0
    *none, end = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert none == []
    assert [tuple(each.values()) for each in end["host"]] == [
        ("kernel", "6.1", "6.12"), ("QEMU", "7.2.22", "11.1.3"), ("libslirp", "4.7.0", "4.9.5"),
        ("package dnsmasq-base", None, "4"), ("package passt", "1", "3"), ("package samba", "2", None),
    ]  # fmt: skip
    assert end["differences"][0] == "kernel: 6.1 -> 6.12"
    jsonschema.validate(end, schema("changes"))
    assert "| package passt | 1 | 3 |" in page.read_text()


def test_what_one_of_the_runs_had_not_is_said_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    qemu = {"version": "7.2.22", "path": "/usr/bin/q"}
    own = {"path": "/tmp/libslirp.so.0", "version": None, "build": None, "instead_of": "/lib/libslirp.so.0"}
    folders = [
        run(tmp_path / "a", "holds", qemu={**qemu, "slirp": "4.7.0", "own_libslirp": own}),
        run(tmp_path / "b", "holds", qemu=qemu),
    ]
    for folder, packages in zip(folders, ({"passt": "1"}, {}), strict=True):
        file = Path(folder) / "results.json"
        document = json.loads(file.read_text())
        document["host"]["packages"] = packages
        file.write_text(json.dumps(document))
    page = tmp_path / "page.md"
    assert exit_code(["compare", *folders, "--markdown", str(page)]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        "  differs: libslirp: 4.7.0 -> QEMU had none that could be seen",
        "  differs: libslirp of one's own: /tmp/libslirp.so.0 -> none, the installed one",
        "  differs: package passt: 1 -> not installed",
    ]
    assert "| libslirp | 4.7.0 | QEMU had none that could be seen |" in page.read_text()


def test_people_and_pages_are_told_why(tmp_path, capsys):
    before, after = run(tmp_path / "a", "holds"), run(tmp_path / "b", "broken")
    page = tmp_path / "page.md"
    assert exit_code(["compare", f"{before}/results.json", after, "--markdown", str(page)]) == 1
    said = capsys.readouterr().out
    assert said.splitlines()[0] == "1 took a turn for the worse, of 1 claim that both have"
    assert "  worse: user/address: holds -> broken\n    reason    because" in said
    assert "| user/address | holds | broken | because |" in page.read_text()


def test_one_cause_is_told_once_whatever_took_a_turn_by_it(tmp_path, capsys):
    """Twenty claims that lack a setuid bit are one finding, yesterday and today as well."""
    slugs = ("lease-address", "lease-dns", "reach-lan", "icmp")
    broken = [
        VerdictOfTest(f"bridge/{slug}", Verdict.BROKEN, "t", reason="no setuid bit", remedy="chmod", cause="helper-1")
        for slug in slugs
    ]
    untried = [VerdictOfTest(f"user/{slug}", Verdict.UNAVAILABLE, "t", reason="no QEMU") for slug in ("a", "b")]
    # That two look alike does not prove one cause.
    alike = [VerdictOfTest(f"user/{slug}", Verdict.BROKEN, "t", reason="no answer") for slug in ("c", "d")]
    after = results_of(*broken, *untried, *alike)
    before = results_of(*(VerdictOfTest(each.claim, Verdict.HOLDS, "t") for each in after.verdicts))
    for name, results in (("a", before), ("b", after)):
        (tmp_path / name).mkdir()
        write_results(results, tmp_path / name)
    page = tmp_path / "page.md"
    assert exit_code(["compare", str(tmp_path / "a"), str(tmp_path / "b"), "--markdown", str(page)]) == 1
    said = capsys.readouterr().out
    assert (said.count("no setuid bit"), said.count("chmod"), said.count("no QEMU")) == (1, 1, 1)
    assert said.count("    reason    no answer") == 2
    first = next(each.claim for each in after.verdicts if each.cause)
    assert said.count(f": holds -> broken, for the same cause as {first}\n") == len(slugs) - 1
    assert said.count(": holds -> unavailable, for the same reason as user/a\n") == 1
    assert page.read_text().count("no setuid bit") == 1
    assert page.read_text().count(f"for the same cause as {first} |") == len(slugs) - 1
    exit_code(["compare", str(tmp_path / "a"), str(tmp_path / "b"), "--json"])
    *told, _ = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    # Scripts read each line alone.
    assert {each["reason"] for each in told} == {"no setuid bit", "no QEMU", "no answer"}
    assert [each["same_as"] for each in told].count(first) == len(slugs) - 1


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


@pytest.mark.parametrize(("command", "further"), [("compare", ("good", "large")), ("report", ("large",))])
def test_results_larger_than_any_run_writes_are_refused(tmp_path, capsys, command, further):
    """They would be read, and they are whole as far as the limit; behind it is more than any memory holds."""
    run(tmp_path / "good", "holds")
    run(tmp_path / "large", "holds")
    file = tmp_path / "large/results.json"
    with file.open("ab") as stream:
        stream.write(b" " * LIMIT_BYTES)
        stream.truncate(1 << 40)
    assert exit_code([command, *(str(tmp_path / name) for name in further)]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", f"qemunet: {file} has no results: it is larger than 64 MB\n")


def test_what_only_one_run_has_is_not_counted_among_what_both_have() -> None:
    address, gateway = (verdict_of(Verdict.HOLDS, slug) for slug in ("address", "gateway"))
    assert changes(results_of(address, gateway), results_of(address)).reason == (
        "no difference in 1 claim that both have; 1 was not tried again"
    )
