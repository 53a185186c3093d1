"""docs/claims.md: `python -m meta_tests.references.claims_page [FILE]` writes every claim with its source and tests.

And with what became of it on every QEMU that docs/generations.md knows.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from meta_tests.generations import NOT_TRIED, Generation, told
from meta_tests.written_page import write
from qemunet_tests.claims import Claim, load
from qemunet_tests.commands.claims import claims_listing
from qemunet_tests.report.verdict_of_test import Verdict

PAGE = Path("docs") / "claims.md"
GENERATIONS = Path(__file__).parents[2] / "docs" / "generations.md"
HEAD = """\
# Claims

What is promised, where, what tests it, and what became of it on several QEMUs, in the order of the card. Made from the
tables in `qemunet_tests/claims` and from [generations.md](generations.md), which sets the QEMUs side by side and says
what was observed, by `python -m meta_tests.references.claims_page docs/claims.md`; a test compares. `qemunet claims`
shows the promises at a terminal. How the deviations came about is in [deviations.md](deviations.md).

Seen on QEMU and libslirp, in whole runs in the lab:

"""


def page() -> str:
    """The document."""
    tests = {each.id: each.tests for each in claims_listing([]).claims}
    claims, seen_on = list(load().values()), told(GENERATIONS.read_text())
    lines = [HEAD + "\n".join(f"- {each.pair}: {each.seen}" for each in seen_on)]
    for mode in dict.fromkeys(claim.mode for claim in claims):
        lines += ["", f"## {mode}", ""]
        for claim in claims:
            if claim.mode == mode:
                lines += [*_about(claim, tests[claim.id]), *_seen(claim.id, seen_on), ""]
    return "\n".join(lines).rstrip() + "\n"


def _about(claim: Claim, tests: list[str]) -> Iterator[str]:
    yield f"### {claim.id}"
    yield ""
    yield claim.says
    yield ""
    place = f"{claim.source.document}, “{claim.source.section}”"
    yield f"- promised in {f'[{place}]({claim.source.url})' if claim.source.url else place}"
    bounds = [("since", claim.since), ("until", claim.until), ("where QEMU has", claim.option and f"`{claim.option}`")]
    for word, versions in bounds:
        if versions:
            yield f"- {word} {versions}"
    for name, deviation in claim.deviations.items():
        yield f"- known deviation `{name}`: {deviation.says}"
    named = ", ".join(f"`{test.rpartition('.')[2]}`" for test in tests)
    yield f"- tried by {named}" if tests else f"- not tested: {claim.untested}"


def _seen(claim: str, on: Sequence[Generation]) -> Iterator[str]:
    """What became of it; those of which the same is said stand together, and what holds needs no explanation."""
    groups: dict[tuple[str, str], list[str]] = {}
    for each in on:
        word = each.word(claim)
        why = "" if word in (Verdict.HOLDS, NOT_TRIED) else f": {each.explanation(claim)}"
        groups.setdefault((word, why), []).append(each.pair)
    for (word, why), pairs in groups.items():
        yield f"- {word} on {'all of them' if len(pairs) == len(on) else ', '.join(pairs)}{why}"


if __name__ == "__main__":
    write("meta_tests.references.claims_page", page, PAGE)
