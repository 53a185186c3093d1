"""Recordings and results that something has damaged: refused in one line that names them, or read; never a crash."""

import random
import re
from pathlib import Path

import pytest

from meta_tests.samples import recordings
from meta_tests.samples.results import FINDINGS, results_of
from qemunet_tests.__main__ import exit_code

SEED, TURNS = 13, 12
A_VALUE = re.compile(rb'-?\d+(?:\.\d+)?|true|false|null|"[^"]*"(?=[,}\]])')
INSTEAD = (b"-1", b"0", b"1e400", b"NaN", b"99999999999999999999999", b"null", b"true", b'""', b"[]", b"{}",
           b'"\\ud800"')  # fmt: skip


def damaged(content: bytes, chance: random.Random) -> bytes:
    """The same with one place of it spoilt: another byte, some too few or too many, cut off, or another value."""
    at, length = chance.randrange(len(content)), chance.randrange(1, 60)
    values = list(A_VALUE.finditer(content))
    value = chance.choice(values)
    return chance.choice(
        [
            content[:at] + chance.randbytes(1) + content[at + 1 :],
            content[:at] + content[at + length :],
            content[: at + length] + content[at:],
            content[:at],
            *[content[: value.start()] + chance.choice(INSTEAD) + content[value.end() :]] * 4,
        ]
    )


@pytest.mark.parametrize(
    "words",
    [
        "compare GOOD.jsonl BAD.jsonl",
        "compare BAD.jsonl GOOD.jsonl --factor any --json",
        "compare BAD.jsonl --baseline",
        "compare good bad",
        "compare bad good --json",
        "modes bad",
        "report bad --out page.html",
        "report bad good --out page.html",
    ],
)
def test_what_is_damaged_is_read_or_refused_by_its_name(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    recording = recordings.write(tmp_path / "GOOD.jsonl", lines=list(recordings.runs(blocks=2))).read_bytes()
    results = results_of(*FINDINGS).as_json().encode()
    for folder in ("good", "bad"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "results.json").write_bytes(results)
    chance = random.Random(SEED)
    for turn in range(TURNS):
        (tmp_path / "BAD.jsonl").write_bytes(damaged(recording, chance))
        (tmp_path / "bad/results.json").write_bytes(damaged(results, chance))
        code = exit_code(words.split())
        said = capfd.readouterr()
        assert "Traceback" not in said.err, (turn, said.err)
        assert "an error of qemunet's own" not in said.err, (turn, said.err)
        if code == 2:
            assert said.err.count("\n") == 1, (turn, said.err)
            assert "BAD.jsonl" in said.err or "bad/results.json" in said.err, (turn, said.err)
        # A recording that is spoilt at one place shows no regression; of runs, what broke is broken.
        assert code in ((0, 1, 2, 3) if "GOOD" not in words else (0, 2, 3)), (turn, code, said.err)
