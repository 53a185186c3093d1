"""docs/deviations.md: how QEMU is known not to keep its promises, for whoever could mend it.

`python -m meta_tests.deviations` writes the page, from the claims' tables and the scripts in docs/repro. A script that
shows a deviation by hand has the name of its claim and of the deviation, `user-tftp-fifo-waits-for-a-writer.sh`.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from meta_tests.written_page import write
from qemunet_tests.claims import Claim, Deviation, load

DOCS = Path(__file__).parents[1] / "docs"
PAGE, SCRIPTS = DOCS / "deviations.md", DOCS / "repro"
HEAD = """\
# Deviations

Written by `python -m meta_tests.deviations`, from the claims' tables. Each was seen and is asserted exactly: a QEMU
that does otherwise, better or worse, does not pass. docs/generations.md tells on which versions of QEMU and libslirp
each was seen last, and `qemunet run CLAIM` tries it on others.

A script shows each by hand on any machine with QEMU and Python, without this suite; a last line that begins with
`deviates` or `kept` says what was seen. `QEMU=./qemu-system-x86_64 docs/repro/SCRIPT` tries a build of one's own. They
need no privilege, no guest and no network: those that want one make their own, in namespaces (`docs/repro/host.py`).
"""
#: Files and functions of a program's source, as the sentences name them.
FILE, FUNCTION = re.compile(r"\b[\w/-]+\.[ch]\b"), re.compile(r"\b\w+\(\)")


def all_deviations() -> Iterator[tuple[Claim, str, Deviation]]:
    """Every one, with its claim and its name, in the order of the claims."""
    for claim in load().values():
        for name, deviation in claim.deviations.items():
            yield claim, name, deviation


def script_of(claim: Claim, name: str) -> Path:
    """Where a script lies that shows a deviation, if there is one."""
    return SCRIPTS / f"{claim.id.replace('/', '-')}-{name}.sh"


def versions(deviation: Deviation) -> str:
    """In which versions it is known."""
    said = [f"from {deviation.since} on"] if deviation.since else []
    said += [f"before {deviation.until}"] if deviation.until else []
    return ", ".join(said) or "all that were tried"


def place(deviation: Deviation) -> str:
    """Where in the source, as far as its sentence names that."""
    found = [*FILE.findall(deviation.says), *FUNCTION.findall(deviation.says)]
    return ", ".join(dict.fromkeys(found)) or "not known"


def page() -> str:
    """The whole page."""
    every = list(all_deviations())
    claims = len({claim.id for claim, _, _ in every})
    lines = [HEAD, f"{len(every)} deviations of {claims} claims.", ""]
    for claim, name, deviation in every:
        script = script_of(claim, name)
        shown = f"no script, for it comes seldom: {deviation.seldom}"
        if deviation.seldom is None:
            shown = f"[docs/repro/{script.name}](repro/{script.name})"
        source = f"{claim.source.document}, {claim.source.section}"
        lines += [
            f"## {claim.id}: {name}", "",
            f"- Promised: {claim.says} ({f'[{source}]({claim.source.url})' if claim.source.url else source})",
            f"- Instead: {deviation.says}",
            f"- Versions: {versions(deviation)}",
            f"- Place in the code: {place(deviation)}",
            f"- By hand: {shown}", "",
        ]  # fmt: skip
    return "\n".join(lines)


if __name__ == "__main__":
    write("meta_tests.deviations", page, PAGE)
