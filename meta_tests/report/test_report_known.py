"""`qemunet run --known`: red for news only; what is known stays what it is, and what no longer applies is said."""

import json
import re
import signal
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from meta_tests.commands.test_cli_interrupts import running
from meta_tests.patience import limit
from meta_tests.qemunet_command import BROKEN, clean_environment, conduct, qemunet
from meta_tests.samples.results import results_of
from qemunet_tests.claims import known_file
from qemunet_tests.claims.known_file import KnownEntry
from qemunet_tests.deadline import Deadline
from qemunet_tests.errors import UsageError
from qemunet_tests.report.card import card_text
from qemunet_tests.report.known_claims import KnownClaims
from qemunet_tests.report.session_results import exit_code
from qemunet_tests.report.shapes import schema
from qemunet_tests.report.verdict_of_test import Verdict, VerdictOfTest

TODAY = datetime.now(UTC).date()
TOMORROW, YESTERDAY = TODAY + timedelta(days=1), TODAY - timedelta(days=1)
CLAIM = "user/e1000"


def entry(claim: str = CLAIM, verdict: str = "broken", until: object = TOMORROW, reason: str = "BUG-1") -> str:
    return f"[[known]]\nclaim = '{claim}'\nverdict = '{verdict}'\nreason = '{reason}'\nuntil = {until}\n"


def known(*entries: KnownEntry) -> KnownClaims:
    return KnownClaims(entries, "known.toml")


def fact(claim: str = CLAIM, verdict: str = "broken", until: date = TOMORROW) -> KnownEntry:
    return KnownEntry(claim, verdict, "BUG-1", until)


def found(verdict: str, claim: str = CLAIM) -> VerdictOfTest:
    return VerdictOfTest(claim, Verdict(verdict), "t", reason="because")


HOLDS = found("holds", "user/address")


def verdicts(results: dict[str, Any]) -> dict[str, tuple[str, Any]]:
    return {each["claim"]: (each["verdict"], each["known"]) for each in results["verdicts"]}


# What counts


@pytest.mark.parametrize("verdict", known_file.VERDICTS)
@pytest.mark.parametrize("claim", ["user/e1000", "user/e*", "*"])
def test_what_is_known_is_shown_and_is_no_news(verdict: str, claim: str) -> None:
    results = known(fact(claim, verdict)).marked(results_of(HOLDS, found(verdict)))
    assert exit_code(results) == 0
    document = json.loads(results.as_json())
    jsonschema.validate(document, schema("results"))
    said = {"reason": "BUG-1", "until": TOMORROW.isoformat()}
    assert verdicts(document) == {"user/address": ("holds", None), CLAIM: (verdict, said)}
    card = " ".join(card_text(results, {}).split())
    assert f"{verdict} e1000" in card
    assert f"known BUG-1, until {TOMORROW}" in card
    assert "; 1 of them known, which is no news" in card


@pytest.mark.parametrize(
    ("verdict", "code", "entries"),
    [
        ("broken", 1, []),
        ("broken", 1, [fact("user/address")]),
        ("broken", 1, [fact(verdict="deviates")]),
        ("broken", 1, [fact(verdict="inconclusive")]),
        ("broken", 1, [fact(until=YESTERDAY)]),
        ("broken", 0, [fact(until=YESTERDAY), fact(until=TODAY)]),
        ("inconclusive", 3, [fact()]),
    ],
)
def test_news_count(verdict: str, code: int, entries: list[KnownEntry]) -> None:
    results = known(*entries).marked(results_of(HOLDS, found(verdict)))
    assert exit_code(results) == code
    assert {each.claim: each.known is None for each in results.verdicts} == {"user/address": True, CLAIM: code != 0}


def test_nothing_could_be_tried_whatever_is_known() -> None:
    assert exit_code(known(fact(verdict="unavailable")).marked(results_of(found("unavailable")))) == 3


