"""A comparison for a CI job's page."""

import os
from pathlib import Path

from qemunet_tests import named_file
from qemunet_tests.throughput.judging.outcome import Comparison


def render(found: Comparison, heading: str) -> str:
    """Markdown with the answer first."""
    rows = [f"## Throughput: {found.verdict}", "", f"{heading}. {found.reason}.", ""]
    rows += ["| metric | NIC | arms | before | after | change | 95 % interval | p | verdict |", "|" + " --- |" * 9]
    for line in found.lines:
        change = line.change
        span = f"{change.low:.3g} to {change.high:.3g}" if change.low and change.high else "-"
        p = "-" if change.p is None else f"{change.p:.3f}"
        rows.append(
            f"| {line.metric} | {line.nic} | {'/'.join(line.arms)} | {line.before:.3g} | {line.after:.3g} "
            f"| {change.point:.3g} | {span} | {p} | {line.verdict} |"
        )
    for title, listed in (("Undeclared differences", found.undeclared), ("Declared differences", found.declared)):
        if listed:
            rows += ["", f"### {title}", "", *(f"- {each}" for each in listed)]
    rows += ["", *(f"- {warning}" for warning in found.warnings)] if found.warnings else []
    return "\n".join(rows) + "\n"


def write(path: Path, text: str) -> None:
    """Append, as the pages of CI jobs want it."""
    with os.fdopen(named_file.to_append(path), "wb") as file:
        file.write(text.encode())
