"""What is told at a terminal ends where that does, between words; in a pipe lines stay whole. Nothing is ever cut."""

import argparse
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from meta_tests.patience import limit
from meta_tests.qemunet_command import clean_environment, qemunet
from meta_tests.samples import recordings
from meta_tests.samples.results import results_of
from qemunet_tests import images
from qemunet_tests.__main__ import exit_code, whole_parser
from qemunet_tests.claims import citations, load
from qemunet_tests.commands import image
from qemunet_tests.commands.fitted_help import filled
from qemunet_tests.commands.fitted_lines import fitted
from qemunet_tests.guest import templates
from qemunet_tests.images import StoredImage
from qemunet_tests.report.session_results import write_results
from qemunet_tests.report.verdict_of_test import Verdict, VerdictOfTest

STYLES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\]8;[^\x1b]*\x1b\\")
widths = pytest.mark.parametrize("columns", [60, 80])


def at_a_terminal(columns: int, *words: str) -> list[str]:
    """The lines that the command prints there."""
    line = [sys.executable, "-m", "qemunet_tests", *words]
    typed = pexpect.spawn(
        line[0], line[1:], timeout=limit(60), dimensions=(24, columns), env=clean_environment() | {"TERM": "xterm"},
        encoding="utf-8",
    )  # fmt: skip
    typed.expect(pexpect.EOF)
    typed.close()
    return [each.rstrip() for each in STYLES.sub("", typed.before).splitlines()]


def words_of(lines: list[str]) -> list[str]:
    return " ".join(lines).split()


def too_long(lines: list[str], columns: int) -> list[str]:
    """Those that could have been broken: one word alone is left to the terminal."""
    return [line for line in lines if len(line) > columns and " " in line.strip()]


def two_runs(folder: Path) -> list[str]:
    """A claim that broke, for a reason that is longer than any terminal is wide."""
    reason = "the resolver that comes first, 127.0.0.1, " + "does not answer anything " * 6
    for name, verdict in (("a", Verdict.HOLDS), ("b", Verdict.BROKEN)):
        (folder / name).mkdir()
        found = VerdictOfTest("user/dns-resolves", verdict, "t::a", 1.0, "an answer", name * 90, reason)
        write_results(results_of(found), folder / name)
    return [str(folder / "a"), str(folder / "b")]


def two_recordings(folder: Path) -> list[str]:
    return [str(recordings.write(folder / "a.jsonl"))] * 2


@widths
@pytest.mark.parametrize("two", [two_runs, two_recordings])
def test_what_compare_finds(two, columns: int, tmp_path: Path) -> None:
    named = two(tmp_path)
    piped = qemunet("compare", *named).stdout.splitlines()
    shown = at_a_terminal(columns, "compare", *named)
    assert too_long(piped, 80), "in a pipe a line is a line"
    assert too_long(shown, columns) == []
    assert words_of(shown) == words_of(piped)


@widths
def test_claims_with_the_longest_names_of_tests(columns: int) -> None:
    longest = max((each.test.rpartition(".")[2] for each in citations()), key=len)
    claim = next(each.claim for each in citations() if each.test.endswith(longest))
    shown = at_a_terminal(columns, "claims", claim)
    assert "".join(shown).count(longest) == 1
    assert shown[0] == claim
    assert set(load()[claim].says.split()) <= set(words_of(shown))
    assert too_long(shown, columns) == []


@pytest.fixture
def images_of_two_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images whose folders alone fill a line."""
    cache = Path("/var/cache/qemunet/images")
    stored = [
        StoredImage(name, digest * 8, cache / f"{name}-{digest}", 144 << 20, 90.0, "debian-12", True)
        for name, digest in (("tiny", "0123456789abcdef"), ("larger", "fedcba9876543210"))
    ]
    monkeypatch.setattr(images, "listing", lambda: stored)
    monkeypatch.setattr(templates, "listing", list)


@widths
@pytest.mark.parametrize("models", [("virtio-net-pci", "virtio-net-pci"), ("virtio-net-pci-non-transitional",) * 5])
def test_templates_that_are_there(columns: int, models: tuple[str, ...]) -> None:
    folder = Path("/var/cache/qemunet/templates/0123456789abcdef")
    about = {"qemu": "7.2.22", "accel": "tcg"}
    saved = [
        templates.TemplateEntry("0123456789abcdef", folder, about, each, 119 << 20, 4500.0) for each in (models, ())
    ]
    piped, shown = image.table_of_templates(saved), image.table_of_templates(saved, columns)
    assert len(piped) == 3
    assert too_long(shown, columns) == []
    assert words_of(shown) == words_of(piped)


@widths
@pytest.mark.usefixtures("images_of_two_names")
def test_images_that_are_there(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(["image", "list"]) == 0
    piped = capsys.readouterr().out.splitlines()
    monkeypatch.setattr(image, "terminal_columns", lambda: columns)
    assert exit_code(["image", "list"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert len(piped) == 3
    assert too_long(piped, 80), "in a pipe a line is a line"
    assert too_long(shown, columns) == []
    assert words_of(shown) == words_of(piped)


def commands(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from commands(below)


EVERY_COMMAND = [each.prog for each in commands(whole_parser())]


@widths
@pytest.mark.parametrize("command", EVERY_COMMAND)
def test_the_help_of_every_command(
    command: str, columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert exit_code([*command.split()[1:], "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert too_long(lines, columns) == []


@pytest.mark.parametrize("columns", [40, 58, 78, 200])
def test_no_word_of_a_text_is_lost(columns: int) -> None:
    for each in commands(whole_parser()):
        for text in (each.description or "", each.epilog or ""):
            told = " ".join(filled(text, columns)).replace(" \\ ", " ")
            assert sorted(told.split()) == sorted(text.split())


def test_what_is_typed_stays_one_command() -> None:
    line = "  printf 'ip addr\\nping -c 1 10.0.2.2\\n' | qemunet shell user -- -device e1000   what it does"
    for columns in (20, 40, 50):
        first, *more = filled(line, columns)
        typed = "\n".join([first, *more[: next(i for i, each in enumerate([first, *more]) if each[-1] != "\\")]])
        assert shlex.split(typed.replace("\\\n", "")) == shlex.split(line.partition("   what")[0])


@pytest.mark.parametrize("columns", [1, 10, 40])
def test_a_narrow_terminal_loses_no_word(columns: int) -> None:
    assert words_of(fitted("one two three, four", columns)) == ["one", "two", "three,", "four"]
