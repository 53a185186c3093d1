"""Results and recordings of somebody else: nothing in them reaches a terminal or a page as it is."""

import json
from pathlib import Path
from typing import Any

import pytest

from meta_tests.samples import recordings
from meta_tests.samples.results import FINDINGS, results_of
from qemunet_tests.__main__ import exit_code
from qemunet_tests.printable import is_printable_json, printable_json
from qemunet_tests.report import changes

#: A window's title, a colour, text from right to left, and two of the control characters that are no escapes.
EVIL = "\x1b]0;title\x07\x1b[31m\u202e\x9b\x7f"


def of_somebody(folder: Path, **other: Any) -> Path:
    """A report's folder whose results have it wherever a word may be anything."""
    said = json.loads(results_of(*FINDINGS).as_json()) | other
    for each in said["verdicts"]:
        each |= {"claim": f"user/x{EVIL}", "reason": EVIL, "remedy": EVIL, "observed": f"{folder.name}{EVIL}"}
    said["host"]["kernel"] = f"{folder.name}{EVIL}"
    said["host"]["packages"] = {EVIL: f"{folder.name}{EVIL}"}
    folder.mkdir()
    (folder / "results.json").write_text(json.dumps(said))
    return folder


def is_plain(text: str) -> bool:
    return text != "" and all(each.isprintable() or each in "\n\t" for each in text)


@pytest.mark.parametrize("words", ["compare A B --markdown OUT", "compare A B --json", "modes A", "report A --out OUT",
                                   "report A B --out OUT", "run --failed A"])  # fmt: skip
def test_nothing_in_results_is_obeyed(tmp_path: Path, words: str, capfd: pytest.CaptureFixture[str]) -> None:
    names = {name: str(of_somebody(tmp_path / name)) for name in ("A", "B")} | {"OUT": str(tmp_path / "out")}
    code = exit_code([names.get(word, word) for word in words.split()])
    said = capfd.readouterr()
    assert code in (0, 1), said.err
    assert is_plain(said.out + said.err)
    assert not (tmp_path / "out").exists() or is_plain((tmp_path / "out").read_text())


@pytest.mark.parametrize("words", ["compare A A", "modes A", "report A A --out OUT"])
def test_nor_in_a_complaint_about_them(tmp_path: Path, words: str, capfd: pytest.CaptureFixture[str]) -> None:
    folder = of_somebody(tmp_path / "A", guests={EVIL: "no number"}, verdicts=[{EVIL: 1, "claim": 1}])
    names = {"A": str(folder), "OUT": str(tmp_path / "out")}
    assert exit_code([names.get(word, word) for word in words.split()]) in (2, 3)
    assert is_plain(capfd.readouterr().err)


@pytest.mark.parametrize(
    "text", [*EVIL, "\ud800", "\u2028", "\x00", "\r", "\xad", 'a"b', "a\\b", "\\u001b", "a/b\n\t", "→ ✗ ü"]
)
@pytest.mark.parametrize("is_ascii", [True, False])
def test_what_is_quickly_found_to_be_printable_is_so(text: str, is_ascii: bool) -> None:
    document = json.dumps({"name": f"a{text}z", f"{text}": 1}, ensure_ascii=is_ascii).encode(errors="surrogatepass")
    if is_printable_json(document):
        assert is_plain(f"a{text}z")
        assert json.loads(printable_json(document)) == json.loads(document)


def test_what_runs_write_is_quickly_found_to_be_printable() -> None:
    assert is_printable_json(results_of(*FINDINGS).as_json().encode())
    said = json.dumps({"observed": "b'\\x00\\u001b' → \"10.0.2.15\"\n"})
    assert is_printable_json(said.encode())


def test_nor_in_a_recording(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        file = recordings.write(tmp_path / name)
        first, rest = file.read_text().split("\n", 1)
        said = json.loads(first)
        said["machine"]["kernel"] = f"{name}{EVIL}"
        file.write_text(f"{json.dumps(said)}\n{rest}")
    assert exit_code(["compare", str(tmp_path / "a"), str(tmp_path / "b")]) == 3
    said = capfd.readouterr()
    assert "differ" in said.out
    assert is_plain(said.out + said.err)


def test_nor_in_what_a_session_itself_was_told() -> None:
    assert is_plain(results_of(notes=[EVIL], qemu={"version": EVIL}, host={"name": EVIL}).as_json())


@pytest.mark.parametrize("indent", [None, 1])
def test_results_that_are_too_large_are_no_recording(
    tmp_path: Path, indent: int | None, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(changes, "LIMIT_BYTES", 1 << 10)
    file = tmp_path / "big.json"
    file.write_text(json.dumps(json.loads(results_of(*FINDINGS).as_json()), indent=indent))
    assert exit_code(["compare", str(file), str(file)]) == 2
    assert "has no results: it is larger than" in capfd.readouterr().err


def test_a_recording_that_is_larger_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "LIMIT_BYTES", 1 << 14)
    file = str(recordings.write(tmp_path / "a.jsonl"))
    assert exit_code(["compare", file, file]) == 0


def test_results_that_are_damaged_are_no_recording(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "half.json"
    file.write_text(results_of(*FINDINGS).as_json()[:500])
    assert exit_code(["compare", str(file), str(file)]) == 2
    assert "has no results of a run: Invalid JSON" in capfd.readouterr().err
