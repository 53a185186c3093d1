"""The tables of claims as files: what is refused, in which order they are read, and how a command says so."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from qemunet_tests.claims import load
from qemunet_tests.claims.cause_words import cause_words
from qemunet_tests.diagnosis import causes
from qemunet_tests.diagnosis.failure import Failure
from qemunet_tests.errors import UsageError
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.observe.lease import NoLease

CHECKOUT = Path(__file__).parents[2]
SOURCE = 'source = { document = "d", section = "s" }\n'
GOOD = f'says = "S."\n{SOURCE}expected = "e"\n'


def shelf(folder: Path, **files: str) -> Path:
    """Tables by the names of their files; `user__icmp` is `user/icmp.toml`."""
    for name, text in files.items():
        file = folder / f"{name.replace('__', '/')}.toml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    return folder


def claims_of(*slugs: str) -> str:
    return "\n".join(f"[claims.{slug}]\n{GOOD}" for slug in slugs)


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        (f'[claims.a]\n{SOURCE}expected = "e"', "claim mode/a: says: "),
        ('[claims.a]\nsays = "S."\nsource = { document = "d" }\nexpected = "e"', "claim mode/a: source.section: "),
        (f'[claims.a]\nsays = "S."\n{SOURCE}expected = ""', "claim mode/a: expected: "),
        (f'[claims.a]\n{GOOD}sinse = "QEMU 9.1"', "claim mode/a: there is no key 'sinse'"),
        (f"[claims.Bad_slug]\n{GOOD}", "claim mode/Bad_slug: id: "),
        (f'[claims.a]\n{GOOD}id = "mode/b"', "claim mode/a: id: the place of the table says it already"),
        (
            '[claims.a]\nsays = "S."\nsource = { document = "d", section = "s", adress = "x" }\nexpected = "e"',
            "claim mode/a: there is no key 'source.adress'",
        ),
        (
            '[claims.a]\nsays = "S."\nsource = { document = "d", section = "s", url = "qemu.org" }\nexpected = "e"',
            "claim mode/a: source.url: ",
        ),
        (
            f'[claims.a]\n{GOOD}diagnosis = ["ping", "pign"]',
            "diagnosis: 'pign' is no cause that is looked for; there are",
        ),
        (f'[claims.a]\n{GOOD}diagnosis = "pign"', "claim mode/a: diagnosis: 'pign' is no cause"),
        (f'[claims.a]\n{GOOD}since = "9.1"', "since: '9.1' in '9.1' is none of QEMU, slirp, passt"),
        (f'[claims.a]\n{GOOD}since = "qemu 9.1"', "since: 'qemu' in 'qemu 9.1' is none of"),
        (f'[claims.a]\n{GOOD}since = "libslirp 4.7"', "since: 'libslirp' in "),
        (
            f'[claims.a]\n{GOOD}until = "QEMU nine"',
            "until: 'nine' in 'QEMU nine' is no version, for instance 'QEMU 9.1'",
        ),
        (f'[claims.a]\n{GOOD}until = "QEMU"', "until: '' in 'QEMU' is no version"),
        (f'[claims.a]\n{GOOD}since = "passt 24.8"', "since: '24.8' in 'passt 24.8' is no version"),
        (f'[claims.a]\n{GOOD}since = "QEMU 9.1, slirp 4.7"', "since: '9.1, slirp 4.7' in "),
        (f'[claims.a]\n{GOOD}since = "QEMU 9.1 and slirp"', "since: '' in 'slirp' is no version"),
        (f'[claims.a]\n{GOOD}since = "QEMU 9.1 and QEMU 9.2"', "names QEMU twice"),
        (f"[claims.a]\n{GOOD}since = 9.1", "claim mode/a: since: "),
        (
            f'[claims.a]\n{GOOD}since = "QEMU 9.1"\nuntil = "QEMU 9.1"',
            "no version is since 'QEMU 9.1' and until 'QEMU 9.1'",
        ),
        (
            f'[claims.a]\n{GOOD}[claims.a.deviations.odd]\nsays = "S."\nuntil = "QUEMU 9.1"',
            "claim mode/a: deviations.odd.until: 'QUEMU' in 'QUEMU 9.1' is none of",
        ),
        (f"[claims.a]\n{GOOD}[claims.a.deviations.odd]", "claim mode/a: deviations.odd.says: "),
        (
            f'[claims.a]\n{GOOD}[claims.a.deviations.odd]\nsays = "S."\nfrom = "x"',
            "claim mode/a: there is no key 'deviations.odd.from'",
        ),
        (f"[claim.a]\n{GOOD}", "there is no key 'claim' at the top of such a file, only claims and topics"),
        ("claims = 3", "claims: 3 is no table"),
        ("[claims]\na = 3", "claims: 'a' is no table"),
        ("[claims.a]\nsays = ", "Invalid value"),
        (f"[claims.a]\n{GOOD}[claims.a]\n{GOOD}", "twice"),
        ('topics = ["none"]', "topics: there is no file mode/none.toml"),
        ('topics = "none"', "topics: 'none' is no list of names"),
    ],
)
def test_what_is_wrong_is_named_with_its_file_in_one_line(tmp_path: Path, table: str, complaint: str) -> None:
    with pytest.raises(UsageError) as refusal:
        load(shelf(tmp_path, mode=table))
    said = str(refusal.value)
    assert said.startswith(f"{tmp_path}/mode.toml: ")
    assert complaint in said
    assert "\n" not in said


def test_a_file_of_a_topic_is_named_too_and_orders_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"mode/topic\.toml: claim mode/a: there is no key 'sinse'"):
        load(shelf(tmp_path, mode__topic=f'[claims.a]\n{GOOD}sinse = "x"'))
    with pytest.raises(UsageError, match=r"user/icmp\.toml: there is no key 'topics' at the top of such a file"):
        load(shelf(tmp_path, user__icmp='topics = ["icmp"]'))


def test_two_files_cannot_hold_one_claim(tmp_path: Path) -> None:
    folder = shelf(tmp_path, mode=claims_of("a"), mode__one=claims_of("b"), mode__two=claims_of("c", "b"))
    with pytest.raises(UsageError, match=r"mode/two\.toml: the claim mode/b is in \S+mode/one\.toml already"):
        load(folder)


def test_a_mode_may_be_a_file_a_folder_or_both(tmp_path: Path) -> None:
    folder = shelf(
        tmp_path,
        tap=claims_of("z", "a"),
        bridge__b=claims_of("two"),
        bridge__a=claims_of("one"),
        user=f'topics = ["second", "first"]\n{claims_of("own")}',
        user__first=claims_of("f"),
        user__second=claims_of("s"),
        user__another=claims_of("x"),
        passt__only=claims_of("p"),
    )
    assert list(load(folder)) == [
        "user/own", "user/s", "user/f", "user/x", "bridge/one", "bridge/two", "passt/p", "tap/z", "tap/a",
    ]  # fmt: skip


def test_one_cause_may_be_named_without_a_list(tmp_path: Path) -> None:
    tables = f'[claims.a]\n{GOOD}diagnosis = "ping"\n[claims.b]\n{GOOD}diagnosis = ["smb", "ping"]\n[claims.c]\n{GOOD}'
    claims = load(shelf(tmp_path, mode=tables))
    assert [claim.diagnosis for claim in claims.values()] == [("ping",), ("smb", "ping"), ()]


class Host:
    """Whom claims are tried at, as far as causes remember him."""


def failure_at(host: Host) -> Callable[..., object]:
    """Stands for `Failure.of`, of tests at this host."""
    return lambda mode, _fixtures, error, topics: SimpleNamespace(mode=mode, target=host, error=error, topics=topics)


def test_every_cause_that_a_claim_names_is_looked_for_once_and_in_its_order(monkeypatch: pytest.MonkeyPatch) -> None:
    followed: list[str] = []

    def check(name: str) -> Callable[[object], None]:
        return lambda failure: followed.append(name)

    one, both, two, last = map(check, ("one", "both", "two", "last"))
    monkeypatch.setitem(causes.SPECIAL, "smb", (one, both))
    monkeypatch.setitem(causes.SPECIAL, "ping", (both, two))
    monkeypatch.setattr(causes, "LAST", (last,))
    monkeypatch.setattr(Failure, "of", failure_at(Host()))
    claim = load()["user/address"].model_copy(update={"diagnosis": ("smb", "ping")})
    assert causes.cause_of(claim, {}, AssertionError()) is None
    assert followed == ["one", "both", "two", "last"]


def test_what_kept_one_guest_from_its_lease_is_looked_at_first_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has to be proven again; what was found for other reasons than a lease says nothing of the next claim."""

    followed: list[str] = []

    def check(name: str, proves: bool) -> Callable[[object], Obstacle | None]:
        def looks(_: object) -> Obstacle | None:
            followed.append(name)
            return Obstacle(name) if proves else None

        return looks

    monkeypatch.setitem(
        causes.SPECIAL, "lease", (check("bridge", False), check("uplink", False), check("server", True))
    )
    monkeypatch.setattr(Failure, "of", failure_at(Host()))
    claim = load()["bridge/lease-address"].model_copy(update={"diagnosis": ("lease",)})
    for error, looked_at in ((AssertionError(), 3), (NoLease(), 3), (NoLease(), 1), (AssertionError(), 3)):
        followed.clear()
        found = causes.cause_of(claim, {}, error)
        assert (found and found.reason, len(followed)) == ("server", looked_at)