@pytest.mark.parametrize(("tests", "code"), [(BROKEN, 0), (BROKEN + "\ndef test_uncited(): assert 0", 3)])
def test_a_run_of_what_is_known(tmp_path: Path, tests: str, code: int) -> None:
    (tmp_path / "known.toml").write_text(entry() + entry("user/nothing"))
    done = conduct(tmp_path, tests, "-n", "0", "--report", "out", "--known", "known.toml")
    assert (done.returncode, "Traceback" in done.stderr) == (code, False)
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert verdicts(results)[CLAIM] == ("broken", {"reason": "BUG-1", "until": TOMORROW.isoformat()})
    assert results["notes"] == [
        "known.toml: user/nothing, known as broken: it names no claim; `qemunet claims` lists them"
    ]
    assert "known.toml: user/nothing, known as broken: it names no claim" in " ".join(done.stdout.split())


#: Whoever has the file writes it anew just when it has been checked.
EXCHANGED = """
from qemunet_tests.claims import known_file
plain_read = known_file.read
def read_and_exchange(path, flag):
    found = plain_read(path, flag)
    path.write_text("[[known")
    return found
known_file.read = read_and_exchange
"""


def test_a_file_exchanged_meanwhile_is_named_by_the_option_that_was_typed(tmp_path: Path) -> None:
    (tmp_path / "known.toml").write_text(entry())
    done = conduct(tmp_path, BROKEN, "-n", "0", "--known", "known.toml", before=EXCHANGED)
    assert (done.returncode, done.stdout) == (3, "")
    assert re.fullmatch(r"qemunet: --known \S*known\.toml: [^\n]+\n", done.stderr)


def test_a_run_that_is_ended_counts_news_only(tmp_path: Path) -> None:
    """By the first Ctrl-C and by the second: a run that is not complete is 3, but for what is broken and not known."""
    (tmp_path / "known.toml").write_text(entry("user/address"))
    words = "-n", "0", "--known", "known.toml"
    with running(tmp_path, "assert 0, 'no lease'", *words) as process:
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=limit(20)) == 3
    (tmp_path / "started").unlink()
    (tmp_path / "ending").unlink()
    (tmp_path / "stubborn").touch()
    with running(tmp_path, "assert 0, 'no lease'", *words) as process:
        process.send_signal(signal.SIGINT)
        Deadline(10, "the fixture to clean up").wait_until((tmp_path / "ending").exists)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=limit(3)) == 3


# What no longer applies


@pytest.mark.parametrize(
    ("verdict", "of_old", "said"),
    [
        ("holds", fact(), "user/e1000, known as broken: it holds now"),
        ("deviates", fact(), "user/e1000, known as broken: it deviates now"),
        ("broken", fact(verdict="deviates"), "user/e1000, known as deviates: it is broken now"),
        (
            "broken",
            fact(until=YESTERDAY),
            f"user/e1000, known as broken: it counted until {YESTERDAY}, and counts no longer",
        ),
        (
            "broken",
            fact("user/nothing"),
            "user/nothing, known as broken: it names no claim; `qemunet claims` lists them",
        ),
        ("holds", fact("nothing/*"), "nothing/*, known as broken: it names no claim; `qemunet claims` lists them"),
        ("holds", fact("user/e1?0*"), "user/e1?0*, known as broken: it holds now"),
    ],
)
def test_an_entry_that_no_longer_applies_is_said(verdict: str, of_old: KnownEntry, said: str) -> None:
    assert list(known(of_old).outdated(results_of(HOLDS, found(verdict)))) == [f"known.toml: {said}"]


@pytest.mark.parametrize(
    ("verdict", "of_old"),
    [
        ("broken", fact()),
        ("broken", fact("user/*")),
        ("inconclusive", fact()),
        ("unavailable", fact()),
        ("holds", fact("user/gateway")),
        ("holds", fact("user/*")),
    ],
    ids=["it is so", "one of several is so", "not judged", "not tried here", "not asked for", "others were not tried"],
)
def test_nothing_is_said_of_what_may_still_be_so(verdict: str, of_old: KnownEntry) -> None:
    assert list(known(of_old).outdated(results_of(HOLDS, found(verdict)))) == []


