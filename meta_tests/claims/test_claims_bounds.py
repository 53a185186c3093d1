"""`since`, `until` and `option`: what is compared with what, and what becomes of a test that is outside of them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from meta_tests.inner_session import imported_once, nobodys_worker  # noqa: F401
from qemunet_tests import diagnosis
from qemunet_tests.claims import Claim, Installed, load
from qemunet_tests.claims.bounds import OutOfBounds, Program, between, compared
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.qemu import passt, qemu_facts

pytest_plugins = "pytester"

Verdict = Callable[..., dict[str, Any]]


def here(**versions: str | None) -> Installed:
    """What is installed, by the names of the programs."""
    return Installed(versions.get)


@pytest.mark.parametrize(
    ("program", "version", "numbers"),
    [
        ("QEMU", "7.2.22", (7, 2, 22)),
        ("QEMU", "7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)", (7, 2, 22)),
        ("QEMU", "1:7.2+dfsg-7+deb12u18", (7, 2, 0)),
        ("QEMU", "QEMU emulator version 9.0.0 (qemu-kvm-9.0.0-10.el9_5.2)", (9, 0, 0)),
        ("QEMU", "11.1", (11, 1, 0)),
        # In development: the release that is to come, of which the first of a year is a new major version.
        ("QEMU", "9.0.50 (v9.0.0-1234-gabcdef0123)", (9, 1, 0)),
        ("QEMU", "9.0.92", (9, 1, 0)),
        ("QEMU", "9.2.91", (10, 0, 0)),
        ("slirp", "4.7.0", (4, 7, 0)),
        ("slirp", "4.9.5-dirty", (4, 9, 5)),
        ("passt", "2024_08_21.1d6142f", (2024, 8, 21)),
        ("passt", "0.0~git20250503.587980c-2", (2025, 5, 3)),
        ("passt", "0^20240821.g1d6142f-1.fc41.x86_64", (2024, 8, 21)),
        ("passt", "unknown version", None),
        ("QEMU", "of somebody's own", None),
        ("slirp", None, None),
        ("passt", None, None),
    ],
)
def test_versions_are_compared_as_numbers(
    program: Program, version: str | None, numbers: tuple[int, ...] | None
) -> None:
    assert compared(program, version) == numbers


@pytest.mark.parametrize(
    ("since", "until", "installed", "reason"),
    [
        (None, None, {}, None),
        ("QEMU 9.1", None, {"QEMU": "9.1.0"}, None),
        ("QEMU 9.1", None, {"QEMU": "10.0.2"}, None),
        ("QEMU 9.1", None, {"QEMU": "9.0.4"}, "since QEMU 9.1, and this is QEMU 9.0.4"),
        ("QEMU 7.2.22", None, {"QEMU": "7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)"}, None),
        ("QEMU 7.2.23", None, {"QEMU": "7.2.22"}, "since QEMU 7.2.23, and this is QEMU 7.2.22"),
        (None, "QEMU 9.1", {"QEMU": "9.0.4"}, None),
        (None, "QEMU 9.1", {"QEMU": "9.1.0"}, "before QEMU 9.1 only, and this is QEMU 9.1.0"),
        (None, "QEMU 9.1", {"QEMU": "9.0.91"}, "before QEMU 9.1 only, and this is QEMU 9.0.91"),
        (None, "QEMU 9.1", {"QEMU": "11.1.3"}, "before QEMU 9.1 only, and this is QEMU 11.1.3"),
        ("QEMU 8.0", "QEMU 10.2", {"QEMU": "10.1.9"}, None),
        ("QEMU 8.0", "QEMU 10.2", {"QEMU": "10.2"}, "before QEMU 10.2 only, and this is QEMU 10.2"),
        ("QEMU 10.2 and slirp 4.7", None, {"QEMU": "10.2.0", "slirp": "4.7.0"}, None),
        ("QEMU 10.2 and slirp 4.7", None, {"QEMU": "11.1.3", "slirp": "4.6.1"}, "since libslirp 4.7, and this is"),
        ("QEMU 10.2 and slirp 4.7", None, {"QEMU": "7.2.22", "slirp": "4.9.5"}, "since QEMU 10.2, and this is"),
        (None, "QEMU 10.0 and slirp 4.8", {"QEMU": "7.2.22", "slirp": "4.7.0"}, None),
        (None, "QEMU 10.0 and slirp 4.8", {"QEMU": "7.2.22", "slirp": "4.8.0"}, "before libslirp 4.8 only"),
        ("passt 2024-08", None, {"passt": "2024_08_21.1d6142f"}, None),
        ("passt 2024-08-21", None, {"passt": "2024_08_21.1d6142f"}, None),
        ("passt 2024-08-22", None, {"passt": "2024_08_21.1d6142f"}, "since passt 2024-08-22, and this is passt"),
        (None, "passt 2025", {"passt": "2024_12_11.09478d5"}, None),
        (None, "passt 2025", {"passt": "2025_01_21.4f2c8e7"}, "before passt 2025 only"),
        ("passt 2024", None, {"passt": None}, "since passt 2024, and which passt is here cannot be told"),
    ],
)  # fmt: skip
def test_since_is_inclusive_until_is_not_and_all_that_are_joined_count(
    since: str | None, until: str | None, installed: dict[str, str | None], reason: str | None
) -> None:
    outside = between(since, until).outside(here(**installed))
    if reason is None:
        assert outside is None
    else:
        assert outside is not None
        assert outside.reason.startswith(reason)
        assert outside.certain is ("cannot be told" not in reason)


def test_a_passt_that_does_not_know_its_version_has_that_of_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Debian 12. The package manager is the real one, with a list of packages of its own."""
    program = tmp_path / "passt"
    program.write_text("#!/bin/sh\necho passt unknown version\n")
    program.chmod(0o755)
    (tmp_path / "info").mkdir()
    (tmp_path / "status").write_text(
        "Package: passt\nStatus: install ok installed\nArchitecture: amd64\nMaintainer: somebody <a@example.org>\n"
        "Version: 0.0~git20230309.7c7625d-1\nDescription: passt\n"
    )
    monkeypatch.setenv("DPKG_ADMINDIR", str(tmp_path))
    here = {"PATH": str(tmp_path)}
    assert passt.find(here) == passt.Passt(str(program), "unknown version")
    (tmp_path / "info" / "passt.list").write_text(f"{program}\n")
    assert passt.find(here) == passt.Passt(str(program), "0.0~git20230309.7c7625d-1")


