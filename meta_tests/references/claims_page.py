"""docs/claims.md: `python -m meta_tests.references.claims_page [FILE]` writes every claim with its source and tests."""

from collections.abc import Iterator
from pathlib import Path

from meta_tests.written_page import write
from qemunet_tests.claims import Claim, load
from qemunet_tests.commands.claims import claims_listing

PAGE = Path("docs") / "claims.md"
HEAD = """\
# Claims

What is promised, where, and what tests it, in the order of the card. Made from the tables in `qemunet_tests/claims` by
`python -m meta_tests.references.claims_page docs/claims.md`; a test compares. `qemunet claims` shows the same at a
terminal. What became of each on several QEMUs is in [generations.md](generations.md), how the deviations came about in
[deviations.md](deviations.md).
"""


def page() -> str:
    """The document."""
    tests = {each.id: each.tests for each in claims_listing([]).claims}
    claims = list(load().values())
    lines = [HEAD.rstrip()]
    for mode in dict.fromkeys(claim.mode for claim in claims):
        lines += ["", f"## {mode}", ""]
        for claim in claims:
            if claim.mode == mode:
                lines += [*_about(claim, tests[claim.id]), ""]
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


if __name__ == "__main__":
    write("meta_tests.references.claims_page", page, PAGE)