def test_words_are_read_from_every_table_of_the_diagnosis(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text("raise SystemExit\nSPECIAL: dict[str, int] = {'a': 1, 'b': 2}\nOTHER = {'c': 1}\n")
    (tmp_path / "two.py").write_text("SPECIAL = {'d': 1}\n")
    assert cause_words(tmp_path) == {"a", "b", "d"}


@pytest.mark.slow
def test_commands_and_pytest_refuse_a_wrong_table_in_one_line(tmp_path: Path) -> None:
    for folder in ("qemunet_tests", "fixtures", "images"):
        place = tmp_path / ("" if folder == "qemunet_tests" else "qemunet_tests") / folder
        shutil.copytree(CHECKOUT / folder, place, ignore=shutil.ignore_patterns("__pycache__"))
    table = tmp_path / "qemunet_tests/claims/user/icmp.toml"
    table.write_text(table.read_text().replace('"ping-open"', '"pign-open"', 1))
    (tmp_path / "test_it.py").write_text("def test_it(): pass\n")
    for words in (
        ["qemunet_tests", "claims", "--json"],
        ["qemunet_tests", "run", "user/address"],
        ["pytest", "--qemunet-target=lab"],
    ):
        ran = subprocess.run(
            [sys.executable, "-m", *words],
            cwd=tmp_path,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (ran.stdout, len(ran.stderr.strip().splitlines())) == ("", 1), ran
        assert f"{table}: claim user/icmp-outside-open: diagnosis: 'pign-open' is no cause" in ran.stderr
        assert ran.returncode == (4 if words[0] == "pytest" else 2)
