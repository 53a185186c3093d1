"""The benchmark that counts false verdicts counts them: on recordings whose truth is known."""

import json
import subprocess
import sys

from meta_tests.patience import limit
from meta_tests.samples import recordings
from meta_tests.user_accounts import CHECKOUT

COMMAND = [sys.executable, str(CHECKOUT / "benchmarks" / "throughput_again.py"), "--judge"]


def judged(path):
    done = subprocess.run([*COMMAND, str(path)], check=False, capture_output=True, text=True, timeout=limit(100))
    return done.returncode, json.loads(done.stdout)


def test_the_same_is_the_same(tmp_path):
    path = recordings.write(tmp_path / "a.jsonl", lines=list(recordings.runs(blocks=24)), end=None)
    code, said = judged(path)
    assert (said["comparisons"]["made"], said["again_arms"]["made"]) == (2, 3)
    assert (said["comparisons"]["wrong"], said["again_arms"]["wrong"]) == (0, 0)
    assert said["as_wanted"]
    assert code == 0


def test_what_differs_from_itself_is_counted(tmp_path):
    """From the ninth block on bridged mode is half as fast, and the second user arm always is."""
    rows = list(recordings.runs({**recordings.RATES, "user-again": 150.0}, blocks=16))
    for row in rows:
        if row["arm"] == "bridge" and row["block"] > 8:
            row["values"] = {name: value / 2 for name, value in row["values"].items()}
    code, said = judged(recordings.write(tmp_path / "a.jsonl", lines=rows, end=None))
    assert [each["verdict"] for each in said["again_arms"]["each"]] == ["slower", "slower"]
    assert not said["as_wanted"]
    assert code == 1


def test_too_few_blocks_are_no_answer(tmp_path):
    path = recordings.write(tmp_path / "a.jsonl", lines=list(recordings.runs(blocks=8)), end=None)
    code, said = judged(path)
    assert said["comparisons"]["made"] == 0
    assert code == 1