def test_only_what_a_bound_names_is_asked() -> None:
    asked: list[str] = []

    def version(program: Program) -> str:
        asked.append(program)
        return "4.7.0"

    def has(option: str) -> bool:
        asked.append(option)
        return True

    installed = Installed(version, has)
    assert between("slirp 4.7", None).outside(installed) is None
    assert asked == ["slirp"]
    # Versions of QEMU are for readers where an option tells, and those of others count.
    assert between("QEMU 99.1 and slirp 4.7", None, "netdev dgram").outside(installed) is None
    assert asked == ["slirp", "netdev dgram", "slirp"]
    assert between("slirp 4.8", None, "netdev dgram").outside(installed) is not None


@pytest.mark.parametrize(
    ("has", "reason", "certain"),
    [
        ({"netdev user": True}, "where QEMU has 'netdev user ipv6-prefix', and this one has not", True),
        ({"netdev user": None}, "where QEMU has 'netdev user ipv6-prefix', and this one has not", True),
        # Twenty options of a backend that is not there are one reason.
        ({}, "where QEMU has 'netdev user', and this one has not", True),
        (None, "where QEMU has 'netdev user ipv6-prefix', and whether this one has it cannot be told", False),
    ],
)
def test_an_option_is_there_or_is_not_whatever_the_version(
    has: dict[str, bool | None] | None, reason: str, certain: bool
) -> None:
    installed = Installed({"QEMU": "11.1.3"}.get, lambda option: None if has is None else has.get(option, False))
    outside = between("QEMU 2.6", None, "netdev user ipv6-prefix").outside(installed)
    assert outside == OutOfBounds(reason, "try a QEMU that has it, 2.6 or later: --qemu PATH", certain)


@pytest.mark.parametrize("option", ["", "user", "netdev", "netdev user ipv6 prefix", "device e1000", "netdev User"])
def test_what_can_be_no_option_is_refused(option: str) -> None:
    with pytest.raises(ValueError, match="names no option of QEMU, for instance 'netdev user ipv6-prefix'"):
        between(None, None, option)


