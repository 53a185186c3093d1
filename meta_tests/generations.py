"""The table of docs/generations.md: what became of every claim on several QEMUs, and what explains each difference.

`python -m meta_tests.generations A/results.json B C D --out docs/generations.md`, where each is the report of a whole
run, a results.json or the folder it lies in. Several runs on the same QEMU and libslirp are taken together, the latest
word counting, and what the page said before counts where no report says anything: a claim that is new has to be tried
alone. Without any report a page is written on with rows for new claims, which say that they were not tried.
"""

import argparse
import re
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from qemunet_tests.claims import load
from qemunet_tests.errors import UsageError
from qemunet_tests.report.session_results import RESULTS_FILE, exit_code
from qemunet_tests.report.shapes import ClaimVerdict, Results
from qemunet_tests.report.verdict_of_test import Verdict

HEAD = """\
# Generations of QEMU

Written by `python -m meta_tests.generations`, from the results.json of whole runs in the lab. QEMU and libslirp change
independently of each other: one pair of versions does not tell whose doing a thing is, these together do.
"""
EXPLAINED = """
## What explains the differences

Every claim that is not the same everywhere, and every one that does not hold, in the words of the reports.
"""
NOT_TRIED = "not tried"
#: The lines of a page that was written before.
SUMMARY = re.compile(r"- QEMU (\S+), libslirp (\S+): (.*): [^:]*; exit code (.*)\.")
ROW = re.compile(r"\| (\S+/\S+) \| (.*) \|")
CLAIM, WHY = re.compile(r"- \*\*(\S+)\*\*: "), re.compile(r"  - (.*?): (\w+|not tried): (.*)")


@dataclass
class Generation:
    """One pair of QEMU and libslirp, and what became of the claims on it.

    `seen` says where and when, `codes` are exit codes of runs, and `words` has verdicts and `whys` explanations by
    claim: all this of runs whose reports are not at hand.
    """

    qemu: str
    slirp: str
    runs: list[Results] = field(default_factory=list)
    seen: str = ""
    codes: list[str] = field(default_factory=list)
    words: dict[str, str] = field(default_factory=dict)
    whys: dict[str, str] = field(default_factory=dict)

    @property
    def pair(self) -> str:
        return f"{self.qemu} + {self.slirp}"

    @property
    def verdicts(self) -> dict[str, ClaimVerdict]:
        return {each.claim: each for run in self.runs for each in run.verdicts}

    @property
    def is_anew(self) -> bool:
        """Whether the reports at hand have all that was known before: then those are not spoken of any more."""
        tried = {claim for claim, word in self.words.items() if word != NOT_TRIED and claim in load()}
        return bool(self.runs) and tried <= set(self.verdicts)

    def word(self, claim: str) -> str:
        found = self.verdicts.get(claim)
        return found.verdict.value if found else self.words.get(claim, NOT_TRIED)

    def explanation(self, claim: str) -> str:
        """Why the claim is not kept, as the report says it; what was observed, where it is."""
        found = self.verdicts.get(claim)
        if found is None:
            unknown = "no run tried it" if self.word(claim) == NOT_TRIED else "as promised"
            return self.whys.get(claim) or load()[claim].untested or unknown
        if found.verdict is Verdict.HOLDS:
            return found.observed or "as promised"
        observed = (
            f" (observed: {found.observed})" if found.observed and found.verdict is not Verdict.UNAVAILABLE else ""
        )
        return f"{found.reason or 'no reason is known'}{observed}"

    def summary(self) -> str:
        """For the list below the table: where it was seen, and the card in a line."""
        counts = Counter(self.word(claim) for claim in load())
        card = ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict if counts[verdict])
        before, seen = ([], "") if self.is_anew else (self.codes, self.seen)
        codes = " and ".join(dict.fromkeys([*before, *(str(exit_code(each)) for each in self.runs)]))
        seen = seen or _seen(self.runs[0])
        return f"- QEMU {self.qemu}, libslirp {self.slirp}: {seen}: {card}; exit code {codes}."