def test_all_claims_of_an_entry_hold_again() -> None:
    tests = [found("holds", f"user/reach-lan-{each}") for each in ("tcp", "udp")]
    assert list(known(fact("user/reach-lan-*")).outdated(results_of(tests[0]))) == []
    assert list(known(fact("user/reach-lan-*")).outdated(results_of(*tests))) == [
        "known.toml: user/reach-lan-*, known as broken: none of the 2 claims that it names is so any more"
    ]


# The file


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("known = 1", "[known]: every entry begins with [[known]]"),
        ("[known]\nclaim = 'x'", "[known]: every entry begins with [[known]]"),
        ("[[Known]]", "'Known': every entry begins with [[known]]"),
        ("known = [1]", "entry 1: 1 is not a table with claim, verdict, reason, until"),
        (entry() + "also = 1", "entry 1: 'also' is none of claim, verdict, reason, until"),
        (entry() + entry().replace("reason = 'BUG-1'", ""), "entry 2: it has no 'reason'"),
        (entry(reason=" "), "entry 1: reason: ' ' says nothing"),
        (entry(verdict="holds"), "entry 1: verdict: 'holds' is none of broken, deviates, inconclusive, unavailable"),
        (entry().replace("'broken'", "[1]"), "entry 1: verdict: [1] is none of broken"),
        (entry().replace("'user/e1000'", "7"), "entry 1: claim: 7 says nothing"),
        (entry(until="'soon'"), "entry 1: until: 'soon' is no day, for instance 2026-12-31"),
        (entry(until="7"), "entry 1: until: 7 is no day"),
        (entry(until="'2026-02-30'"), "entry 1: until: '2026-02-30' is no day"),
        (entry(until="2026-02-30"), "Invalid date"),
        ("x" * 300_000, "it is larger than 256 KB"),
        ("x = " + "[" * 5000, "nested too deeply|Unclosed array|Expected"),
        ("\xff", "codec|Invalid statement"),
    ],
)  # fmt: skip
def test_a_bad_file_is_one_line(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "known.toml"
    file.write_bytes(content.encode("latin-1"))
    with pytest.raises(UsageError, match=f"^--known {re.escape(str(file))}: ") as refused:
        known_file.read(file, "--known")
    assert len(str(refused.value).splitlines()) == 1
    assert any(each in str(refused.value) for each in said.split("|"))


def test_a_bad_file_ends_a_run_before_it_begins(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text(entry(until=7))
    for name, said in (("bad.toml", "entry 1: until: 7 is no day"), ("none.toml", "there is no file 'none.toml'")):
        done = qemunet("run", "user/address", "--known", name, cwd=tmp_path)
        assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
        assert done.stderr.startswith("qemunet: --known")
        assert said in done.stderr


def test_days_in_every_spelling(tmp_path: Path) -> None:
    file = tmp_path / "known.toml"
    file.write_text("".join(entry(until=each) for each in ("2026-12-31", "'2026-12-31'", "2026-12-31T10:00:00Z")))
    assert [each.until for each in known_file.read(file, "--known")] == [date(2026, 12, 31)] * 3
    file.write_text("")
    assert known_file.read(file, "--known") == []


def test_the_option_of_pytest_marks_results_too(tmp_path: Path) -> None:
    """pytest keeps its own exit code: a failed test is one."""
    (tmp_path / "test_it.py").write_text(BROKEN)
    (tmp_path / "known.toml").write_text(entry())
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--qemunet-target=host",
         "--qemunet-report=out", "--qemunet-known=known.toml", "test_it.py"],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=limit(60), env=clean_environment(),
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert verdicts(results)["user/e1000"] == ("broken", {"reason": "BUG-1", "until": TOMORROW.isoformat()})
