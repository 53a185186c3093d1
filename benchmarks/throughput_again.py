"""Whether `qemunet compare` finds regressions where there are none: 20 comparisons of the same with the same.

    ./bootstrap python benchmarks/throughput_again.py [--comparisons N] [--blocks N] [--out FILE | --judge FILE]

Records bridged against user mode once, in one long row of interleaved blocks, and cuts it into recordings of as many
blocks as `record` makes by default. Each is compared with the next, by `qemunet compare` itself, and each is asked
what it says of its own A/A arm. Prints JSON alone on standard output; exits 1 where more than one of 20 comparisons,
or more than one of 20 A/A arms, got the verdict of a difference. `--judge` does so with a recording made before.

Takes about 11 minutes for 20 comparisons on 2 quiet CPUs, in software; other work on the machine makes it longer.
"""

import argparse
import contextlib
import io
import itertools
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from qemunet_tests.__main__ import exit_code
from qemunet_tests.throughput import recording
from qemunet_tests.throughput.recording_shapes import Run

RECORD = ["record", "--arms", "bridge,user", "--nics", "virtio-net", "--directions", "g2h", "--extras", "none"]
BLOCKS, COMPARISONS = 8, 20
METRIC = "tcp.g2h"
#: A verdict of a difference where there is none.
WRONG = ("faster", "slower")
#: One in twenty.
TOLERATED = 0.05


def recorded(out: Path, blocks: int) -> None:
    """Measure, with the progress on standard error. A failed A/A arm of the whole (exit 3) is an answer, too."""
    with contextlib.redirect_stdout(sys.stderr):
        code = exit_code([*RECORD, "--blocks", str(blocks), "--out", str(out)])
    if code == 2 or not out.exists():
        raise SystemExit(code)


def cut(whole: recording.Recording, blocks: int, folder: Path) -> list[Path]:
    """Recordings of so many blocks each, as if each had been made by itself. Boots stay what they were."""
    parts: dict[int, list[Run]] = {}
    for run in whole.runs:
        if run.block:
            parts.setdefault((run.block - 1) // blocks, []).append(run)
    paths = []
    for number, runs in sorted(parts.items()):
        if len({run.block for run in runs}) == blocks:
            paths.append(folder / f"part-{number + 1}.jsonl")
            paths[-1].write_text(
                "".join(row.model_dump_json(by_alias=True, exclude_unset=True) + "\n" for row in [whole.session, *runs])
            )
    return paths


def compared(before: Path, after: Path) -> dict[str, Any]:
    """What `qemunet compare` says of two."""
    with contextlib.redirect_stdout(io.StringIO()) as said:
        code = exit_code(["compare", str(before), str(after), "--json"])
    lines = [json.loads(line) for line in said.getvalue().splitlines()]
    found = next((line for line in lines if line.get("metric") == METRIC), {})
    return {
        "recordings": [before.stem, after.stem],
        "exit": code,
        "verdict": lines[-1]["verdict"],
        "reason": lines[-1]["reason"],
        "lines": {line["metric"]: line["verdict"] for line in lines[:-1]},
        **{name: found.get(name) for name in ("ratio", "low", "high", "p")},
    }


def own_arm(path: Path) -> dict[str, Any]:
    """What a recording says of the configuration that it measured twice."""
    # Starts threads: only after the lab was entered.
    from qemunet_tests.throughput.judging import verdicts

    read = recording.read(path)
    machine = verdicts.health(read)
    twin = next(each for each in verdicts.summarise(read, machine) if each.twin and each.metric == METRIC)
    # As if the machine were healthy: else a bad one would hide what it gets wrong.
    healthy = verdicts.Health(True, "", min(machine.half_width, verdicts.USABLE))
    verdict, _ = verdicts.judge(twin.ratio, True, healthy)
    ratio = twin.ratio
    return {
        "recording": path.stem, "verdict": verdict, "ratio": ratio.point, "low": ratio.low, "high": ratio.high,
        "p": ratio.p, "usable": machine.usable, "why_unusable": machine.reason or None,
    }  # fmt: skip


def judged(whole: recording.Recording, blocks: int, wanted: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        parts = cut(whole, blocks, Path(folder))
        comparisons = [compared(*pair) for pair in itertools.pairwise(parts)]
        arms = [own_arm(path) for path in parts]
    wrong = sum(each["verdict"] in WRONG for each in comparisons)
    undecided = sum(each["exit"] == 3 for each in comparisons)
    wrong_arms = sum(each["verdict"] in WRONG for each in arms)
    return {
        "schema": 1,
        "accel": whole.session.accel.used,
        "qemu": whole.session.qemu.version,
        "placed": whole.session.placed,
        "blocks_each": blocks,
        "comparisons": {"made": len(comparisons), "wrong": wrong, "undecided": undecided, "each": comparisons},
        "again_arms": {"made": len(arms), "wrong": wrong_arms, "each": arms},
        "as_wanted": len(comparisons) >= wanted and max(wrong, wrong_arms) <= TOLERATED * len(arms),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--comparisons", type=int, default=COMPARISONS)
    parser.add_argument("--blocks", type=int, default=BLOCKS, help="of each recording (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="keep the recording here")
    parser.add_argument("--judge", metavar="FILE", type=Path, help="judge this recording and measure nothing")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = given.judge or given.out or Path(folder) / "whole.jsonl"
        if not given.judge:
            recorded(path, (given.comparisons + 1) * given.blocks)
        said = judged(recording.read(path), given.blocks, 1 if given.judge else given.comparisons)
    print(json.dumps(said, indent=2))
    return 0 if said["as_wanted"] else 1


if __name__ == "__main__":
    sys.exit(main())