def _seen(run: Results) -> str:
    return f"{run.host.distribution}, {run.accel.used}, {(run.at or '')[:10]}"


def read(path: Path) -> Results:
    """A report. Raises UsageError where it is none."""
    file = path / RESULTS_FILE if path.is_dir() else path
    try:
        return Results.model_validate_json(file.read_bytes())
    except (OSError, ValidationError) as wrong:
        raise UsageError(f"{file} is no report of qemunet: {str(wrong).splitlines()[0]}") from None


def told(page: str) -> list[Generation]:
    """What a page that was written before says."""
    lines = page.splitlines()
    summaries = SUMMARY.findall(page)
    found = [Generation(first, last, seen=seen, codes=codes.split(" and ")) for first, last, seen, codes in summaries]
    for claim, cells in (row.groups() for line in lines if (row := ROW.fullmatch(line))):
        for each, word in zip(found, cells.split(" | "), strict=True):
            each.words[claim] = word
    claim = ""
    for line in lines:
        if heading := CLAIM.match(line):
            claim = heading[1]
        elif said := WHY.fullmatch(line):
            for each in found:
                if each.pair in said[1].split(", "):
                    each.whys[claim] = said[3]
    return found


def generations(runs: Iterable[Results], before: str = "") -> list[Generation]:
    """Oldest QEMU first. `before` is the page that was written before."""
    found = {(each.qemu, each.slirp): each for each in told(before)}
    for run in sorted(runs, key=lambda run: run.at or ""):
        pair = run.qemu.version or "unknown", run.qemu.slirp or "unknown"
        found.setdefault(pair, Generation(*pair)).runs.append(run)
    return [found[pair] for pair in sorted(found, key=lambda pair: [_numbers(version) for version in pair])]


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".") if part.isdigit()]


def document(found: Sequence[Generation]) -> str:
    """The whole page."""
    columns = "".join(f" {each.pair} |" for each in found)
    head = f"\n| claim |{columns}\n|---|{'---|' * len(found)}"
    rows = [f"| {claim} | {' | '.join(each.word(claim) for each in found)} |" for claim in load()]
    explained = [text for claim in load() if (text := _explained(claim, found))]
    summaries = [each.summary() for each in found]
    return "\n".join([HEAD, *summaries, head, *rows, EXPLAINED, *explained, ""])


def _explained(claim: str, found: Sequence[Generation]) -> str:
    """Of the generations that say the same, their labels stand together."""
    if all(each.word(claim) == Verdict.HOLDS for each in found):
        return ""
    groups: dict[tuple[str, str], list[str]] = {}
    for each in found:
        groups.setdefault((each.word(claim), each.explanation(claim)), []).append(each.pair)
    lines = [f"  - {', '.join(labels)}: {word}: {_one_line(why)}" for (word, why), labels in groups.items()]
    return "\n".join([f"- **{claim}**: {load()[claim].says}", *lines])


def _one_line(text: str) -> str:
    return " ".join(text.split())


def claims_in(page: str) -> list[str]:
    """The ids in the first column of the table."""
    rows = [line.split("|")[1].strip() for line in page.splitlines() if line.startswith("| ")]
    return [cell for cell in rows if "/" in cell]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Write docs/generations.md from reports of whole runs.")
    parser.add_argument("report", nargs="*", type=Path, help="results.json, or the folder of --report")
    parser.add_argument("--out", type=Path, help="the page to write, or to write on; else standard output")
    chosen = parser.parse_args(arguments)
    try:
        before = chosen.out.read_text() if chosen.out and chosen.out.is_file() else ""
        page = document(generations(map(read, chosen.report), before))
    except UsageError as wrong:
        sys.stderr.write(f"{wrong}\n")
        sys.exit(2)
    if chosen.out:
        chosen.out.write_text(page)
    else:
        sys.stdout.write(page)


if __name__ == "__main__":
    main()