def test_the_remedy_is_a_version_within_the_bounds() -> None:
    old, new = here(QEMU="7.2.22", slirp="4.4.0", passt=None), here(QEMU="11.1.3")
    for since, until, installed, remedy in (
        ("QEMU 9.1", None, old, "try QEMU 9.1 or later: --qemu PATH"),
        ("slirp 4.7", None, old, "try a QEMU that uses libslirp 4.7 or later: --qemu PATH"),
        ("passt 2024-08", None, old, "install passt 2024-08 or later"),
        (None, "QEMU 9.1", new, "try QEMU before 9.1: --qemu PATH"),
    ):
        outside = between(since, until).outside(installed)
        assert outside and outside.remedy == remedy


# Real sessions of pytest, for which one claim's table is another

#: For workers, which are processes of their own.
PLANTED = """
from qemunet_tests.claims import Claim, load

def pytest_configure():
    load()["user/address"] = Claim.model_validate({**load()["user/address"].model_dump(), **TABLE})
"""
TEST = """
import pytest

@pytest.fixture
def guest():
    raise AssertionError("a guest is started")

@pytest.mark.claim("user/address")
def test_it(claim): claim.sees("seen")
"""


@pytest.fixture
def verdict(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Verdict:
    """What becomes of user/address where its table says so, and the test is that."""

    def run(table: dict[str, Any], test: str, *arguments: str) -> dict[str, Any]:
        pytester.makepyfile(test_it=test)
        planted = Claim.model_validate({**load()["user/address"].model_dump(), **table})
        monkeypatch.setitem(load(), "user/address", planted)
        session = pytester.runpytest_inprocess
        if "-n" in arguments:
            pytester.makeconftest(PLANTED.replace("TABLE", repr(table)))
            session = pytester.runpytest_subprocess
        session("--qemunet-target", "host", "--qemunet-report", "out", "-p", "no:cacheprovider", *arguments)
        document = json.loads((pytester.path / "out" / "results.json").read_text())
        (found,) = (each for each in document["verdicts"] if each["claim"] == "user/address")
        assert isinstance(found, dict)
        return found

    return run


@pytest.fixture(scope="module")
def qemu() -> qemu_facts.Qemu:
    return qemu_facts.find()


@pytest.mark.parametrize("arguments", [(), pytest.param(("-n", "2"), marks=pytest.mark.slow)])
def test_a_claim_for_later_versions_is_unavailable_and_starts_nothing(
    verdict: Verdict, qemu: qemu_facts.Qemu, arguments: tuple[str, ...]
) -> None:
    found = verdict({"since": "QEMU 99.1"}, TEST.replace("(claim)", "(guest, claim)"), *arguments)
    assert found["verdict"] == "unavailable"
    assert found["reason"] == f"this is promised since QEMU 99.1, and this is QEMU {qemu.version}"
    assert found["remedy"] == "try QEMU 99.1 or later: --qemu PATH"
    assert found["observed"] is None


def test_a_claim_for_earlier_versions_is_unavailable(verdict: Verdict, qemu: qemu_facts.Qemu) -> None:
    found = verdict({"until": "QEMU 99 and slirp 4.0"}, TEST)
    assert found["verdict"] == "unavailable"
    assert found["reason"] == f"this is promised before libslirp 4.0 only, and this is libslirp {qemu.slirp}"


def test_a_claim_within_its_bounds_is_tried(verdict: Verdict) -> None:
    bounds = {"since": "QEMU 1.1 and slirp 4.0", "until": "QEMU 99.1"}
    assert verdict(bounds, TEST)["verdict"] == "holds"


def test_bounds_are_those_of_the_qemu_that_was_chosen(verdict: Verdict, open_folder: Path) -> None:
    renamed = open_folder / "qemu-of-mine"
    renamed.write_text('#!/bin/sh\nqemu-system-x86_64 "$@" | sed "s/version [0-9.]*/version 99.1.0/"\n')
    renamed.chmod(0o755)
    chosen = ("--qemunet-qemu", str(renamed))
    assert verdict({"since": "QEMU 99.1"}, TEST, *chosen)["verdict"] == "holds"


@pytest.fixture
def backported(open_folder: Path) -> Callable[[str], tuple[str, ...]]:
    """Names a QEMU of the first version, from whose schema a word is gone."""

    def backported(gone: str) -> tuple[str, ...]:
        old = open_folder / f"qemu-without-{gone}"
        old.write_text(
            f'#!/bin/sh\nqemu-system-x86_64 "$@" | sed "s/version [0-9.]*/version 0.1.0/; s/{gone}/gone/g"\n'
        )
        old.chmod(0o755)
        return "--qemunet-qemu", str(old)

    return backported


@pytest.mark.parametrize("option", ["netdev user ipv6-prefix", "object filter-dump file", "command netdev_del id"])
def test_where_the_schema_tells_it_is_asked_and_not_the_version(
    verdict: Verdict, backported: Callable[[str], tuple[str, ...]], option: str
) -> None:
    table = {"since": "QEMU 2.6", "option": option}
    assert verdict(table, TEST, *backported("nothing"))["verdict"] == "holds"
    found = verdict(table, TEST, *backported(option.rpartition(" ")[2]))
    assert (found["verdict"], found["remedy"]) == ("unavailable", "try a QEMU that has it, 2.6 or later: --qemu PATH")
    assert found["reason"] == f"this is promised where QEMU has {option!r}, and this one has not"


def test_a_qemu_that_tells_no_schema_is_not_said_to_lack_an_option(
    verdict: Verdict, backported: Callable[[str], tuple[str, ...]]
) -> None:
    found = verdict({"option": "netdev dgram"}, TEST, *backported("return"))
    assert found["verdict"] == "unavailable"
    assert found["reason"].endswith("and whether this one has it cannot be told")


def test_where_qemu_is_missing_that_is_the_reason(verdict: Verdict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qemu_facts, "NAMES", ("qemu-of-nobody",))
    found = verdict({"since": "QEMU 1.1"}, TEST)
    assert (found["verdict"], found["reason"]) == ("unavailable", "QEMU is not installed")


DEVIATING = TEST.replace('claim.sees("seen")', "claim.deviates(name='odd')")


@pytest.mark.parametrize(
    ("bounds", "expected", "reason"),
    [
        ({}, "deviates", "It is odd."),
        ({"since": "QEMU 1.1", "until": "QEMU 99.1"}, "deviates", "It is odd."),
        ({"until": "QEMU 1.1"}, "broken", "this deviation is known before QEMU 1.1 only, and this is QEMU "),
        ({"since": "QEMU 99.1"}, "broken", "this deviation is known since QEMU 99.1, and this is QEMU "),
        # What cannot be told proves nothing.
        ({"since": "passt 2099"}, "deviates", "It is odd."),
    ],
)
def test_a_deviation_outside_its_bounds_is_broken(
    verdict: Verdict, monkeypatch: pytest.MonkeyPatch, bounds: dict[str, str], expected: str, reason: str
) -> None:
    table = {"deviations": {"odd": {"says": "It is odd.", **bounds}}}
    monkeypatch.setattr(passt, "find", lambda: None)
    found = verdict(table, DEVIATING)
    assert found["verdict"] == expected
    assert found["reason"].startswith(reason)
    assert found["reason"].endswith("It is odd.")
    assert found["remedy"] is None


def test_no_cause_is_looked_for_where_a_deviation_is_out_of_bounds(
    verdict: Verdict, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diagnosis, "cause_of", lambda *_: Obstacle("the bridge is down", "ip link set br0 up"))
    table = {"deviations": {"odd": {"says": "It is odd.", "until": "QEMU 1.1"}}}
    found = verdict(table, DEVIATING)
    assert (found["verdict"], found["remedy"]) == ("broken", None)
    assert found["reason"].startswith("this deviation is known before QEMU 1.1 only")


def test_a_promise_that_is_kept_holds_whatever_deviations_are_known(verdict: Verdict) -> None:
    table = {"deviations": {"odd": {"says": "It is odd.", "until": "QEMU 99.1"}}}
    assert verdict(table, TEST)["verdict"] == "holds"


@pytest.mark.parametrize(
    ("call", "expected", "reason"),
    [
        ("claim.deviates(name='old')", "broken", "this deviation is known before QEMU 1.1 only"),
        ("claim.deviates(name='new')", "deviates", "New."),
        ("claim.deviates('as seen here', name='new')", "deviates", "as seen here"),
        ("claim.deviates('as seen here')", "inconclusive", "user/address has no deviation None; there is old, new"),
        ("claim.deviates(name='other')", "inconclusive", "user/address has no deviation 'other'; there is old, new"),
    ],
)
def test_of_several_deviations_the_test_says_which(verdict: Verdict, call: str, expected: str, reason: str) -> None:
    deviations = {"old": {"says": "Old.", "until": "QEMU 1.1"}, "new": {"says": "New.", "since": "QEMU 1.1"}}
    found = verdict({"deviations": deviations}, TEST.replace('claim.sees("seen")', call))
    assert found["verdict"] == expected
    assert found["reason"].startswith(reason)
